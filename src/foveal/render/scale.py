"""From raw evidence to a place in a color table, with the numbers that a reader needs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from foveal.render.color import diverging, is_diverging, named, sequential

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8
    from numpy.typing import NDArray

Sign = Literal["auto", "positive", "negative", "signed"]
Limit: TypeAlias = "float | Literal['robust'] | None"

# Below this share of the largest positive value, a negative part is not worth a second color.
NEGLIGIBLE = 0.1
ROBUST = 0.98


@dataclass(frozen=True)
class Scale:
    """Which evidence is shown, and the absolute value that gets the last color."""

    sign: Literal["positive", "negative", "signed"]
    limit: float
    colors: str | None = None

    @property
    def table(self) -> UInt8[NDArray[np.uint8], "256 3"]:
        """The colors from the bottom of the bar to its top: of the named colormap, or foveal's own.

        Evidence of one sign gets its half of a diverging colormap.
        """
        if self.colors is None:
            whole = sequential() if self.sign == "positive" else diverging()
            halved = self.sign == "negative"
        else:
            whole = named(self.colors)
            halved = self.sign != "signed" and is_diverging(self.colors)
        if not halved:
            return whole
        return np.repeat(whole[128:] if self.sign == "positive" else whole[127::-1], 2, axis=0)

    @property
    def ends(self) -> tuple[float, float]:
        """The values at the bottom and at the top of the bar."""
        if self.sign == "signed":
            return -self.limit, self.limit
        return 0.0, self.limit if self.sign == "positive" else -self.limit

    def place(self, values: Float[NDArray[np.floating], "*shape"]) -> Float[NDArray[np.float32], "*shape"]:
        """0 at the bottom of the bar, 1 at its top; what lies beyond an end gets that end."""
        bottom, top = self.ends
        place = (values - bottom) / (top - bottom)
        return np.asarray(np.clip(place, 0, 1), dtype=np.float32)

    def exceeded_by(self, values: Float[NDArray[np.floating], "*shape"]) -> tuple[bool, bool]:
        """Whether values go beyond the bottom, and beyond the top: there the last color means "or more"."""
        towards_top = values[np.isfinite(values)] * np.sign(self.ends[1])
        beyond = self.limit * (1 + 1e-5)
        less = self.sign == "signed" and bool((towards_top < -beyond).any())
        return less, bool((towards_top > beyond).any())

    def strength(self, values: Float[NDArray[np.floating], "*shape"]) -> Float[NDArray[np.float32], "*shape"]:
        """How much of the shown evidence there is: 0 for none, 1 at the limit."""
        place = self.place(values)
        return np.abs(2 * place - 1) if self.sign == "signed" else place

    def color(self, values: Float[NDArray[np.floating], "*shape"]) -> UInt8[NDArray[np.uint8], "*shape 3"]:
        """The color of every value."""
        return self.table[np.round(self.place(values) * 255).astype(np.intp)]


def choose_scale(
    values: Float[NDArray[np.floating], "*shape"],
    *,
    sign: Sign = "auto",
    limit: Limit = None,
    colors: str | None = None,
) -> Scale:
    """The scale that shows these values: both signs if both matter, up to a limit.

    limit       None is the largest shown value. "robust" is the value that 98 % of the shown ones do not exceed:
                for the maps of early layers, where a few positions outshine all others. A number is itself.
    colors      the name of a colormap for the bar from bottom to top, see `foveal.render.color.named`.

    Values that are not finite are left out of account; where nothing can be shown the limit is 1.
    """
    finite = values[np.isfinite(values)].astype(np.float64)
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if sign == "auto":
        sign = "signed" if -low > NEGLIGIBLE * max(high, 0.0) else "positive"
    if isinstance(limit, (int, float)):
        return Scale(sign, float(limit), colors)
    size = np.abs(finite) if sign == "signed" else finite if sign == "positive" else -finite
    shown = size[size > 0]
    if not shown.size:
        return Scale(sign, 1.0, colors)
    return Scale(sign, float(np.quantile(shown, ROBUST) if limit == "robust" else shown.max()), colors)


def shared_sign(
    maps: Iterable[Float[NDArray[np.floating], ...]], sign: Sign = "auto"
) -> Literal["positive", "negative", "signed"]:
    """The sign that all maps of one sheet are drawn with, so that a color means one thing: signed if any needs it."""
    if sign != "auto":
        return sign
    return "signed" if any(choose_scale(values).sign == "signed" for values in maps) else "positive"


def ticks(scale: Scale, values: Float[NDArray[np.floating], "*shape"]) -> list[tuple[float, str]]:
    """Places on the bar, 0 at its bottom and 1 at its top, with their raw values: "> 8.3" where values go beyond."""
    bottom, top = scale.ends
    less, more = scale.exceeded_by(values)
    return [
        (0.0, ("< " if less else "") + number(bottom)),
        (0.5, number((bottom + top) / 2)),
        (1.0, (("> " if top > 0 else "< ") if more else "") + number(top)),
    ]


def nothing_to_show(values: Float[NDArray[np.floating], "*shape"], scale: Scale) -> str | None:
    """Why an overlay of these values would be blank or wrong, in words; None if it is neither."""
    broken = int((~np.isfinite(values)).sum())
    if broken:
        return f"{broken} of {values.size} values are not numbers"
    low, high = float(values.min()), float(values.max())
    if low == high == 0:
        return "no evidence: all values are zero"
    if scale.sign == "positive" and high <= 0:
        return f"no positive evidence: all values lie in {number(low)} to {number(high)}"
    if scale.sign == "negative" and low >= 0:
        return f"no negative evidence: all values lie in {number(low)} to {number(high)}"
    return None


def number(value: float) -> str:
    """Three significant digits, as a person writes them."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    if 1e-3 <= abs(value) < 1e5:
        short = f"{value:.3g}"
        return f"{value:.0f}" if "e" in short else short
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def percent(share: float) -> str:
    """A probability or share of 0..1 as a person reads it: "97.3 %", "< 0.001 %"."""
    if 0 < share < 1e-5:
        return "< 0.001 %"
    return f"{number(100 * share)} %"


def typeset(text: str) -> str:
    """Numbers with a minus sign instead of a hyphen."""
    return re.sub(r"-(?=\d)", "−", text)
