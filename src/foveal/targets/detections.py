"""What a detector found: boxes, their classes and scores, image by image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from foveal.engine.box_records import BOXES, LABELS, PROBABILITIES, SCORES, box_records
from foveal.engine.model_errors import reason
from foveal.errors import FovealError, TargetError, counted, shown
from foveal.targets.output_kind import describe_output

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Parts: TypeAlias = "Sequence[Sequence[Tensor]]"
Reader: TypeAlias = Callable[[Any], Parts]
"""What the network returned -> boxes (k, 4), labels (k,) and scores (k,), and where they are known the probabilities
(k, classes), a list with an entry an image each."""


@dataclass(frozen=True, eq=False)
class Detections:
    """What was found in one image, best first.

    Attributes:
        boxes: left, top, right, bottom; attached to the graph where there is one.
        labels: the class of each.
        scores: how sure the detector is, mostly in 0 … 1; attached.
        probabilities: of all classes for each, where the detector gives them.
    """

    boxes: Float[Tensor, "k 4"]
    labels: Int[Tensor, " k"]
    scores: Float[Tensor, " k"]
    probabilities: Float[Tensor, "k classes"] | None = None


def read_detections(output: Any, read: Reader | None = None) -> list[Detections]:
    """One an image.

    Args:
        output: what the network returned: a list with a record {"boxes", "labels", "scores"} an image, as torchvision's
            detectors return it, or anything that `read` takes apart.

    Raises:
        TargetError: for anything else.
    """
    parts = _read_by(read, output) if read else _records(output)
    return [_sorted(*image) for image in zip(*parts, strict=True)]


def _records(output: Any) -> Parts:
    records = box_records(output)
    if records is None:
        raise TargetError(
            f"the model returned {describe_output(output)}, which is no boxes: let it return a list with a record of "
            "boxes (k, 4), labels (k,) and scores (k,) for each image (in Python or pass foveal.Box(…, read=function), "
            "where function(output) gives these three, each a list with a tensor per image)"
        )
    known = all(isinstance(record.get(PROBABILITIES), Tensor) for record in records)
    return [[record[key] for record in records] for key in (BOXES, LABELS, SCORES, *([PROBABILITIES] if known else []))]


def _read_by(read: Reader, output: Any) -> Parts:
    name = getattr(read, "__name__", type(read).__name__)
    try:
        given = read(output)
    except FovealError:
        raise
    except Exception as error:
        raise TargetError(
            f"{name} failed on what the model returned, {describe_output(output)}: {reason(error)}"
        ) from error
    lists = isinstance(given, list | tuple) and all(isinstance(part, list | tuple | Tensor) for part in given)
    tensors = lists and all(isinstance(one, Tensor) for part in given for one in part)
    if not tensors or len(given) not in (3, 4) or len({len(part) for part in given}) != 1:
        raise TargetError(
            f"{name} returned {shown(given)}: it must return boxes, labels and scores (and may return probabilities), "
            "each a list with a tensor per image"
        )
    return given


def _sorted(boxes: Tensor, labels: Tensor, scores: Tensor, probabilities: Tensor | None = None) -> Detections:
    fits = boxes.ndim == 2 and boxes.shape[1] == 4 and labels.shape == scores.shape == boxes.shape[:1]
    if not fits or not scores.is_floating_point():
        raise TargetError(
            f"boxes {tuple(boxes.shape)}, labels {tuple(labels.shape)} and scores {tuple(scores.shape)} of an image "
            "must be (k, 4), (k,) and (k,)"
        )
    if probabilities is not None and (probabilities.ndim != 2 or len(probabilities) != len(boxes)):
        if len(boxes):
            raise TargetError(
                f"probabilities {tuple(probabilities.shape)} of {counted(len(boxes), 'box', 'boxes')} must be "
                f"({len(boxes)}, classes)"
            )
        probabilities = None
    order = scores.detach().argsort(descending=True, stable=True)
    if bool((order == torch.arange(len(order), device=order.device)).all()):
        return Detections(boxes, labels, scores, probabilities)
    return Detections(
        boxes[order], labels[order], scores[order], None if probabilities is None else probabilities[order]
    )
