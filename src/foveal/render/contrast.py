"""A wrong match on one line: query, wrong and right reference, where the wrong one won, and what flips the ranking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image

from foveal.render.figures import fit_photo, sentence
from foveal.render.overlay import INK, PAPER, fit, say
from foveal.render.scale import Scale
from foveal.render.tile_grid import GridTile, map_tile, signed, tile_grid, values_of

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from numpy.typing import NDArray
    from torch import Tensor

    from foveal.images import Photo, Place

SHOWN = 6  # contrasts on a sheet
LEGEND = (
    "Red is evidence for the wrong reference, blue for the right one. The margin map shows on the query what makes up "
    "the margin, similarity(wrong) − similarity(right); the maps on the references show the two "
    "similarities. Each sum is "
    "given; the rest belongs to no position (bias terms, or "
    "the constant part of a distance)."
)


class Flip(Protocol):
    """What must be hidden."""

    @property
    def hidden(self) -> Bool[Tensor, "H W"] | None: ...
    @property
    def pair_hidden(self) -> Bool[Tensor, "H W"] | None: ...
    @property
    def share(self) -> float | None: ...
    @property
    def pair_share(self) -> float | None: ...
    @property
    def summary(self) -> str: ...


class RightAndWrong(Protocol):
    """A query between two references."""

    @property
    def query(self) -> int: ...
    @property
    def wrong(self) -> int: ...
    @property
    def right(self) -> int: ...
    @property
    def query_photo(self) -> Photo: ...
    @property
    def wrong_photo(self) -> Photo: ...
    @property
    def right_photo(self) -> Photo: ...
    @property
    def query_map(self) -> Float[Tensor, "h w"]: ...
    @property
    def wrong_map(self) -> Float[Tensor, "h2 w2"]: ...
    @property
    def right_map(self) -> Float[Tensor, "h2 w2"]: ...
    @property
    def query_where(self) -> Place | None: ...
    @property
    def reference_where(self) -> Place | None: ...
    @property
    def margin(self) -> float: ...
    @property
    def flip(self) -> Flip | None: ...


class Ranked(Protocol):
    """Queries, ranked against references."""

    @property
    def contrasts(self) -> Sequence[RightAndWrong]: ...
    @property
    def names(self) -> tuple[list[str], list[str]]: ...
    @property
    def query_labels(self) -> tuple[str, ...]: ...
    @property
    def reference_labels(self) -> tuple[str, ...]: ...
    @property
    def metric(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def layer(self) -> str: ...
    @property
    def notes(self) -> tuple[str, ...]: ...
    @property
    def summary(self) -> str: ...
    def value(self, i: int, j: int) -> float: ...


def contrast_sheet(found: Ranked, *, most: int = SHOWN, side: int = 192) -> Image.Image:
    """The first contrasts below one another, under what was found."""
    shown = found.contrasts[:most]
    rows = [contrast_row(found, contrast, side) for contrast in shown]
    headings = [contrast_words(found, contrast) for contrast in shown]
    left = len(found.contrasts) - len(shown)
    more = [f"{left} more are in the result."] if left else []
    caption = " ".join([*([LEGEND] if shown else []), *more, *map(sentence, found.notes)])
    title = f"{sentence(found.summary)} {found.model}, {found.metric}, maps at {found.layer}"
    return tile_grid(rows or [[GridTile()] * 4], side=side, title=title, caption=caption, headings=headings)


def contrast_row(found: Ranked, contrast: RightAndWrong, side: int) -> list[GridTile]:
    """The photos, the margin on each of them, and what must be hidden."""
    q, w, r = contrast.query, contrast.wrong, contrast.right
    pictures = contrast_pictures(contrast, found.metric, side)
    first = "wrong" if contrast.margin > 0 else "best wrong"
    details = {
        "query": (f"query: {found.query_labels[q]}", found.names[0][q]),
        "wrong": (f"{first}: {found.reference_labels[w]}", f"{signed(found.value(q, w))}  {found.names[1][w]}"),
        "right": (f"right: {found.reference_labels[r]}", f"{signed(found.value(q, r))}  {found.names[1][r]}"),
        "margin": ("margin map", f"sum {signed(float(contrast.query_map.sum()))} of {signed(contrast.margin)}"),
        "on wrong": ("for the wrong", f"sum {signed(float(contrast.wrong_map.sum()))}"),
        "on right": ("for the right", f"sum {signed(-float(contrast.right_map.sum()))}"),
        "hidden": ("to hide", _share(contrast)),
    }
    return [GridTile(picture, *details[name]) for name, picture in pictures.items()]


def contrast_pictures(contrast: RightAndWrong, metric: str, side: int) -> dict[str, Image.Image]:
    """By name: query, wrong, right; margin, on wrong, on right; hidden, where hiding makes the first match right."""
    photos = contrast.query_photo, contrast.wrong_photo, contrast.right_photo
    maps = [values_of(contrast.query_map), values_of(contrast.wrong_map), -values_of(contrast.right_map)]
    here = _signed(maps[:1])
    theirs = _signed(maps[1:])  # one scale for both references
    where = contrast.query_where, contrast.reference_where, contrast.reference_where
    drawn = [
        map_tile(photo, map, place, side=side, unit=f"adds to {metric}", scale=scale)
        for photo, map, place, scale in zip(photos, maps, where, (here, theirs, theirs), strict=True)
    ]
    pictures = dict(zip(("query", "wrong", "right"), (fit_photo(photo, side) for photo in photos), strict=True))
    pictures |= dict(zip(("margin", "on wrong", "on right"), drawn, strict=True))
    if contrast.flip is not None:
        pictures["hidden"] = hidden_picture(contrast.query_photo, contrast.flip, side)
    return pictures


def hidden_picture(photo: Photo, flip: Flip, side: int) -> Image.Image:
    """The query without the positions whose hiding makes the first match right, or puts it behind a right one."""
    shown = fit(photo, side)
    hidden = flip.pair_hidden if flip.hidden is None else flip.hidden
    if hidden is None:
        return say(Image.fromarray((shown.pixels * 0.5).astype(np.uint8)), "the first match stays wrong")
    on_photo = shown.geometry.map_to_photo(hidden.cpu().float().numpy(), place=None)
    covered = np.nan_to_num(on_photo) > 0.5
    pixels = shown.pixels.copy()
    pixels[covered] = INK
    pixels[_rim(covered)] = PAPER  # dark on a dark photo would not be seen
    return Image.fromarray(pixels)


def _rim(area: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels of an area that have a neighbor outside it."""
    wide = np.pad(area, 1, mode="edge")
    inside = wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    rim: NDArray[np.bool_] = area & ~inside
    return rim


def contrast_words(found: Ranked, contrast: RightAndWrong) -> str:
    """What was found about one query, in a sentence or two."""
    who = f"{found.names[0][contrast.query]} ({found.query_labels[contrast.query]})"
    wrong, right = found.reference_labels[contrast.wrong], found.reference_labels[contrast.right]
    if contrast.margin > 0:
        said = f"{who} is matched to {wrong}: {signed(contrast.margin)} ahead of {right}"
    elif contrast.margin == 0:
        said = f"{who} is matched to {wrong}: a tie with {right}"
    else:
        said = f"{who} is matched rightly: {signed(-contrast.margin)} ahead of {wrong}"
    return f"{said}. {sentence(contrast.flip.summary)}" if contrast.flip else f"{said}."


def _signed(maps: Sequence[NDArray[np.floating]]) -> Scale:
    """One scale with both signs for all of them."""
    largest = max(float(np.abs(map[np.isfinite(map)]).max(initial=0)) for map in maps)
    return Scale("signed", largest or 1.0)


def _share(contrast: RightAndWrong) -> str:
    flip = contrast.flip
    if flip and flip.share is not None:
        return f"{100 * flip.share:.0f} % of the image"
    if flip and flip.pair_share is not None:
        return f"{100 * flip.pair_share:.0f} %: another is first"
    return "not flipped"
