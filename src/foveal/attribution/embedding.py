"""Where a network's embedding is, and embedding pictures with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from foveal.engine.address import find_module, named_modules, tensor_parts
from foveal.engine.arguments import Arguments
from foveal.engine.capture import capture
from foveal.engine.chunks import Chunks
from foveal.engine.guard import unwrap
from foveal.engine.memory import load_of
from foveal.engine.stages import describe
from foveal.errors import TargetError
from foveal.images import Batch, load_images
from foveal.models.model import at_home
from foveal.targets.heads import read_head
from foveal.targets.reference import embedded

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.engine.task import Task
    from foveal.models import Model

CLASSIFIERS = frozenset({"fc", "classifier", "head", "heads", "last_linear", "logits", "cls", "output", "fc_out"})
"""What the layer that makes class scores is called in the models people use."""

EMBEDDINGS = frozenset({"embedding", "embeddings", "embed", "embeds", "feature", "features", "descriptor", "z"})
"""Words in the name of an embedding among what a model returns."""

AT_ONCE = 16


@dataclass(frozen=True)
class EmbeddingSite:
    """Where the embedding is read.

    Attributes:
        layer: an address; "" is what the model returns, "[z]" an entry of it, "fc.input" what goes into fc.
        said: the same for a reader: "the input of fc (512 numbers)".
    """

    layer: str
    said: str


def find_embedding(
    model: nn.Module | Model, x: Float[Tensor, "n c h w"], labels: Sequence[str] | None = None
) -> EmbeddingSite:
    """Where `model` has its embedding.

    What goes into the linear layer that makes the class scores, if there is such a layer: one whose output is the
    model's, and which has a classifier's name (`CLASSIFIERS`), or as many outputs as there are labels. Otherwise what
    the model returns, alone or in a record, if that is (n, d) or a map, of which the mean over places is taken. Else
    the last stage's mean. A model whose `task` is known to be "embedding" has no classifier, one of "classes" has.

    Raises:
        ModelError: when the model cannot run on the first image.
    """
    module = getattr(model, "module", model)
    labels = labels or getattr(model, "labels", None)
    assert isinstance(module, nn.Module)
    return _find(unwrap(module), at_home(x[:1], module), Arguments(1), labels, getattr(model, "task", None))


def _find(
    model: nn.Module, x: Tensor, arguments: Arguments, labels: Sequence[str] | None, task: Task | None
) -> EmbeddingSite:
    output, made = _watched(model, x, arguments)
    parts = {"": output} if isinstance(output, Tensor) else tensor_parts(output)
    rows = {key: part for key, part in parts.items() if part.ndim == 2 and part.is_floating_point()}
    if rows and task != "embedding":
        scores = read_head(output, task).scores
        last = next((name for name, values in made.items() if _same(values, scores)), None)
        if last is not None and (task is not None or _classifies(last, scores.shape[1], labels)):
            width = cast("nn.Linear", find_module(model, last)).in_features
            return EmbeddingSite(f"{last}.input", f"the input of {last} ({width} numbers)")
    named_classes = bool(labels) and any(len(labels or ()) == part.shape[1] for part in rows.values())
    if rows and (task == "embedding" or not named_classes):
        return _returned(rows, "the model's output")
    maps = {key: part for key, part in parts.items() if part.ndim == 4}
    if maps:
        return _returned(maps, "the mean over positions of the map in the model's output")
    stage = describe(model, x, arguments).usual
    return EmbeddingSite(stage.name, f"the mean over positions of {stage.name} ({stage.shape[0]} numbers)")


def _watched(model: nn.Module, x: Tensor, arguments: Arguments) -> tuple[Any, dict[str, Tensor]]:
    """What the model returns, and what its linear layers do, as it was before anything wrote into it."""
    made: dict[str, Tensor] = {}
    modules = named_modules(model).items()
    names: dict[nn.Module, str] = {module: name for name, module in modules if isinstance(module, nn.Linear)}

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        made[names[module]] = output.detach().clone()

    with capture(model, [], gradient=False) as run:
        hooks = [module.register_forward_hook(note) for module in names]
        try:
            return run.forward(x, arguments), made
        finally:
            for hook in hooks:
                hook.remove()


def _returned(parts: Mapping[str, Tensor], what: str) -> EmbeddingSite:
    """The entry of what the model returns that is the embedding, by its name where there are several."""
    key = next((key for key in parts if EMBEDDINGS & {*key.casefold().split("_")}), next(iter(parts)))
    others = ", ".join(repr(other) for other in parts if other != key)
    count = f"({parts[key].shape[1]} numbers)"
    said = f"{what} {count}"
    if key:
        said = f"{key!r} of {what} {count}" + (f", which also has {others}," if others else "")
    return EmbeddingSite(f"[{key}]" if key else "", said)


def _same(made: Tensor, scores: Tensor) -> bool:
    return made.shape == scores.shape and torch.equal(made, scores)


def _classifies(name: str, outputs: int, labels: Sequence[str] | None) -> bool:
    return bool(labels and len(labels) == outputs) or bool(CLASSIFIERS & {*name.split(".")})


@dataclass(frozen=True)
class ModelEmbedder:
    """Embeds pictures with one model, for decisions that need references.

    Attributes:
        subject: the model.
        x: the images to be explained, which tell what an input looks like.
        arguments: what the network takes beside them.
        notes: what the search for the embedding has to say.
    """

    subject: Model
    x: Float[Tensor, "n c h w"]
    arguments: Arguments
    notes: list[str]

    def layer(self, wanted: str | None, *, local: bool) -> str:
        """The address of the embedding: the one wanted, or the one found, which is then noted."""
        if wanted is not None:
            return wanted
        model, first = unwrap(self.subject.module), self.arguments.row(0)
        if local:
            stage = describe(model, self.x, self.arguments).usual
            site = EmbeddingSite(stage.name, f"the map of {stage.name} ({stage.shape[0]} numbers at each position)")
        else:
            site = _find(model, self.x[:1], first, self.subject.labels, self.subject.task)
        self.notes.append(f"{site.said} is used as the embedding")
        return site.layer

    def of(self, pictures: Any, layer: str, *, local: bool, what: str) -> tuple[Tensor, list[str]]:
        """(m, d) or (m, d, h, w), and what each of them is called.

        Pictures go through the network; a tensor (d,), (m, d) or, for maps, whatever has no picture's shape, is taken
        as embeddings.
        """
        if isinstance(pictures, Tensor) and pictures.is_floating_point() and pictures.ndim in (1, 2):
            s = pictures.detach()[None] if pictures.ndim == 1 else pictures.detach()
            if not len(s):
                raise TargetError(f"there is no {what}: give one at least")
            return s.to(self.x.device), [f"{what} {i}" for i in range(len(s))]
        if isinstance(pictures, list | tuple) and not pictures:
            raise TargetError(f"there is no {what}: give one at least")
        batch = on_device(load_images(pictures, self.subject.preprocessing, axes=self.x.ndim - 2), self.x)
        s = torch.cat([activation for (activation,) in self.through(batch.tensor, [layer])])
        counted = [f"{what} {i}" if len(batch.photos) > 1 else f"the {what}" for i in range(len(batch.photos))]
        names = [
            c if photo.source in ("tensor", "image", "array") else photo.source
            for c, photo in zip(counted, batch.photos, strict=True)
        ]
        return embedded(s, local=local), names

    def through(self, x: Float[Tensor, "m c h w"], layers: Sequence[str]) -> list[list[Tensor]]:
        """What the layers return, a few images at a time."""
        model = unwrap(self.subject.module)
        structure = describe(model, self.x, self.arguments)
        last_calls = structure.last_calls(model, layers)

        def through(start: int, stop: int) -> list[Tensor]:
            with capture(model, layers, gradient=False, last_calls=last_calls) as run:
                run.forward(x[start:stop], self.arguments.row(0), stop=True)
                return [structure.channels_first(at, run.activations[at], x.shape[2:]) for at in layers]

        chunks = Chunks(AT_ONCE, load_of(model, x[:1], "embedded", tuple(layers), self.arguments.key()))
        chunks.weigh(through, len(x))
        return [*chunks.parts(through, len(x))]


def on_device(batch: Batch, like: Tensor) -> Batch:
    """Pictures where the queries are, and of their type."""
    return Batch(batch.tensor.to(like), batch.photos)
