"""Parts of a similarity on both images: the same color and number here and there, on photos as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from foveal.render.figures import fit_photo, sentence
from foveal.render.overlay import fit
from foveal.render.parts import OUTLINE, number_parts, outlined, palette
from foveal.render.tile_grid import GridTile, tile_grid, values_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from numpy.typing import NDArray

    from foveal.images import Photo, Place
    from foveal.render.drawable import PartOfPair

LEVELS = ((0.5, 1.0), (0.75, 1.6))  # of a part's largest value, and the line's width
READING = (
    "Each part has one color and one number, on all images. Lines lie where a part's map reaches a half, and below "
    "also three quarters, of its largest value."
)
EFFECTS = (
    '"Without it": how the similarity changes without the part on one image, the mean of both.',
    '"Without it": how the distance changes without the part on both images.',
)
RESCALED = "A cosine rescales what is left, and so loses less than the share."
LENGTHS = '"Same lengths": the similarity before that.'


def joined_sheet(
    query: tuple[Photo, str],
    references: Sequence[tuple[Photo, str]],
    parts: Sequence[PartOfPair],
    *,
    places: tuple[Place | None, Place | None],
    side: int,
    title: str,
    notes: Sequence[str] = (),
    what: str = "reference",
    shown: int = 6,
) -> Image.Image:
    """All parts on all images; below, each part alone on the query and on the reference where it is strongest."""
    ours = np.stack([np.abs(values_of(part.query_map)) for part in parts])
    theirs = np.stack([np.abs(values_of(part.reference_maps)) for part in parts]).swapaxes(0, 1)
    images = [(query, ours, places[0]), *((one, map, places[1]) for one, map in zip(references, theirs, strict=True))]
    whole = [
        GridTile(_all(photo, maps, place, side), "query" if k == 0 else what, name)
        for k, ((photo, name), maps, place) in enumerate(images[: shown + 1])
    ]
    alone = []
    for k, part in enumerate(parts):
        strongest = int(theirs[:, k].sum((1, 2)).argmax())
        heading = f"{part.number}: {_percent(part.share)}"
        alone.append((
            GridTile(_one(query[0], ours, places[0], k, side), heading, _told(part)),
            GridTile(_one(references[strongest][0], theirs[strongest], places[1], k, side), "", _lengths(part)),
        ))  # fmt: skip
    said = [READING]
    said += [EFFECTS[parts[0].distance]] if _told(parts[0]) else []
    said += [RESCALED] if parts[0].effects["same lengths"] == parts[0].effects["same lengths"] else []
    said += [LENGTHS] if any(part.rescaled for part in parts) else []
    said += [f"Of {len(references)} {what}s {shown} are shown."] if len(references) > shown else []
    rows = [whole, *([tile[row] for tile in alone] for row in (0, 1))]
    return tile_grid(rows, side=side, title=title, caption=" ".join([*said, *map(sentence, notes)]))


def _all(photo: Photo, maps: Float[NDArray[np.floating], "k h w"], place: Place | None, side: int) -> Image.Image:
    """The photo with a line around each part, and its number where it is strongest."""
    fitted, some = fit(photo, side), [k for k in range(len(maps)) if maps[k].any()]
    picture = outlined(fitted, maps, place, palette(len(maps)), [(k, [(OUTLINE, 1.4)]) for k in some])
    shape = (maps.shape[1], maps.shape[2])
    seeds = {k: (int(maps[k].argmax()) // shape[1], int(maps[k].argmax()) % shape[1]) for k in some}
    number_parts(picture, fitted, seeds, shape, place, palette(len(maps)))
    return picture


def _one(
    photo: Photo, maps: Float[NDArray[np.floating], "k h w"], place: Place | None, k: int, side: int
) -> Image.Image:
    if not maps[k].any():
        return fit_photo(photo, side)
    return outlined(fit(photo, side), maps, place, palette(len(maps)), [(k, list(LEVELS))])


def _told(part: PartOfPair) -> str:
    """ "without it −4.9 %, random −0.2 %"; nothing where it is not measured."""
    lost = part.lost
    return "" if lost != lost else f"without it {_percent(-lost)}, random {_percent(-part.effects['random'])}"


def _lengths(part: PartOfPair) -> str:
    return f"same lengths {_percent(-part.effects['same lengths'])}" if part.rescaled else ""


def _percent(share: float) -> str:
    return f"{round(100 * share, 1) + 0.0:.1f} %".replace("-", "−")
