"""What a file holds, number by number, and how that becomes a picture to look at and the network's source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from foveal.errors import ImageError, counted
from foveal.images.depth import Range, fits_8_bits, likely_white, range_notes, unit, usual_range
from foveal.images.selection import AS_IT_IS, Selection

if TYPE_CHECKING:
    from jaxtyping import Float32
    from numpy.typing import NDArray

DARKEST, BRIGHTEST = 2, 98
"""Percentiles of a band that are shown as black and white."""

STRETCHED = "stretched from percentile"
"""Words of the note on a picture whose values are not seen."""


@dataclass(frozen=True)
class Decoded:
    """An upright RGB picture, and what had to be decided to get it.

    Attributes:
        image: 8 bits a channel, to look at.
        deep: (H, W, c), black at 0 and white at 1, the same at full depth; None where 8 bits say it all.
        origin: where its pixels lie in space, in plain values, for maps that go back out; None where no file says so.
    """

    image: Image.Image
    notes: tuple[str, ...] = ()
    deep: Float32[NDArray[np.float32], "H W c"] | None = None
    origin: Mapping[str, Any] | None = None

    @property
    def source(self) -> Image.Image | Float32[NDArray[np.float32], "H W c"]:
        """What the network's input is made of."""
        return self.image if self.deep is None else self.deep


@dataclass(frozen=True, eq=False)
class Samples:
    """Upright samples as a file has them, before anybody says which are black and white.

    Attributes:
        values: (H, W) or (H, W, c).
        meant: the range that the file declares, or that its bits have; None where it says nothing.
        inverted: large values are dark.
        cut: the range is a window, beyond which all is black or white.
        clear: the color that stands for transparency, where one does.
        colors: the bands that the file itself says are red, green and blue.
        opaque: no band is opacity.
        unsaid: what a kind of file does not say, where it must not be guessed: "a NIfTI file".
    """

    values: NDArray[Any]
    meant: Range | None = None
    notes: tuple[str, ...] = ()
    inverted: bool = False
    cut: bool = False
    clear: object = None
    colors: tuple[int, ...] | None = None
    opaque: bool = False
    unsaid: str = ""
    origin: Mapping[str, Any] | None = None


def picture_of(samples: Samples, selection: Selection = AS_IT_IS) -> Decoded:
    """Samples as a picture.

    Raises:
        ImageError: for values beyond their range, a range that nobody says, and bands among which to choose.
    """
    _check_numbers(samples.values)
    if selection.bands is not None:
        return _bands(samples, selection)
    count = samples.values.shape[2] if samples.values.ndim == 3 else 1
    if count > (3 if samples.opaque else 4) or (samples.opaque and count == 2):
        if selection.asks:
            raise ImageError(
                f"it has {count} bands: declare those that the network takes, counted from 0, such as bands=(0, 1, 2) "
                "in the preprocessing."
            )
        return _looked_at(samples, selection)
    opaque = samples.opaque or count in (1, 3)
    colors = samples.values if opaque else samples.values[..., :-1]
    if not selection.asks and selection.range is None and not _is_known(samples, colors):
        return _looked_at(replace(samples, values=colors, opaque=True), selection)
    meant = _range(samples, selection, colors)
    light, clipped = _light(colors, meant, samples, selection)
    notes = (*samples.notes, *range_notes(colors, meant), *clipped)
    if float(light.min()) < 0 or float(light.max()) > 1:  # kept as they are, which no picture shows
        values = colors.reshape(*colors.shape[:2], -1)
        image, note = _composite(values, tuple(range(values.shape[2])))
        return Decoded(image, (*notes, note), light.reshape(values.shape), samples.origin)
    opacity = _opacity(samples, meant, opaque)
    if opacity is not None and bool((opacity < 1).any()):
        notes = (*notes, "transparent parts shown over white")
    if fits_8_bits(light) and (opacity is None or fits_8_bits(opacity)):
        layers = light if opacity is None else np.concatenate([light.reshape(*opacity.shape[:2], -1), opacity], 2)
        flat = _bytes(layers)
        return Decoded(_in_color(Image.fromarray(flat[..., 0] if flat.shape[2:] == (1,) else flat)), notes,
                       origin=samples.origin)  # fmt: skip
    light = light.reshape(*light.shape[:2], -1)
    light = light if opacity is None else light * opacity + (1 - opacity)
    seen = np.broadcast_to(_bytes(light), (*light.shape[:2], 3)).copy()
    return Decoded(Image.fromarray(seen), notes, light, samples.origin)


def over_white(layered: Image.Image) -> Image.Image:
    """What an RGBA picture looks like on a white page."""
    page = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(page, layered).convert("RGB")


def deep_pixels(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Pixels of any kind of number as 8 bits, by the range that this kind usually has."""
    return values if values.dtype == np.uint8 else _bytes(unit(values, usual_range(values)))


def _bands(samples: Samples, selection: Selection) -> Decoded:
    """The bands that the network takes, and three of them, or others, to look at."""
    values = samples.values.reshape(*samples.values.shape[:2], -1)
    taken, shown = selection.checked_bands(values.shape[2], samples.colors)
    chosen = values[..., list(taken)]
    meant = _range(samples, selection, chosen)
    light, clipped = _light(chosen, meant, samples, selection)
    image, note = _composite(values, shown)
    listed = ", ".join(map(str, taken))
    to_network = f"{counted(len(taken), 'band')} of {values.shape[2]} to the network: {listed}, counted from 0"
    notes = (*samples.notes, to_network, *range_notes(chosen, meant), *clipped, note)
    return Decoded(image, notes, light, samples.origin)


def _looked_at(samples: Samples, selection: Selection) -> Decoded:
    values = samples.values.reshape(*samples.values.shape[:2], -1)
    _, shown = replace(selection, bands=selection.bands or (0,)).checked_bands(values.shape[2], samples.colors)
    image, note = _composite(-values.astype(np.float32) if samples.inverted else values, shown)
    return Decoded(image, (*samples.notes, note), None, samples.origin)


def _composite(values: NDArray[Any], shown: tuple[int, ...]) -> tuple[Image.Image, str]:
    """Some bands as a picture, each stretched between its percentiles, and a note that says so."""
    picture = np.stack([_stretched(values[..., band]) for band in shown], 2)
    bands = ", ".join(map(str, shown))
    what = "is shown in gray" if len(shown) == 1 else "are shown as red, green and blue"
    note = (
        f"band{'s' * (len(shown) > 1)} {bands} {what}, {STRETCHED} {DARKEST} to {BRIGHTEST} to look at; the network "
        "gets the values"
    )
    return Image.fromarray(np.broadcast_to(picture, (*picture.shape[:2], 3)).copy()), note


def _stretched(band: NDArray[Any]) -> NDArray[np.uint8]:
    values = band.astype(np.float32)
    low, high = np.percentile(values, [DARKEST, BRIGHTEST])
    if high <= low:
        low, high = float(values.min()), float(values.max())
    return _bytes(((values - low) / ((high - low) or 1)).clip(0, 1).astype(np.float32))


def _range(samples: Samples, selection: Selection, values: NDArray[Any]) -> Range:
    """What is black and white: as the preprocessing says, else the file, else what such numbers usually mean."""
    meant = samples.meant
    if selection.range is not None:
        meant = Range(*selection.range, "the preprocessing")
    elif not _is_known(samples, values):
        raise ImageError(_unknown_range(samples, values))
    meant = meant or usual_range(values)
    return Range(meant.white, meant.black, meant.declared) if samples.inverted else meant


def _is_known(samples: Samples, values: NDArray[Any]) -> bool:
    """Whether nothing has to be asked about the range."""
    if samples.meant is None and samples.unsaid:
        return values.dtype in (np.uint8, np.bool_)
    return likely_white(values, samples.meant or usual_range(values)) is None


def _unknown_range(samples: Samples, values: NDArray[Any]) -> str:
    """What is asked, and a likely answer."""
    low, high = float(values.min()), float(values.max())
    if samples.unsaid:
        return (
            f"{samples.unsaid} does not say which values are black and white, and these go from {low:g} to {high:g}: "
            f"declare them, as range=({low:g}, {high:g}) in the preprocessing."
        )
    white = likely_white(values, usual_range(values))
    return (
        f"its {8 * values.dtype.itemsize}-bit pixels span {low:g} to {high:g}, and nothing declares which value is "
        f"white: declare range=(0, {white}) in the preprocessing if {white} is white, or range=(0, 65535) in the "
        "preprocessing if the image is so dark."
    )


def _light(
    values: NDArray[Any], meant: Range, samples: Samples, selection: Selection
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Black at 0 and white at 1, and a note on what lies beyond, where that is not an error."""
    if selection.range is None and not samples.cut:
        return unit(values, meant), ()
    light = unit(values, meant, bounded=False)
    beyond = float(((light < 0) | (light > 1)).mean())
    if not beyond:
        return light, ()
    least, most = sorted((meant.black, meant.white))
    share = f"{100 * beyond:.2g} % of the values lie beyond {least:g} to {most:g}"
    if not selection.clip:
        return light, (f"{share} and are kept",)
    return light.clip(0, 1), (f"{share} and are cut to black and white",)


def _opacity(samples: Samples, meant: Range, opaque: bool) -> NDArray[np.float32] | None:
    """(H, W, 1), 0 where a picture is transparent to 1; None where nothing says so."""
    values = samples.values
    if not opaque:
        alpha = values[..., -1:]
        most = max(meant.black, meant.white)
        return unit(alpha, replace(meant, black=0, white=most) if alpha.max() <= most else usual_range(alpha))
    if isinstance(samples.clear, int | tuple):
        key = np.broadcast_to(np.asarray(samples.clear), values.shape[2:] or (1,))
        return np.asarray((values.reshape(*values.shape[:2], -1) != key).any(2, keepdims=True), np.float32)
    return None


def _check_numbers(values: NDArray[Any]) -> None:
    if values.dtype.kind == "f" and (missing := int((~np.isfinite(values)).sum())):
        raise ImageError(f"{missing:,} of its {values.size:,} values are not numbers (NaN or infinite): fill them.")


def _in_color(image: Image.Image) -> Image.Image:
    return over_white(image.convert("RGBA")) if image.has_transparency_data else image.convert("RGB")


def _bytes(light: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.round(light * 255).astype(np.uint8)
