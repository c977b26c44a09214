"""A volume as slices and projections, each drawn as a picture is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image, ImageDraw

from foveal.images.geometry import Geometry
from foveal.images.load import Photo
from foveal.render.text import length, shorten, write

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8
    from numpy.typing import NDArray

    Voxels: TypeAlias = "Float[NDArray[np.float32], 'd h w']"
    DrawPlane: TypeAlias = Callable[[Photo, NDArray[np.float32] | None, int], Image.Image]
    """(a slice or projection, its evidence (h, w), long side in pixels) -> picture."""

SLICES = 6
COLUMNS = 3
AXES = ("slices", "rows", "columns")
PAPER, INK = (255, 255, 255), (34, 34, 38)


def draw_volume(
    values: Float[NDArray[np.float32], "c d h w"],
    evidence: Voxels | None,
    side: int,
    draw_plane: DrawPlane,
    *,
    strongest: str = "strongest",
) -> Image.Image:
    """Slices from the first to the last, the one with the strongest evidence among them; below, three projections.

    A projection shows the mean of the volume along an axis, and of the evidence the strongest value along it, of
    either sign.

    Args:
        values: what the network is shown.
        evidence: at each voxel; None draws the volume alone.
        side: width in pixels.
        draw_plane: draws a plane of the volume.
        strongest: what the slice with the strongest evidence is called.
    """
    gray = as_bytes(values)
    numbers = chosen_slices(len(gray), evidence)
    width = max(16, (side - 8 * (COLUMNS - 1)) // COLUMNS)
    most = None if evidence is None else int(np.abs(evidence).reshape(len(evidence), -1).max(1).argmax())
    planes: list[tuple[tuple[str, ...], Photo, NDArray[np.float32] | None]] = [
        (
            (f"slice {z}, {strongest}", f"{z}, {strongest}") if z == most else (f"slice {z} (0 to {len(gray) - 1})",),
            photo_of_plane(gray[z]), None if evidence is None else evidence[z],
        )
        for z in numbers
    ]  # fmt: skip
    for axis, name in enumerate(AXES):
        flat = np.round(gray.mean(axis)).astype(np.uint8)
        strongest_along = None if evidence is None else projected(evidence, axis)
        planes.append(((f"along {name}",), photo_of_plane(flat), strongest_along))
    cells = [(words, draw_plane(photo, plane, width)) for words, photo, plane in planes]
    rows = [cells[: len(numbers)][k : k + COLUMNS] for k in range(0, len(numbers), COLUMNS)] + [cells[len(numbers) :]]
    return _grid(rows, width)


def chosen_slices(depth: int, evidence: Voxels | None, most: int = SLICES) -> list[int]:
    """Numbers of slices from 0, evenly from the first to the last; the strongest takes its neighbor's place."""
    numbers = sorted({round(z) for z in np.linspace(0, depth - 1, min(depth, most))})
    if evidence is not None:
        strongest = int(np.abs(evidence).reshape(depth, -1).max(1).argmax())
        nearest = min(range(len(numbers)), key=lambda k: abs(numbers[k] - strongest))
        numbers[nearest] = strongest
    return numbers


def projected(evidence: Voxels, axis: int) -> NDArray[np.float32]:
    """The strongest value along an axis, of either sign."""
    at = np.abs(evidence).argmax(axis)
    return np.take_along_axis(evidence, np.expand_dims(at, axis), axis).squeeze(axis)


def as_bytes(values: Float[NDArray[np.float32], "c d h w"]) -> UInt8[NDArray[np.uint8], "d h w 3"]:
    """Three channels as colors, others by their mean; least value black, greatest white."""
    shown = values if len(values) == 3 else values.mean(0, keepdims=True)
    low, high = shown.min(), shown.max()
    unit = (shown - low) / (high - low) if high > low else np.full_like(shown, 0.5)
    return np.broadcast_to(np.round(unit * 255), (3, *values.shape[1:])).transpose(1, 2, 3, 0).astype(np.uint8)


def photo_of_plane(pixels: UInt8[NDArray[np.uint8], "h w 3"]) -> Photo:
    """A slice or projection as a photo that is the network's input."""
    return Photo(np.ascontiguousarray(pixels), Geometry.identity((pixels.shape[0], pixels.shape[1])), "tensor")


def _grid(rows: list[list[tuple[tuple[str, ...], Image.Image]]], width: int) -> Image.Image:
    """Pictures with words above them, of which the first are written that fit."""
    size = max(9.0, width / 18)
    line, gap = round(size * 1.5), 8
    heights = [line + max(picture.height for _, picture in row) for row in rows]
    columns = max(map(len, rows))
    whole = Image.new("RGB", (columns * width + (columns - 1) * gap, sum(heights) + gap * (len(rows) - 1)), PAPER)
    draw = ImageDraw.Draw(whole)
    top = 0
    for row, height in zip(rows, heights, strict=True):
        for k, (words, picture) in enumerate(row):
            x = k * (width + gap)
            fitting = next((each for each in words if length(each, size) <= width), words[-1])
            write(draw, (x, top + line / 2), shorten(fitting, size, width), size, ink=INK, anchor="lm")
            whole.paste(picture, (x, top + line))
        top += height + gap
    return whole
