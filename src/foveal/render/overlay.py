"""A map drawn on its photo, so that both can be read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image, ImageDraw

from foveal.images import Geometry, Photo, Place
from foveal.images.place import laid
from foveal.images.planes import planar
from foveal.render.contours import LEVELS, draw_contours
from foveal.render.scale import Limit, Scale, Sign, choose_scale, nothing_to_show, ticks
from foveal.render.signal import draw_signal
from foveal.render.text import font, wrap, write
from foveal.render.volume import draw_volume

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float
    from numpy.typing import NDArray

Outline: TypeAlias = "Callable[[Image.Image, Photo], Image.Image]"

# Rec. 709 luma.
LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
INK, PAPER = (34, 34, 38), (255, 255, 255)
BAND = 256  # rows
SMALLEST = 256  # the short side that an overlay with a color bar has at least
LARGEST = 2048  # the long side that an overlay has at most, unless asked otherwise
WIDE = 768  # pixels of a signal or a volume, unless asked otherwise
ALPHA, ALPHA_ON_GRAY = 0.65, 0.5


def draw_overlay(
    photo: Photo,
    map: Float[NDArray[np.floating], "h w"] | Float[torch.Tensor, "h w"],
    *,
    place: Place | None = None,
    sign: Sign = "auto",
    limit: Limit = None,
    alpha: float | None = None,
    color_bar: bool = True,
    colors: str | None = None,
    contour: bool = False,
    side: int | None = None,
    silent: bool = False,
    outline: Outline | None = None,
    named: str = "evidence",
) -> Image.Image:
    """The photo with the map on it, and a bar that says what the colors are worth.

    Where there is no evidence the photo shows, grayed so that no color of its own is taken for evidence; the
    color covers it as far as evidence goes, up to `alpha`, and the photo's detail stays visible through it.
    What was cropped away before the network saw it is dimmed and hatched.

    place       where the map's positions lie, see `Geometry.map_to_photo`; None is edge to edge.
    sign        "positive", "negative" or "signed"; "auto" is signed if the negative part is worth a color.
    limit       the absolute value that gets the last color; None is the largest of this map, "robust" the one
                that 98 % do not exceed.
    alpha       0..1; None is 0.65, and 0.5 on gray photos, whose findings are shades of gray.
    colors      the name of a colormap in place of foveal's own; for signed maps, whose middle is zero, a diverging one.
    contour     the photo as it is, with lines at a quarter, a half and three quarters of the limit.
    side        long side of the drawn photo in pixels; None is the photo's own, 2048 at most.
    silent      a map without evidence is drawn without words, as a slice among others may be.
    outline     draws on a photo with its map where what was asked about lies, see `render.outline`.
    named       what the map is called below a signal.

    A map that is all zero, has none of the asked sign, or has values that are not numbers, says so in words. A signal
    is drawn as curves, a volume as slices and projections.
    """
    values = np.asarray(map if isinstance(map, np.ndarray) else map.detach().cpu().float().numpy())
    scale = choose_scale(values, sign=sign, limit=limit, colors=colors)
    if photo.values is not None and values.ndim == len(photo.space):
        problem = nothing_to_show(values, scale)
        evidence = None if problem else laid(_tensor(values), photo.space, place).numpy()
        picture = _in_space(photo.values, evidence, scale, side or WIDE, alpha=alpha, contour=contour, named=named)
        if problem:
            return say(picture, problem)
        return beside(picture, draw_bar(scale, picture, values)) if color_bar else picture
    values, place = planar(values, place, photo.space)
    own = _legible_side(photo) if color_bar else max(photo.geometry.photo_size)
    shown = fit(photo, side or min(own, LARGEST))
    problem = nothing_to_show(values, scale)
    if problem:
        values, place = np.zeros((1, 1)), None
    if contour:
        picture = _lined(shown, values, place, scale)
    else:
        picture = _mixed(shown, values, place, scale, _alpha(shown) if alpha is None else alpha)
    picture = outline(picture, shown) if outline else picture
    if problem and not silent:
        return say(picture, problem)
    return beside(picture, draw_bar(scale, picture, values)) if color_bar else picture


def draw_photo(photo: Photo, side: int) -> Image.Image:
    """The photo itself, or the signal or volume, as large as an overlay of that side."""
    if photo.values is None:
        return Image.fromarray(fit(photo, side).pixels)
    return _in_space(photo.values, None, None, side, alpha=None, contour=False)


def _in_space(
    values: Float[NDArray[np.float32], " c *space"], evidence: NDArray[np.float32] | None, scale: Scale | None,
    side: int, *, alpha: float | None, contour: bool, named: str = "evidence",
) -> Image.Image:  # fmt: skip
    """A signal or a volume with its evidence at each sample or voxel; None is without."""
    if values.ndim == 2:
        return draw_signal(values, evidence, scale, side, named)

    def draw_plane(photo: Photo, plane: NDArray[np.float32] | None, side: int) -> Image.Image:
        shown = fit(photo, side)
        if plane is None or scale is None:
            return Image.fromarray(shown.pixels)
        if contour:
            return _lined(shown, plane, None, scale)
        return _mixed(shown, plane, None, scale, _alpha(shown) if alpha is None else alpha)

    return draw_volume(values, evidence, side, draw_plane)


def fit(photo: Photo, side: int) -> Photo:
    """The photo resized so that its long side has `side` pixels, with a geometry that knows; signals as a band."""
    height, width = photo.geometry.photo_size
    ratio = side / max(height, width)
    h, w = max(1, round(height * ratio)), max(1, round(width * ratio))
    if height == 1 and ratio > 1:
        h = max(h, side // 8)
    if (h, w) == (height, width):
        return photo
    resized = Image.fromarray(photo.pixels).resize((w, h), Image.Resampling.LANCZOS)
    sy, sx = photo.geometry.scale
    geometry = replace(photo.geometry, photo_size=(h, w), scale=(sy * height / h, sx * width / w))
    return Photo(np.array(resized), geometry, photo.source, photo.notes, values=photo.values)


def _tensor(values: NDArray[np.floating]) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def resized(picture: Image.Image, side: int) -> Image.Image:
    """The picture with a long side of `side` pixels."""
    ratio = side / max(picture.size)
    size = (max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio)))
    return picture if size == picture.size else picture.resize(size, Image.Resampling.LANCZOS)


def draw_bar(scale: Scale, picture: Image.Image, values: NDArray[np.floating]) -> Image.Image:
    """The colors from bottom to top, as high as the picture and as legible, with the raw values that they stand for."""
    size, height = max(11.0, max(picture.size) / 32), picture.height
    size = min(size, max(8.0, height / 5))
    thick, gap = round(size * 0.9), round(size * 0.5)
    labels = ticks(scale, values)
    margin = round(size * 0.7)
    length = max(height - 2 * margin, 2)
    label_width = max(font(size).getlength(label) for _, label in labels)
    bar = Image.new("RGB", (2 * gap + thick + round(label_width) + gap, height), PAPER)
    column = scale.table[::-1, None].repeat(thick, axis=1)
    bar.paste(Image.fromarray(column).resize((thick, length), Image.Resampling.BILINEAR), (gap, margin))
    draw = ImageDraw.Draw(bar)
    for place, label in labels:
        y = margin + (1 - place) * (length - 1)
        draw.line((gap + thick, y, gap + thick + gap // 2, y), fill=INK, width=max(1, round(size / 12)))
        write(draw, (2 * gap + thick, y), label, size, ink=INK, anchor="lm")
    return bar


def beside(picture: Image.Image, bar: Image.Image) -> Image.Image:
    """Two pictures of one height, side by side."""
    whole = Image.new("RGB", (picture.width + bar.width, picture.height), PAPER)
    whole.paste(picture, (0, 0))
    whole.paste(bar, (picture.width, 0))
    return whole


def say(picture: Image.Image, words: str) -> Image.Image:
    """The picture with a sentence across its middle."""
    picture = picture.copy()
    size = max(8.0, min(picture.size) / 14)
    lines = wrap(words, size, picture.width * 0.9)
    step = size * 1.35
    top = picture.height / 2 - step * len(lines) / 2
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, top - size * 0.6, picture.width, top + step * len(lines) + size * 0.6), fill=INK)
    for i, line in enumerate(lines):
        write(draw, (picture.width / 2, top + step * (i + 0.5)), line, size, ink=PAPER, anchor="mm")
    return picture


def is_gray(photo: Photo) -> bool:
    """Whether a photo has no colors, as X-rays, MRI and scans have none."""
    some = photo.pixels[:: max(1, photo.pixels.shape[0] // 64), :: max(1, photo.pixels.shape[1] // 64)].astype(int)
    return bool((np.ptp(some, axis=2) <= 8).mean() > 0.99)


def _alpha(photo: Photo) -> float:
    return ALPHA_ON_GRAY if is_gray(photo) else ALPHA


def _lined(photo: Photo, values: NDArray[np.floating], place: Place | None, scale: Scale) -> Image.Image:
    """The photo as it is, with contour lines in the colors that the bar has at their levels."""
    unit = np.clip(values.astype(np.float64) / scale.limit, -1e30, 1e30).astype(np.float32)
    on_photo = np.asarray(photo.geometry.map_to_photo(unit, place=place), dtype=np.float32)
    scale, sides = replace(scale, limit=1.0), {"positive": (1,), "negative": (-1,), "signed": (-1, 1)}[scale.sign]
    levels = [(side * level, scale.color(np.array(side * level)) / 255) for level in LEVELS for side in sides]
    height, width = photo.geometry.photo_size
    pixels = draw_contours(
        np.asarray(photo.pixels / np.float32(255), dtype=np.float32), on_photo, levels,
        width=line_width(photo), cell=min(height / values.shape[0], width / values.shape[1]),
    )  # fmt: skip
    return mark_unseen(pixels, np.isnan(on_photo), photo)


def mark_unseen(pixels: NDArray[np.float32], unseen: NDArray[np.bool_], photo: Photo) -> Image.Image:
    """Pixels in 0..1 as an image, dimmed and hatched where the network did not look, with a line around the rest."""
    dimmed = _dimmed(pixels, _hatch(*unseen.shape))
    picture = Image.fromarray(_as_bytes(np.where(unseen[..., None], dimmed, pixels)))
    _outline_seen(picture, photo.geometry)
    return picture


def seen_photo(photo: Photo) -> Image.Image:
    """The photo, dimmed and hatched where the network did not look."""
    everywhere = np.asarray(photo.geometry.map_to_photo(np.ones(photo.geometry.input_size, np.float32)))
    return mark_unseen(np.asarray(photo.pixels / np.float32(255), np.float32), np.isnan(everywhere), photo)


def line_width(photo: Photo) -> float:
    """Of contour lines, in pixels."""
    return max(1.5, max(photo.geometry.photo_size) / 180)


def _mixed(photo: Photo, values: NDArray[np.floating], place: Place | None, scale: Scale, alpha: float) -> Image.Image:
    """Photo and evidence, a band of rows at a time: photos of many megapixels stay affordable."""
    unit = np.clip(values.astype(np.float64) / scale.limit, -1e30, 1e30).astype(np.float32)
    on_photo = photo.geometry.map_to_photo(unit, place=place)
    hatch = _hatch(*photo.geometry.photo_size)
    mixed = np.empty_like(photo.pixels)
    for top in range(0, len(mixed), BAND):
        rows = slice(top, top + BAND)
        pixels = np.asarray(photo.pixels[rows] / np.float32(255), dtype=np.float32)
        mixed[rows] = _as_bytes(_lit(pixels, on_photo[rows], hatch[rows], replace(scale, limit=1.0), alpha))
    picture = Image.fromarray(mixed)
    _outline_seen(picture, photo.geometry)
    return picture


def _lit(
    pixels: NDArray[np.float32],
    on_photo: NDArray[np.float32],
    hatch: NDArray[np.bool_],
    scale: Scale,
    alpha: float,
) -> NDArray[np.float32]:
    """Pixels with evidence on them, dimmed and hatched where the evidence is NaN; all in 0..1."""
    unseen = np.isnan(on_photo)
    values = np.where(unseen, np.float32(0), on_photo)
    gray = np.asarray((pixels @ LUMA)[..., None], dtype=np.float32)
    strength = scale.strength(values)[..., None]
    # Dark colors may come in early; from white on, weak values would veil the photo and outline every zero.
    opacity = np.float32(alpha) * (strength**0.7 if scale.sign == "positive" else strength)
    keep = 0.35 if scale.sign == "positive" else 0.2  # of the photo's own color
    ground = (keep * pixels + (1 - keep) * gray) * 0.88
    detail = 0.4 * (gray - 0.5) * opacity
    mixed = ground * (1 - opacity) + scale.color(values) / np.float32(255) * opacity + detail
    return np.where(unseen[..., None], _dimmed(pixels, hatch), mixed)


def _dimmed(pixels: NDArray[np.float32], hatch: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Pixels in 0..1, as what the network did not see is drawn."""
    gray = np.asarray((pixels @ LUMA)[..., None], dtype=np.float32)
    return np.asarray(
        (0.25 * pixels + 0.75 * gray) * 0.45 + 0.08 + 0.08 * hatch[..., None].astype(np.float32), dtype=np.float32
    )


def _hatch(height: int, width: int) -> NDArray[np.bool_]:
    """Fine diagonal lines."""
    pitch = max(6, round(min(height, width) / 40))
    return np.asarray((np.arange(height)[:, None] + np.arange(width)) % pitch < max(1, pitch // 6))


def _outline_seen(picture: Image.Image, geometry: Geometry) -> None:
    """A fine line around what the network saw, where that is not the whole photo."""
    x0, y0, x1, y1 = (round(edge) for edge in geometry.seen)
    if (x0, y0, x1, y1) == (0, 0, *picture.size):
        return
    veil = Image.new("L", picture.size, 0)
    ImageDraw.Draw(veil).rectangle((x0 - 1, y0 - 1, x1, y1), outline=120, width=1)
    picture.paste(PAPER, mask=veil)


def _as_bytes(unit: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.asarray(np.round(np.clip(unit, 0, 1) * 255), dtype=np.uint8)


def _legible_side(photo: Photo) -> int:
    """The photo's long side, enlarged by a whole factor if the photo is too small to stand beside words."""
    factor = max(1, math.ceil(SMALLEST / min(photo.geometry.photo_size)))
    return min(factor * max(photo.geometry.photo_size), max(max(photo.geometry.photo_size), 4 * SMALLEST))
