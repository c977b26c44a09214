"""Ranked parts of a signal, below its curves, and of a volume, as colors on its slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from foveal.images.place import laid
from foveal.render.overlay import ALPHA_ON_GRAY, draw_photo, fit
from foveal.render.signal import INK, PAPER, draw_area
from foveal.render.text import write
from foveal.render.volume import draw_volume

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, UInt8
    from numpy.typing import NDArray
    from torch import Tensor

    from foveal.images import Photo, Place

STRIP = 0.07  # of the width, for each part of a signal
SURE = 0.5  # of its largest value, from where on a voxel is a part's


def parts_in_space(
    photo: Photo,
    maps: Float[Tensor, " k *cells"],
    place: Place | None,
    colors: UInt8[NDArray[np.uint8], "k 3"],
    used: Bool[NDArray[np.bool_], " k"],
    side: int,
) -> Image.Image:
    """A signal with a strip a part below it, or a volume whose voxels have the color of their part.

    Args:
        photo: of a signal or a volume.
        maps: how far each cell belongs to each part.
        place: where the cells lie.
        colors: of the parts.
        used: whether there is such a part.
        side: width in pixels.
    """
    assert photo.values is not None
    values: NDArray[np.float32] = laid(maps.detach().cpu().float(), photo.space, place).numpy()
    if photo.values.ndim == 2:
        return _strips(draw_photo(photo, side), values, colors, used)
    return _colored(photo.values, values, colors, used, side)


def _strips(
    signal: Image.Image, values: NDArray[np.float32], colors: NDArray[np.uint8], used: NDArray[np.bool_]
) -> Image.Image:
    """Each part's own curve, from zero to its largest value, with its rank at the left."""
    high, size = max(12, round(STRIP * signal.width)), max(9.0, signal.width / 56)
    whole = Image.new("RGB", (signal.width, signal.height + high * len(values)), PAPER)
    whole.paste(signal, (0, 0))
    draw = ImageDraw.Draw(whole)
    for k, (own, color) in enumerate(zip(values, colors.tolist(), strict=True)):
        top = signal.height + k * high
        if used[k]:
            draw_area(draw, own, tuple(color), top, high - 3, signal.width)
        write(draw, (1, top + size / 2), str(k + 1), size, ink=INK, anchor="lm")
    return whole


def _colored(
    volume: NDArray[np.float32], values: NDArray[np.float32], colors: NDArray[np.uint8], used: NDArray[np.bool_],
    side: int,
) -> Image.Image:  # fmt: skip
    """Slices and projections; where parts overlap, the first."""
    count = len(values)
    rank = np.zeros(values.shape[1:], np.float32)
    for k in reversed(range(count)):
        if used[k] and values[k].max() > 0:
            rank[values[k] >= SURE * values[k].max()] = count - k
    if rank.any():
        rank.flat[values[0].argmax()] = count + 0.5  # the slice of the first part's strongest voxel is among those

    def draw_plane(photo: Photo, plane: NDArray[np.float32] | None, side: int) -> Image.Image:
        shown = fit(photo, side)
        if plane is None:
            return Image.fromarray(shown.pixels)
        large = Image.fromarray(np.minimum(plane, count).astype(np.uint8))
        numbers = np.asarray(large.resize((shown.pixels.shape[1], shown.pixels.shape[0]), Image.Resampling.NEAREST))
        ink = colors[::-1][np.maximum(numbers, 1).astype(int) - 1]
        strength = ALPHA_ON_GRAY * (numbers > 0)[..., None]
        return Image.fromarray(np.round(shown.pixels * (1 - strength) + ink * strength).astype(np.uint8))

    return draw_volume(volume, rank, side, draw_plane, strongest="part 1")
