"""A question to a network, ready to be asked: model, pictures and decision checked and brought together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from torch import Tensor, nn

from foveal.attribution.context import Context
from foveal.attribution.each_label import row_a_label
from foveal.engine.arguments import Arguments, extra_inputs
from foveal.errors import ImageError, ModelError
from foveal.images import Batch, load_images
from foveal.models.black_box import Scorer
from foveal.models.drawn_world import marked
from foveal.models.model import Model, as_model, placed, state_notes
from foveal.targets import Labels, NeedsModel, Target, TargetLike, Task, as_decision, with_layer_names

if TYPE_CHECKING:
    from foveal.images import ImageLike, Preprocessing


def prepare(
    model: nn.Module | Model | Scorer,
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
) -> Context:
    """The arguments of `foveal.explain`, made into a `Context`; `blind` where no target is looked at."""
    subject = as_model(model, preprocessing, labels, task)
    batch, decision = read(subject, images), as_decision(target)
    arguments = extra_inputs(len(batch.tensor), inputs, keywords)
    target_notes: list[str] = []
    if isinstance(decision, Labels):
        subject, batch, arguments, decision = row_a_label(decision, subject, batch, arguments)
    ready = _prepared(decision, subject, batch.tensor, arguments, target_notes)
    if differentiable:
        _check_attached(subject, batch.tensor)
    notes = (*state_notes(subject), *target_notes)
    return Context(subject, batch.tensor, None if blind else ready, batch.photos, arguments, notes, differentiable)


def with_target(context: Context, target: TargetLike) -> Context:
    """Another target for the same pictures."""
    target_notes: list[str] = []
    ready = _prepared(as_decision(target), context.subject, context.x, context.arguments, target_notes)
    return replace(context, target=ready, notes=(*state_notes(context.subject), *target_notes))


def read(subject: Model, images: ImageLike | Batch) -> Batch:
    """The pictures as this network takes them, where it is; signals and volumes too, by what its convolutions slide on.

    Raises:
        ImageError: for whatever cannot be read.
    """
    files = [images] if isinstance(images, str | PathLike) else images
    axes = space_axes(subject.module)
    if axes != 2 and isinstance(files, list | tuple) and files:
        from foveal.images.array_file import is_array_file, load_array_files

        if all(is_array_file(file, axes) for file in files):
            return placed(marked(load_array_files(files, axes), subject), subject.module)
    if axes != 2 and subject.preprocessing is None and _slides_on(subject.module, axes):
        inputs = _as_inputs(images, axes)
        if inputs is not None:
            return placed(marked(load_images(inputs, axes=axes), subject), subject.module)
    batch = load_images(images, subject.preprocessing, axes=_axes(subject.module, images))
    return placed(marked(batch, subject), subject.module)


def space_axes(module: nn.Module) -> int:
    """How many axes the network's first convolution slides on; 2 where it has none."""
    kinds: dict[type[nn.Module], int] = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}
    return next((axes for m in module.modules() for kind, axes in kinds.items() if isinstance(m, kind)), 2)


def _slides_on(module: nn.Module, axes: int) -> bool:
    """Whether all of its convolutions slide on so many axes."""
    kind = {1: nn.Conv1d, 3: nn.Conv3d}[axes]
    return all(isinstance(m, kind) for m in module.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Conv3d))


def _as_inputs(images: ImageLike | Batch, axes: int) -> ImageLike | None:
    """Arrays, and tensors of whole numbers, as the network's input; None of other images."""

    def plain(image: Any) -> bool:
        return isinstance(image, np.ndarray) or (isinstance(image, Tensor) and not image.is_floating_point())

    if not plain(images) and not (isinstance(images, list | tuple) and images and all(map(plain, images))):
        return None
    from foveal.images.array_file import input_of_array

    if isinstance(images, list | tuple):
        return [input_of_array(image, axes) for image in cast("Any", images)]
    given = input_of_array(cast("Any", images), axes)
    return given if given.ndim == axes + 2 else given[None]


def check_pictures(batch: Batch, what: str) -> None:
    """ImageError for signals and volumes, where `what` knows pictures alone."""
    if batch.tensor.ndim != 4:
        shape = tuple(batch.tensor.shape)
        raise ImageError(
            f"{what} so far are of images (n, c, h, w), and these are {shape}: signals and volumes are explained, "
            "divided into parts, followed by a flow, measured and audited"
        )


def _axes(module: nn.Module, images: ImageLike | Batch) -> int:
    """How many axes of space each image has: (12, 400) is one signal of twelve channels if the network slides on one.

    Tensors of three axes are a batch of signals where a convolution over one axis takes as many channels, and none
    before it takes them as a picture.
    """
    image = images[0] if isinstance(images, list | tuple) and images else images
    if not isinstance(image, Tensor):
        return 2
    batched = image.ndim == 3 and image is images
    if image.ndim - batched != 2:
        return 2
    kinds = [m for m in module.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Conv3d)]
    if not kinds:
        return 2
    for convolution in kinds:
        if isinstance(convolution, nn.Conv1d) and convolution.in_channels == image.shape[batched]:
            return 1
        if not isinstance(convolution, nn.Conv3d) and convolution.in_channels == image.shape[0]:
            return 2
    return 1 if all(isinstance(convolution, nn.Conv1d) for convolution in kinds) else 2


def _prepared(decision: Target, subject: Model, x: Tensor, arguments: Arguments, notes: list[str]) -> Target:
    """What holds pictures has them embedded; layers given as modules become their names."""
    decision = with_layer_names(decision, subject.module)
    if not isinstance(decision, NeedsModel):
        return decision
    from foveal.attribution.embedding import ModelEmbedder

    return decision.prepare(ModelEmbedder(subject, x, arguments, notes))


def _check_attached(subject: Model, x: Tensor) -> None:
    if not x.requires_grad and not any(p.requires_grad for p in subject.module.parameters()):
        raise ModelError(
            f"a differentiable map of {subject.name} would have no gradient, as neither its weights nor the images "
            "require gradients: call requires_grad_() on what is to be changed, or leave out differentiable"
        )
