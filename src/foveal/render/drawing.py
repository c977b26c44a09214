"""How maps are drawn: the choices that overlays, figures and the command line share."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from foveal.errors import ResultError
from foveal.render.color import named
from foveal.render.scale import Limit, Scale, Sign, choose_scale

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

ScaleRule = Literal["auto", "image", "batch", "robust"]
SMALLEST, LARGEST = 16, 32768  # pixels


@dataclass(frozen=True)
class Drawing:
    """How a map is drawn on its photo.

    size        long side of the drawn photo in pixels; None is the photo's own, 2048 at most.
    alpha       how far the strongest evidence covers the photo, 0..1; None is 0.65, and 0.5 on gray photos.
    sign        "positive", "negative", "signed", or "auto": signed if the negative part is worth a color.
    scale       the value that gets the last color: the largest of this "image", of the "batch", a number, or "robust",
                the 98th percentile of this map. "auto" is robust for maps of pixels, else image.
    colors      the name of a colormap, such as "viridis" (needs `pip install 'foveal[colormaps]'`); None is foveal's
                own.
    contour     lines at a quarter, a half and three quarters of the scale instead of a veil.

    Raises:
        ResultError: for a value that cannot be drawn with.
        MissingExtra: where a colormap is named and the package `cmap` is not installed.
    """

    size: int | None = None
    alpha: float | None = None
    sign: Sign = "auto"
    scale: ScaleRule | float = "auto"
    colors: str | None = None
    contour: bool = False

    def __post_init__(self) -> None:
        if self.size is not None and not SMALLEST <= self.size <= LARGEST:
            raise ResultError(f"Cannot draw with size {self.size}: give {SMALLEST} to {LARGEST} pixels.")
        if self.alpha is not None and not 0 <= self.alpha <= 1:
            raise ResultError(f"Cannot draw with alpha {self.alpha}: give a number from 0 to 1.")
        if self.sign not in get_args(Sign):
            raise ResultError(f"Cannot draw the sign {self.sign!r}: give {_listed(get_args(Sign))}.")
        number = isinstance(self.scale, int | float) and 0 < self.scale < math.inf
        if not number and self.scale not in get_args(ScaleRule):
            rules = ", ".join(map(repr, get_args(ScaleRule)))
            raise ResultError(f"Cannot draw to the scale {self.scale!r}: give {rules} or a number above 0.")
        if self.colors is not None:
            named(self.colors)

    def with_given(self, **given: Any) -> Self:
        """The same with those choices that are not None."""
        assert given.keys() <= {field.name for field in fields(self)}
        return replace(self, **{name: value for name, value in given.items() if value is not None})


def _listed(words: tuple[str, ...]) -> str:
    return f"{', '.join(map(repr, words[:-1]))} or {words[-1]!r}"


def scale_of(maps: Float[Tensor, "n h w"], i: int, drawing: Drawing, *, robust: bool) -> Scale:
    """The color scale of one of the maps of a layer; `robust` is what the scale "auto" means: "robust" or "image"."""
    rule = drawing.scale if drawing.scale != "auto" else "robust" if robust else "image"
    values = maps.detach().cpu().float().numpy()
    if rule == "batch":
        return choose_scale(values, sign=drawing.sign, colors=drawing.colors)
    limit: Limit = None if rule == "image" else rule
    return choose_scale(values[i], sign=drawing.sign, limit=limit, colors=drawing.colors)
