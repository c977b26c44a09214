"""What a decision is: something that reads one number per image off a forward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from foveal.engine.keywords import LAYERS
from foveal.engine.select import named_layers
from foveal.errors import TargetError

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.engine.embedding_signs import EmbeddingSign
    from foveal.engine.task import Task
    from foveal.targets.comparison import Comparison


@dataclass(frozen=True)
class ModelOutput:
    """What a forward pass gave, as far as a decision may look.

    Attributes:
        output: whatever the model returned; None when the decision reads layers only.
        activations: the layers the decision asked for.
        labels: class names, when the model knows them.
        task: what the output means, when that is known.
        traced: gives what the network's whole graph says of whether the output is an embedding.
        task_source: how `task` is known.
        space: the sides of the network's input, (h, w) of an image; None where that is not known.
    """

    output: Any
    activations: Mapping[str, Tensor] = field(default_factory=dict)
    labels: Sequence[str] | None = None
    task: Task | None = None
    traced: Callable[[], EmbeddingSign | None] | None = None
    task_source: str = ""
    space: tuple[int, ...] | None = None


PER_IMAGE: Mapping[str, tuple[str, ...]] = {
    "class": ("index", "strongest"),
    "value": ("index", "values"),
    "margin": ("a", "b", "strongest"),
    "group": ("member", "share", "strongest"),
    "against": ("index", "rivals", "strongest"),
    "similar": ("reference",),
    "prototypes": ("class", "against"),
    "neighbors": ("class", "against"),
    "region": ("index", "pixels", "mask"),
    "box": ("index", "class", "box", "found"),
}
"""Kind of decision -> what in its `spec` is a list with an entry an image."""


@dataclass(frozen=True)
class TargetScore:
    """One decision about n images.

    Attributes:
        score: (n,), still attached to the graph; each entry depends on its own image only.
        label: per image, what was decided, as a person would say it.
        spec: the same for machines; "kind" says what kind of decision it is, and "meaning", where it is read from the
            network's output, what that means and how it is known: "classes (timm's configuration)".
        probability: (n,) in [0, 1] where that has a meaning, detached.
        per_image: per image, the same decision pinned to what it turned out to be, about any number of altered copies.
        comparison: what the images were compared with, where embeddings decide.
        choices: (n, classes), the scores of all classes, attached to the graph; None where classes do not decide.
        notes: what was assumed about the network's output.
    """

    score: Float[Tensor, " n"]
    label: tuple[str, ...]
    spec: Mapping[str, Any]
    probability: Float[Tensor, " n"] | None = None
    per_image: tuple[Target, ...] = ()
    comparison: Comparison | None = None
    choices: Float[Tensor, "n classes"] | None = None
    notes: tuple[str, ...] = ()

    @property
    def meaning(self) -> str:
        """What the network's output means, and how that is known; "" where the decision is not read from it."""
        return str(self.spec.get("meaning", ""))

    def detached(self) -> TargetScore:
        """The same without its graph."""
        comparison = self.comparison.detached() if self.comparison else None
        return replace(self, score=self.score.detach(), comparison=comparison, choices=None)

    def check_length(self, n: int) -> None:
        """TargetError unless it holds a score for each of n images."""
        if len(self.score) != n:
            raise TargetError(
                f"{len(self.score)} score{'s' * (len(self.score) != 1)} came out for {n} image{'s' * (n != 1)}: what "
                f"the network returns, and what the target makes of it, must have one per image, shape ({n},)"
            )

    def rows(self, start: int, stop: int) -> TargetScore:
        """What it says of the images from `start` to `stop`."""
        own = PER_IMAGE.get(str(self.spec.get("kind")), ())
        cut = {key: value[start:stop] if key in own else value for key, value in self.spec.items()}
        probability = None if self.probability is None else self.probability[start:stop]
        comparison = self.comparison.rows(start, stop) if self.comparison else None
        own_each = self.per_image[start:stop]
        score, words = self.score[start:stop], self.label[start:stop]
        choices = None if self.choices is None else self.choices[start:stop]
        return TargetScore(score, words, cut, probability, own_each, comparison, choices, self.notes)

    @staticmethod
    def joined(parts: Sequence[TargetScore]) -> TargetScore:
        """One verdict of those that `rows` cut it into."""
        own = PER_IMAGE.get(str(parts[0].spec.get("kind")), ())
        spec = {**parts[0].spec, **{key: [entry for part in parts for entry in part.spec[key]] for key in own}}
        chances = [part.probability for part in parts if part.probability is not None]
        comparisons = [part.comparison for part in parts if part.comparison]
        return TargetScore(
            torch.cat([part.score for part in parts]),
            tuple(words for part in parts for words in part.label),
            spec,
            torch.cat(chances) if chances else None,
            tuple(target for part in parts for target in part.per_image),
            comparisons[0].joined(comparisons) if comparisons else None,
            notes=parts[0].notes,
        )


@runtime_checkable
class Target(Protocol):
    """Anything that turns an `ModelOutput` into a `TargetScore`."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers the score is read from; empty when it is read from the output."""
        ...

    def decide(self, outcome: ModelOutput) -> TargetScore: ...


def with_layer_names(target: Target, model: nn.Module) -> Target:
    """The target with each layer that was given as a module of the model replaced by its name.

    Raises:
        LayerError: for a module that is not part of the model.
    """
    modules = {name: value for name in LAYERS if isinstance(value := getattr(target, name, None), nn.Module)}
    named: Any = {name: named_layers(model, module) for name, module in modules.items()}
    return replace(target, **named) if named else target  # type: ignore[type-var]


class Embedder(Protocol):
    """Embeds pictures with the model that is explained, for targets that need references."""

    def layer(self, wanted: str | None, *, local: bool) -> str:
        """The address of the embedding: the one wanted, or the one found, which is then noted."""
        ...

    def of(self, pictures: Any, layer: str, *, local: bool, what: str) -> tuple[Tensor, list[str]]:
        """(m, d) or (m, d, h, w), and what each of them is called."""
        ...


@runtime_checkable
class NeedsModel(Protocol):
    """A decision that has to see its model first, because it holds pictures the model must embed."""

    def prepare(self, embedder: Embedder) -> Target:
        """The decision, ready to decide."""
        ...
