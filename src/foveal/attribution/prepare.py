"""A question to a network, ready to be asked: model, pictures and decision checked and brought together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from foveal.attribution.embedding import ModelEmbedder
from foveal.attribution.passes import Scene
from foveal.engine.arguments import Arguments, beside
from foveal.engine.guard import unwrap
from foveal.engine.select import LayerSpec, last_stage_before, select_layers, stages_before
from foveal.errors import ImageError, ModelError
from foveal.images import Batch, load_images
from foveal.models.model import Model, as_model, placed, state_notes
from foveal.results.notes import photo_notes
from foveal.targets import NeedsModel, Target, TargetLike, Task, as_decision, compares

if TYPE_CHECKING:
    from foveal.images import ImageLike, Preprocessing

# How a decision calls classes that it has no names for.
_BY_NUMBER = re.compile(r"(class|label|value) \d+( − (class|label|value) \d+)?")


@dataclass(frozen=True)
class Inquiry:
    """What every verb that looks at a decision begins with.

    Attributes:
        subject: the model, with what is known of it.
        batch: the pictures, on its device.
        decision: ready to decide.
        scene: what every pass shares.
        notes: what a reader must know from the start.
    """

    subject: Model
    batch: Batch
    decision: Target
    scene: Scene
    notes: tuple[str, ...]

    def remarks(self, words: Sequence[str], *, photos: bool = False) -> tuple[str, ...]:
        """The notes, and what the decision, in words for each image, shows of the labels.

        Args:
            photos: also what had to be decided to read them, for results that do not keep their photos.
        """
        found = list(self.notes)
        if self.subject.labels and any(_BY_NUMBER.fullmatch(one) for one in words):
            found.append(f"there are {len(self.subject.labels)} labels, not one a class, so classes go by number")
        if photos:
            found += photo_notes([photo for photo in self.batch.photos if photo.source != "tensor"])
        return tuple(found)

    def about(self, target: TargetLike) -> Inquiry:
        """Another decision about the same pictures."""
        found: list[str] = []
        decision = _prepared(as_decision(target), self.subject, self.batch.tensor, self.scene.arguments, found)
        notes = (*state_notes(self.subject), *found)
        return replace(self, decision=decision, scene=replace(self.scene, decision=decision), notes=notes)

    def every_layer(self, wanted: LayerSpec = "all") -> tuple[str, ...]:
        """The same, where "all" is every stage up to what the decision looks at."""
        if wanted == "all" and self.decision.layers:
            return stages_before(self.decision.layers[0], self.scene.tracing(), itself=compares(self.decision))
        return self.layers(wanted)

    def layers(self, wanted: LayerSpec) -> tuple[str, ...]:
        """The layers a person means; None is the last stage before whatever the decision looks at."""
        if wanted is None and self.decision.layers:
            itself = compares(self.decision)
            return (last_stage_before(self.decision.layers[0], self.scene.tracing(), itself=itself),)
        return tuple(select_layers(unwrap(self.scene.model), wanted, self.scene.tracing))


def prepare(
    model: nn.Module | Model,
    images: ImageLike | Batch,
    target: TargetLike,
    *,
    blind: bool = False,
    inputs: Sequence[Any] | Tensor = (),
    keywords: Mapping[str, Any] | None = None,
    differentiable: bool = False,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    task: Task | None = None,
) -> Inquiry:
    """The arguments of `foveal.explain`, made into an `Inquiry`; `blind` where no decision is looked at."""
    subject = as_model(model, preprocessing, labels, task)
    batch = read(subject, images)
    arguments = beside(len(batch.tensor), inputs, keywords)
    found: list[str] = []
    decision = _prepared(as_decision(target), subject, batch.tensor, arguments, found)
    if differentiable:
        _check_attached(subject, batch.tensor)
    asked = None if blind else decision
    scene = Scene(subject.module, batch.tensor, asked, subject.labels, subject.task, arguments, differentiable)
    return Inquiry(subject, batch, decision, scene, (*state_notes(subject), *found))


def read(subject: Model, images: ImageLike | Batch) -> Batch:
    """The pictures as this network takes them, where it is; signals and volumes too, by what its convolutions slide on.

    Raises:
        ImageError: for whatever cannot be read.
    """
    return placed(load_images(images, subject.preprocessing, axes=_axes(subject.module, images)), subject.module)


def check_pictures(batch: Batch, what: str) -> None:
    """ImageError for signals and volumes, where `what` knows pictures alone."""
    if batch.tensor.ndim != 4:
        shape = tuple(batch.tensor.shape)
        raise ImageError(
            f"{what} so far are of pictures (n, c, h, w), and these are {shape}: explain them at the input"
        )


def _axes(module: nn.Module, images: ImageLike | Batch) -> int:
    """How many axes of space each image has: (12, 400) is one signal of twelve channels if the network slides on one.

    Tensors of three axes are a batch of signals where a convolution over one axis takes as many channels, and none
    before it takes them as a picture.
    """
    one = images[0] if isinstance(images, list | tuple) and images else images
    if not isinstance(one, Tensor):
        return 2
    batched = one.ndim == 3 and one is images
    kinds = [m for m in module.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Conv3d)]
    if one.ndim - batched != 2 or not kinds:
        return 2
    for convolution in kinds:
        if isinstance(convolution, nn.Conv1d) and convolution.in_channels == one.shape[batched]:
            return 1
        if not isinstance(convolution, nn.Conv3d) and convolution.in_channels == one.shape[0]:
            return 2
    return 1 if all(isinstance(convolution, nn.Conv1d) for convolution in kinds) else 2


def _prepared(decision: Target, subject: Model, x: Tensor, arguments: Arguments, notes: list[str]) -> Target:
    """What holds pictures has them embedded."""
    return (
        decision.prepare(ModelEmbedder(subject, x, arguments, notes)) if isinstance(decision, NeedsModel) else decision
    )


def _check_attached(subject: Model, x: Tensor) -> None:
    if not x.requires_grad and not any(p.requires_grad for p in subject.module.parameters()):
        raise ModelError(
            f"a differentiable map of {subject.name} would lead nowhere, as neither its weights nor the images require "
            "gradients: call requires_grad_() on what is to be changed, or leave out differentiable"
        )
