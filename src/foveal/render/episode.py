"""A few-shot episode on one sheet: what tells the classes apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from foveal.render.figures import fit_photo, sentence
from foveal.render.overlay import PAPER
from foveal.render.scale import Scale
from foveal.render.tile_grid import GridTile, map_tile, tile_grid, values_of
from foveal.storage.naming import short_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from foveal.images import Photo
    from foveal.render.drawable import ClassEvidence

SHOWN = 4  # examples of a class
MOST = 8  # classes beside one another
QUERIES = 20  # on a sheet
READING = (
    "Each map is the evidence for a class minus the mean over all classes: red is evidence for this class rather than "
    "the others, blue against it. The maps of a query share a scale."
)


def episode_sheet(episode: ClassEvidence, *, side: int = 192, most: int = MOST) -> Image.Image:
    """Examples above; below, for each query, what speaks for each class rather than for the others, on one scale."""
    first = next(iter(episode.evidence.values()))
    every = list(range(len(episode.classes)))
    fits = len(every) <= most
    rows = [_support(episode, every, side)] if fits else []
    names = short_names([photo.source for photo in first.photos])[0]
    queries = sorted(range(len(first.photos)), key=lambda i: i not in episode.wrong)[:QUERIES]
    for i in queries:
        photo = first.photos[i]
        shown = every if fits else episode.chances[i].argsort(descending=True, stable=True)[:most].tolist()
        if not fits:
            rows.append(_support(episode, shown, side))
        maps = [values_of(why.map[i]) for why in episode.evidence.values()]
        mean = np.mean(maps, 0)
        maps = [maps[k] - mean for k in shown]
        scale = _scale(maps)
        query = GridTile(fit_photo(photo, side), *_decision(episode, i, _file(photo, i, names[i])))
        chances = episode.chances[i].tolist()
        place = first.where.get(first.layer)
        rows.append([query, *(
            GridTile(map_tile(photo, map, place, side=side, unit="more than the mean", scale=scale),
                     f"{episode.classes[k]}: {100 * chances[k]:.0f} %")
            for k, map in zip(shown, maps, strict=True)
        )])  # fmt: skip
    more = [] if fits else [f"Of {len(every)} classes the {most} likeliest of each query are shown."]
    if len(queries) < len(first.photos):
        more.append(f"Of {len(first.photos)} queries {len(queries)} are shown.")
    if episode.wrong:
        more.append("Wrong ones come first.")
    asked = f"Which of {len(episode.classes)} classes? {first.model}, {_method(first.method)} at {first.layer}"
    return tile_grid(
        [row for row in rows if row],
        side=side,
        title=f"{sentence(episode.summary)} {asked}" if episode.summary else asked,
        caption=" ".join([READING, *more, *map(sentence, episode.notes)]),
    )


def _support(episode: ClassEvidence, shown: Sequence[int], side: int) -> list[GridTile]:
    """The examples of these classes; nothing where the support was given as embeddings."""
    names = [episode.classes[k] for k in shown]
    if not any(episode.support[name] for name in names):
        return []
    return [GridTile(), *(_examples(name, episode.support[name], side) for name in names)]


def _scale(maps: Sequence[NDArray[np.floating]]) -> Scale:
    largest = max(float(np.abs(map[np.isfinite(map)]).max(initial=0)) for map in maps)
    return Scale("signed", largest or 1.0)


def _method(name: str) -> str:
    """ "fam:weights=linear" in words."""
    base, _, options = name.partition(":")
    said = ", ".join(" ".join(reversed(option.split("=", 1))) for option in options.split(",") if option)
    return f"{base.upper() if base == 'fam' else base}{f' with {said}' if said else ''}"


def _file(photo: Photo, i: int, name: str) -> str:
    return f"query {i}" if photo.source in ("tensor", "image", "array") else name


def _decision(episode: ClassEvidence, i: int, name: str) -> tuple[str, str]:
    """The class of a query, and whether that is right."""
    verdict, decided = episode.verdict(i), episode.decided[i]
    if verdict == "wrong":
        return f"decided: {decided}, wrong", f"is {episode.labels[i]}: {name}"
    if episode.labels and not verdict:
        return f"decided: {decided}", f"none of these: {name}"
    return f"decided: {decided}{', right' if verdict else ''}", name


def _examples(name: str, photos: tuple[Photo, ...], side: int) -> GridTile:
    several = f"{len(photos)} example{'s' * (len(photos) != 1)}"
    more = f", {SHOWN} shown" if len(photos) > SHOWN else ""
    return GridTile(_mosaic(photos[:SHOWN], side) if photos else None, name, f"{several}{more}")


def _mosaic(photos: tuple[Photo, ...], side: int) -> Image.Image:
    """One photo, or up to four in a square."""
    if len(photos) == 1:
        return fit_photo(photos[0], side)
    half = side // 2 - 1
    whole = Image.new("RGB", (side, side if len(photos) > 2 else half), PAPER)
    for k, photo in enumerate(photos):
        picture = fit_photo(photo, half)
        x, y = (k % 2) * (half + 2), (k // 2) * (half + 2)
        whole.paste(picture, (x + (half - picture.width) // 2, y + (half - picture.height) // 2))
    return whole
