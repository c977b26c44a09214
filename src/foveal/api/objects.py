"""Where objects are on the network's input, from masks and boxes on the photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from foveal.errors import MethodError, shown
from foveal.images import Batch
from foveal.metrics.placement import Box

if TYPE_CHECKING:
    from jaxtyping import Bool
    from numpy.typing import NDArray

    from foveal.images import Photo

SMALLEST = 0.25  # share of an object that the network must have seen


@dataclass(frozen=True, eq=False)
class Objects:
    """Where objects are on the network's input: (n, h, w), or None; boxes of each image."""

    inside: Bool[Tensor, "n h w"] | None
    boxes: Sequence[Sequence[Box]] | None


def find_objects(
    batch: Batch, masks: Sequence[NDArray[np.bool_]] | None, boxes: Sequence[Sequence[Box]] | None
) -> Objects:
    """What masks or boxes on the photos cover of the network's input.

    Raises:
        MethodError: when there are more or fewer than photos, or a mask is not as large as its photo.
    """
    n = len(batch.photos)
    for what, given in (("masks", masks), ("boxes", boxes)):
        if given is not None and len(given) != n:
            raise MethodError(f"{n} images need {what} for each, but {len(given)} were given")
    seen = None if boxes is None else [_seen(photo, own) for photo, own in zip(batch.photos, boxes, strict=True)]
    inside = None
    if masks is not None:
        inside = torch.stack([_on_input(photo, mask) for photo, mask in zip(batch.photos, masks, strict=True)])
    elif seen is not None:
        inside = torch.stack([_filled(photo, own) for photo, own in zip(batch.photos, seen, strict=True)])
    return Objects(inside, seen)


def _on_input(photo: Photo, mask: NDArray[np.bool_]) -> Bool[Tensor, "h w"]:
    """What each pixel of the network's input shows, by the photo's pixel at its center."""
    mask = np.asarray(mask, bool)
    if mask.shape != photo.geometry.photo_size:
        raise MethodError(f"the mask of {photo.source} is {mask.shape}, but the photo is {photo.geometry.photo_size}")
    h, w = photo.geometry.input_size
    y, x = np.meshgrid(np.arange(h) + 0.5, np.arange(w) + 0.5, indexing="ij")
    at = np.floor(photo.geometry.points_to_photo(np.stack([x, y], -1))).astype(int)
    rows, columns = at[..., 1], at[..., 0]
    there = (rows >= 0) & (rows < mask.shape[0]) & (columns >= 0) & (columns < mask.shape[1])
    return torch.from_numpy(mask[rows.clip(0, mask.shape[0] - 1), columns.clip(0, mask.shape[1] - 1)] & there)


def _seen(photo: Photo, boxes: Sequence[Box]) -> list[Box]:
    """Boxes on the network's input, without those of which a crop left less than a quarter."""
    h, w = photo.geometry.input_size
    inside = []
    for box in _boxes(photo, boxes):
        x0, y0, x1, y1 = photo.geometry.boxes_to_input(box).tolist()
        left, top, right, bottom = max(x0, 0.0), max(y0, 0.0), min(x1, float(w)), min(y1, float(h))
        area = max(0.0, right - left) * max(0.0, bottom - top)
        if area > 0 and area >= SMALLEST * (x1 - x0) * (y1 - y0):
            inside.append((left, top, right, bottom))
    return inside


def _boxes(photo: Photo, boxes: Sequence[Box]) -> NDArray[np.float64]:
    """(k, 4), the numbers of each."""
    try:
        corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    except (ValueError, TypeError):
        corners = np.full((1, 4), np.nan)
    if not np.isfinite(corners).all():
        raise MethodError(f"the boxes of {photo.source} are {shown(boxes)}: a box is x0, y0, x1, y1")
    return corners


def _filled(photo: Photo, boxes: Sequence[Box]) -> Bool[Tensor, "h w"]:
    inside = torch.zeros(photo.geometry.input_size, dtype=torch.bool)
    for x0, y0, x1, y1 in boxes:
        inside[round(y0) : round(y1), round(x0) : round(x1)] = True
    return inside
