"""What `load_model` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from foveal.engine.guard import are_compiled, every_module, hooked_backward, unwrap
from foveal.engine.task import Task, check_task
from foveal.errors import ModelError, shown
from foveal.images import Batch
from foveal.images.preprocessing import Preprocessing
from foveal.models.black_box import BlackBox, Scorer, classes_of, is_black_box, title
from foveal.models.labels import checked_labels, own_labels
from foveal.models.own_task import SAID, own_task

if TYPE_CHECKING:
    from collections.abc import Sequence


_NEEDED = {
    "module": ": give an nn.Module",
    "preprocessing": ": give a foveal.Preprocessing, such as foveal.Preprocessing.named('gray', 128), or None",
}
_KINDS: dict[str, Any] = {
    "module": nn.Module, "name": str, "preprocessing": Preprocessing | None, "card": Mapping
}  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A network in evaluation mode, with what is needed to feed it and to name its outputs.

    module          the plain network; nothing is wrapped around it.
    name            what it was loaded from: "timm:resnet50", or the name in its sidecar.
    preprocessing   how a photo becomes its input; None if that is not known.
    labels          one name an output, in order; None if they are not known.
    task            "classes", "labels", "value", "embedding", "regions" or "boxes"; None: unknown.
    card            where it comes from: source, weights, license, accuracy … and `notes` the reader must see.
    task_source     how the task is known: "the sidecar", "timm's configuration"; "" where it was given with the model.
    """

    module: nn.Module
    name: str
    preprocessing: Preprocessing | None = None
    labels: tuple[str, ...] | None = None
    card: Mapping[str, Any] = field(default_factory=dict)
    task: Task | None = None
    task_source: str = ""

    def __post_init__(self) -> None:
        for name, kind in _KINDS.items():
            if not isinstance(getattr(self, name), kind):
                hint = _NEEDED.get(name, "")
                raise ModelError(f"Cannot make a Model whose {name} is {shown(getattr(self, name))}{hint}.")
        object.__setattr__(self, "labels", checked_labels(self.labels))
        check_task(self.task)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know before believing anything about this model, such as random weights."""
        notes = self.card.get("notes", ())
        return tuple(map(str, notes)) if isinstance(notes, list | tuple) else (str(notes),)

    def noted(self, *notes: str) -> Model:
        """The same model with more notes."""
        return replace(self, card={**self.card, "notes": [*self.notes, *notes]}) if notes else self

    def with_task(self, task: Task | None, source: str) -> Model:
        """The same model whose output means this, and how that is known; as it is where `task` is None."""
        return self if task is None else replace(self, task=task, task_source=source)

    def __repr__(self) -> str:
        size = "×".join(map(str, self.preprocessing.size)) if self.preprocessing else "unknown"
        labels = f"{len(self.labels)} labels" if self.labels else "no labels"
        notes = "".join(f", note: {note}" for note in self.notes)
        return f"Model({self.name!r}, {type(self.module).__name__}, input {size}, {labels}{notes})"


def check_real(module: nn.Module, name: str) -> None:
    """ModelError for a network whose weights have no values."""
    if any(p is not None and p.is_meta for m in every_module(module) if (own := m._parameters) for p in own.values()):
        raise ModelError(f"the weights of {name} are on the meta device and have no values: load them to a real one")


def as_model(
    model: nn.Module | Model | Scorer,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    task: Task | None = None,
) -> Model:
    """`model` with what is known about it; what the caller says wins over what the model carries.

    A function that gives scores for images becomes a `BlackBox`.

    Raises:
        ModelError: when it is neither a module, nor the result of `load_model`, nor a function, or the task is none.
    """
    if not isinstance(model, Model) and is_black_box(model):
        model = boxed(model)
    if isinstance(model, nn.Module):
        own = unwrap(model)
        check_real(own, type(own).__name__)
        known = own_labels(own) if labels is None else checked_labels(labels)
        known_task = (task, SAID) if task else own_task(own)
        return Model(model, type(own).__name__, preprocessing, known, {}, *known_task)
    if not isinstance(model, Model):
        raise ModelError(
            f"cannot explain a {type(model).__name__}: pass an nn.Module, or load one with foveal.load_model({model!r})"
            if isinstance(model, str)
            else f"cannot explain a {type(model).__name__}: pass an nn.Module, the result of foveal.load_model, or a "
            "function that gives scores for images (n, c, h, w)"
        )
    check_real(model.module, model.name)
    if preprocessing is None and labels is None and task is None:
        return model
    return replace(
        model,
        preprocessing=preprocessing or model.preprocessing,
        labels=model.labels if labels is None else checked_labels(labels),
    ).with_task(task, SAID)


def boxed(function: Any, name: str | None = None) -> Model:
    """A function of images as a model without layers."""
    return Model(BlackBox(function), name or title(function), labels=classes_of(function))


def placed(batch: Batch, module: nn.Module) -> Batch:
    """Pictures go where the model is. Those that foveal read itself take its type, tensors keep theirs.

    Tensors stay where they are if the model lies on several devices, or on none: which of them its forward expects is
    known to the caller alone.
    """
    weight = weight_of(module)
    if weight is None:
        return batch
    if all(photo.source == "tensor" for photo in batch.photos):
        if batch.tensor.device == weight.device:
            return batch
        return Batch(at_home(batch.tensor, module), batch.photos)
    return Batch(batch.tensor.to(weight.device, weight.dtype), batch.photos)


def at_home(x: Tensor, module: nn.Module) -> Tensor:
    """The tensor where the model is, if that is one place."""
    homes = {tensor.device for tensor in chain(module.parameters(), module.buffers())}
    return x.to(homes.pop()) if len(homes) == 1 else x


def weight_of(module: nn.Module) -> Tensor | None:
    """The first floating-point parameter, whose device and type stand for those of the network; None without any."""
    return next((p for p in module.parameters() if p.is_floating_point()), None)


def state_notes(subject: Model) -> tuple[str, ...]:
    """The notes of the model, and what is to be noted of its state: training mode, backward hooks, compilation."""
    notes = list(subject.notes)
    if getattr(subject.module, "training", False):  # frozen TorchScript has no mode
        notes.append(
            "the model was in training mode; it was explained in evaluation mode, and is in training mode again"
        )
    modules = every_module(subject.module)
    if hooked := hooked_backward(unwrap(subject.module), modules):
        notes.append(
            "backward hooks were disabled during the explanation, so that they do not change maps: those on "
            f"{', '.join(hooked)}"
        )
    if are_compiled(modules):
        notes.append("the model is compiled; the original module was run instead, uncompiled")
    return tuple(notes)
