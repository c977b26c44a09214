"""Tiles and charts for a report, made from explanations and from what is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from foveal.engine.address import INPUT
from foveal.images import Geometry, Photo
from foveal.render.alt_text import describe_map
from foveal.render.charts import Bar, Bars
from foveal.render.overlay import draw_overlay, fit
from foveal.render.scale import Limit, Sign, choose_scale, number
from foveal.report.report import Tile

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from jaxtyping import Integer
    from numpy.typing import NDArray
    from PIL import Image

    from foveal.results import Explanation

SIDE = 300  # long side of a tile's picture in pixels


def photo_tile(photo: Photo, title: str, *, alt: str, side: int = 480) -> Tile:
    """The photo itself."""
    return Tile(title=title, picture=_as_image(fit(photo, side)), alt=alt)


def map_tile(
    why: Explanation,
    i: int = 0,
    *,
    title: str | None = None,
    layer: str | None = None,
    sign: Sign = "auto",
    scale: Literal["auto", "image", "robust"] = "auto",
    detail: str = "",
    verdict: bool | None = None,
    finding: str = "",
    side: int = SIDE,
) -> Tile:
    """Picture i's map on its photo, with its range and whatever was measured of it.

    title       None is the method's name.
    scale       whether the last color is the largest value or, "robust", the one that 98 % do not exceed; "auto" is
                robust for maps of pixels.
    detail      what comes after the range of values: "rank correlation 0.71".
    verdict     whether it agrees with what is known, `finding` says how: "top part: beak".
    """
    layer = layer or why.layer
    if scale == "auto":
        scale = "robust" if layer == INPUT else "image"
    map = why.maps[layer][i].detach().cpu().float().numpy()
    name = title if title is not None else why.method
    words = describe_map(map, why.photos[i].geometry, why.where.get(layer))
    return Tile(
        title=name,
        picture=why.overlay(i, layer=layer, sign=sign, scale=scale, color_bar=False, size=side),
        alt=f"{name} at {layer} for {why.target[i]}. {words}",
        detail=" · ".join(part for part in (_range(map, sign, None if scale == "image" else "robust"), detail) if part),
        verdict=verdict,
        finding=finding,
    )


def layer_tiles(why: Explanation, i: int = 0, *, side: int = SIDE) -> tuple[Tile, ...]:
    """One tile a layer, in the network's order, each named and with its map's size."""
    sizes = {layer: "×".join(str(cells) for cells in map.shape[1:]) for layer, map in why.maps.items()}
    return tuple(
        map_tile(why, i, title=layer, layer=layer, scale="robust", detail=sizes[layer], side=side)
        for layer in why.layers
    )


def known_tile(
    photo: Photo,
    labels: Integer[NDArray[np.integer], "H W"],
    codes: Mapping[str, int],
    effects: Mapping[str, float],
    *,
    title: str = "known evidence",
    detail: str = "",
    sign: Sign = "auto",
    side: int = SIDE,
) -> Tile:
    """The true effects painted on the parts they belong to, in the colors of the maps beside them.

    `labels` is a code a photo pixel, `codes` the code of each part's name, `effects` what each part does to the
    score; parts without an effect stay plain.
    """
    measured = {part: effect for part, effect in effects.items() if np.isfinite(effect)}
    values = np.zeros(labels.shape)
    for part in measured.keys() & codes.keys():
        values[labels == codes[part]] = measured[part]
    whole = Photo(photo.pixels, Geometry.identity(photo.geometry.photo_size), photo.source)
    strongest = sorted(measured, key=lambda part: -abs(measured[part]))[:3]
    said = ", ".join(f"{part} {number(measured[part])}" for part in strongest) or "none"
    return Tile(
        title=title,
        picture=draw_overlay(whole, values, sign=sign, color_bar=False, side=side, alpha=0.95),
        alt=f"True effect of each part on the score, measured by taking it away; the strongest: {said}.",
        detail=detail,
        known=True,
    )


def effect_bars(
    effects: Mapping[str, float],
    *,
    title: str = "true effect of each part",
    caption: str = "",
    decisive: Collection[str] = (),
) -> Bars:
    """The effects from most in favor to most against; decisive parts are marked."""
    ordered = sorted((part for part in effects if np.isfinite(effects[part])), key=lambda part: -effects[part])
    return Bars(title, tuple(Bar(part, effects[part], part in decisive) for part in ordered), caption)


def probability_bars(
    probabilities: Mapping[str, float], *, title: str = "prediction", caption: str = "", count: int = 3
) -> Bars:
    """The most probable classes."""
    likeliest = sorted(probabilities, key=lambda name: -probabilities[name])[:count]
    bars = tuple(Bar(name, probabilities[name], marked=i == 0) for i, name in enumerate(likeliest))
    return Bars(title, bars, caption, percent=True)


def _range(map: NDArray[np.floating], sign: Sign, limit: Limit) -> str:
    """The values at the ends of the colors, and whether some lie beyond."""
    scale = choose_scale(map, sign=sign, limit=limit)
    shown = number(scale.ends[1])
    if any(scale.exceeded_by(map)):
        shown += " and beyond"
    return f"±{shown}" if scale.sign == "signed" else f"0 to {shown}"


def _as_image(photo: Photo) -> Image.Image:
    from PIL import Image

    return Image.fromarray(photo.pixels)
