"""A flow as images: a strip from shallow to deep, an animation, how alike the layers are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from foveal.errors import ResultError
from foveal.images.planes import planar
from foveal.render.color import sequential
from foveal.render.curves import NamedCurve, curve_picture, ramp
from foveal.render.figures import MUTED, Layout, fit_photo, grid, paragraph, stacked
from foveal.render.overlay import INK, PAPER, fit
from foveal.render.reference_words import reference_words
from foveal.render.scale import number
from foveal.render.text import shorten, write

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from numpy.typing import NDArray
    from torch import Tensor

    from foveal.images import Photo
    from foveal.render.drawable import AuditedLayers, FlowMaps

KEPT, TOTAL, ASKED, WITHIN = (58, 110, 165), (178, 84, 62), (96, 140, 84), (140, 96, 160)
STEPS = 6  # frames from one layer to the next
STILL = 4  # frames that a layer stays


def film_strip(
    flow: FlowMaps, i: int = 0, *, side: int = 224, common: bool = False, audit: AuditedLayers | None = None,
    inside: Bool[NDArray[np.bool_], "h w"] | None = None,
) -> Image.Image:  # fmt: skip
    """Maps above, the share of neurons kept below, curves by depth under both."""
    if audit is not None and any(len(layer.score) != len(flow) for layer in audit):
        raise ResultError("this audit is of another flow: audit the flow that is drawn")
    largest = max(float(map[i].max()) for map in flow.maps.values()) if common else 0.0
    maps = [
        flow.overlay(i, layer=layer, sign="positive", scale=largest or "robust", color_bar=False, size=side)
        for layer in flow.layers
    ]
    masks = [mask_picture(flow, layer, i, side=side) for layer in flow.layers]
    layout = Layout(side, len(flow.layers) + 1, labeled=True)
    reference = reference_words(flow.parameters)
    legend = ramp(side, layout.size, ("0 %", "100 %"), "channels kept at a position:")
    sheet = grid(
        [[fit_photo(flow.photos[i], side), *maps], [legend, *masks]],
        columns=["photo", *(f"{layer}, {_size(flow, layer)}" for layer in flow.layers)],
        rows=["evidence\n" + "\n".join(flow.caption_lines(i)), f"neurons kept\n{_kept_words(flow)}"],
        title=f"Attention flow: {flow.method} of {flow.model}{f', compared with {reference}' if reference else ''}",
        side=side,
    )
    middles = [layout.edge + layout.column(j + 1) + side / 2 for j in range(len(flow.layers))]
    chart = curve_picture(
        _curves(flow, i, audit, inside), middles, width=sheet.width, height=round(side * 0.7), size=layout.size
    )
    caption = paragraph(_caption(flow, i, common), layout.width, layout.size, MUTED)
    margin = Image.new("RGB", (layout.edge + caption.width, caption.height + layout.edge), PAPER)
    margin.paste(caption, (layout.edge, 0))
    return stacked([sheet, chart, margin], edge=0, gap=layout.gap)


def _caption(flow: FlowMaps, i: int, common: bool) -> str:
    said = ["All layers share one color scale." if common else "Each layer has its own color scale (98th percentile)."]
    if _is_cropped(flow.photos[i]):
        said.append("Hatched areas were not seen by the network.")
    said.append("Evidence ÷ score: all evidence of a layer, for and against, as a share of the score.")
    reference = reference_words(flow.parameters)
    if reference is None:
        said.append("The biases after the layer add the rest, so this share can be negative or above 100 %.")
    else:
        rest = number(flow.number(flow.layers[0], "offset", i))
        said.append(
            f"The rest, {rest}, is the score of the reference: {reference}. Neurons kept: averaged over the positions "
            "that become one position of the next layer."
        )
    return " ".join((*said, *(f"{note[:1].upper()}{note[1:]}." for note in flow.notes)))


def _kept_words(flow: FlowMaps) -> str:
    """Which neurons these are."""
    mass = float(flow.parameters.get("mass", 1))
    return "those that influence the score" if mass == 1 else f"the fewest with {100 * mass:g} % of the evidence"


def _is_cropped(photo: Photo) -> bool:
    height, width = photo.geometry.photo_size
    return tuple(round(edge) for edge in photo.geometry.seen) != (0, 0, width, height)


def layer_rows(flow: FlowMaps, *, layers: Sequence[str] | None = None, side: int = 224) -> Image.Image:
    """One row of maps an image."""
    names = tuple(layers) if layers is not None else flow.layers
    cells = [
        [
            fit_photo(flow.photos[i], side),
            *_overlays(flow, i, side, names),
        ]
        for i in range(len(flow))
    ]
    return grid(
        cells,
        columns=("photo", *names),
        rows=["\n".join(flow.caption_lines(i)) for i in range(len(flow))],
        title=f"{flow.method} of {flow.model}",
        caption=" ".join(f"{note[:1].upper()}{note[1:]}." for note in flow.notes),
        side=side,
    )


def mode_sheet(flows: Sequence[FlowMaps], i: int = 0, *, side: int = 192) -> Image.Image:
    """Several flows of one image below one another: modes, or decisions."""
    first = flows[0]
    cells = [[fit_photo(flow.photos[i], side), *_overlays(flow, i, side)] for flow in flows]
    rows = [f"{flow.parameters['mode']}\n{flow.target[i]}" for flow in flows]
    return grid(cells, columns=("photo", *first.layers), rows=rows, title=first.model, side=side)


def mask_picture(flow: FlowMaps, layer: str, i: int = 0, *, side: int = 224) -> Image.Image:
    """The share of a layer's channels kept at each position: black for none, white for all; hatched where not seen.

    Differences hold back the grid of strides, so here the positions that become one of the next layer share a mean.
    """
    shown = fit(flow.photos[i], side)
    share = flow.kept[layer][i].detach().cpu().float().numpy()
    if "reference" in flow.parameters:
        share = _without_grid(share, flow, layer)
    cells, place = planar(share, flow.where.get(layer), shown.space)
    seen = shown.geometry.map_to_photo(cells, place=place)
    gray = (255 * np.nan_to_num(seen, nan=0.0).clip(0, 1)).round()[..., None].astype(np.uint8).repeat(3, axis=2)
    if not np.isnan(seen).any():
        return Image.fromarray(gray)
    around = flow.overlay(i, layer=layer, color_bar=False, size=side).resize(gray.shape[1::-1])
    return Image.fromarray(np.where(np.isnan(seen)[..., None], np.asarray(around), gray))


def _without_grid(share: Float[NDArray[np.float32], "h w"], flow: FlowMaps, layer: str) -> NDArray[np.float32]:
    """Means over the positions that become one position of the next layer."""
    deeper = flow.layers[flow.layers.index(layer) + 1 :]
    if not deeper:
        return share
    (h, w), (below, across) = share.shape, flow.kept[deeper[0]].shape[1:]
    tall, wide = max(1, round(h / below)), max(1, round(w / across))
    padded = np.pad(share, ((0, -h % tall), (0, -w % wide)), mode="edge")
    means = padded.reshape(padded.shape[0] // tall, tall, padded.shape[1] // wide, wide).mean((1, 3))
    return np.asarray(means.repeat(tall, 0).repeat(wide, 1)[:h, :w])


def _numbers(map: Tensor) -> NDArray[np.floating]:
    """In single precision at least."""
    tensor = map.detach().cpu()
    return np.asarray(tensor if tensor.element_size() > 4 else tensor.float())


def _curves(flow: FlowMaps, i: int, audit: AuditedLayers | None, inside: NDArray[np.bool_] | None) -> list[NamedCurve]:
    """By depth, as shares."""
    curves = [
        NamedCurve("neurons kept", KEPT, [flow.number(layer, "kept", i) for layer in flow.layers]),
        NamedCurve("evidence ÷ score", TOTAL, [_share(flow, layer, i) for layer in flow.layers]),
    ]
    if audit is not None:
        asked = [_survives(float(layer.score[i]), float(layer.without_abandoned[i])) for layer in audit]
        curves.append(NamedCurve("score, left-out neurons removed", ASKED, asked))
    if inside is not None:
        shown = [np.nan_to_num(flow.on_photo(i, layer=layer)) for layer in flow.layers]
        on = [float(map[inside].sum() / max(map.sum(), 1e-30)) for map in shown]
        curves.append(NamedCurve("evidence on the object", WITHIN, on))
    return curves


def correlation_picture(flow: FlowMaps, i: int = 0, *, cell: int = 64) -> Image.Image:
    """Pearson's correlation of the maps of each two layers, on the photo: where attention settles, a block forms."""
    shown = fit(flow.photos[i], 128)
    planes = [planar(_numbers(map[i]), flow.where.get(layer), shown.space) for layer, map in flow.maps.items()]
    maps = [shown.geometry.map_to_photo(cells, place=place) for cells, place in planes]
    pearson = correlations([np.asarray(map) for map in maps])
    size, count = max(11.0, cell / 5), len(maps)
    left = round(max(len(layer) for layer in flow.layers) * size * 0.6 + size)
    picture = Image.new("RGB", (left + count * cell + 8, round(size * 2) + count * cell + round(size * 2)), PAPER)
    draw = ImageDraw.Draw(picture)
    table = sequential()
    top = round(size * 2)
    for row, layer in enumerate(flow.layers):
        write(draw, (left - size / 2, top + (row + 0.5) * cell), layer, size, ink=INK, anchor="rm")
        write(draw, (left + (row + 0.5) * cell, top - size / 2), shorten(layer, size, cell), size, ink=INK, anchor="mb")
        for column in range(count):
            value = float(pearson[row, column])
            known = np.isfinite(value)
            color = tuple(int(c) for c in table[round(255 * max(0.0, value))]) if known else PAPER
            x, y = left + column * cell, top + row * cell
            draw.rectangle((x, y, x + cell - 2, y + cell - 2), fill=color)
            ink = INK if not known or sum(color) > 380 else PAPER
            write(draw, (x + cell / 2, y + cell / 2), f"{value:.2f}" if known else "–", size, ink=ink, anchor="mm")
    write(draw, (left, picture.height - size * 1.4), "correlation of the maps", size, ink=MUTED)
    return picture


def correlations(maps: Sequence[Float[NDArray[np.floating], "h w"]]) -> Float[NDArray[np.float64], "k k"]:
    """Pearson's, of each map with each, where all are defined; NaN for a map that is the same everywhere."""
    flat = np.stack([map.ravel() for map in maps]).astype(np.float64)
    flat = flat[:, np.isfinite(flat).all(0)]
    flat = flat - flat.mean(1, keepdims=True)
    length = np.linalg.norm(flat, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((flat @ flat.T) / np.outer(length, length))


def frames(flow: FlowMaps, i: int = 0, *, side: int = 320) -> list[Image.Image]:
    """Attention forming: each layer's overlay, named, melting into the next."""
    shown = [_named(picture, layer) for picture, layer in zip(_overlays(flow, i, side), flow.layers, strict=True)]
    film = [shown[0]] * STILL
    for before, after in pairwise(shown):
        film += [Image.blend(before, after, step / STEPS) for step in range(1, STEPS)]
        film += [after] * STILL
    return film


def _named(picture: Image.Image, name: str) -> Image.Image:
    size = max(12.0, picture.width / 18)
    whole = Image.new("RGB", (picture.width, picture.height + round(size * 1.8)), PAPER)
    whole.paste(picture, (0, 0))
    words = shorten(name, size, picture.width)
    write(ImageDraw.Draw(whole), (size / 2, picture.height + size * 0.9), words, size, ink=INK, anchor="lm")
    return whole


def _overlays(flow: FlowMaps, i: int, side: int, layers: Sequence[str] | None = None) -> list[Image.Image]:
    return [
        flow.overlay(i, layer=layer, sign="positive", scale="robust", color_bar=False, size=side)
        for layer in layers or flow.layers
    ]


def _size(flow: FlowMaps, layer: str) -> str:
    return "×".join(str(cells) for cells in flow.maps[layer].shape[1:])


def _share(flow: FlowMaps, layer: str, i: int) -> float:
    total, offset = flow.number(layer, "total", i), flow.number(layer, "offset", i)
    return total / (total + offset) if total + offset else float("nan")


def _survives(score: float, left: float) -> float:
    return left / score if score else float("nan")
