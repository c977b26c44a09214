"""What two sets of decisions rest on: a row for each channel or part that they differ in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from PIL import Image

from foveal.render.class_tree import SHOWN, example_picture
from foveal.render.figures import sentence
from foveal.render.overlay import PAPER
from foveal.render.tile_grid import GridTile, tile_grid

if TYPE_CHECKING:
    from foveal.render.drawable_trees import BestExample, Graph, SharedFeature, SharedPlace


WORDS = {
    "share": (
        "the mean share of the decisions that it holds",
        "its share of that decision",
        "speaks against the decision",
    ),
    "score": ("the mean that it adds to the score (less the reference's)", "what it adds there", "lowers the score"),
}


class Differing(Protocol):
    """A feature that holds more of one set of decisions than of the other."""

    @property
    def members(self) -> Sequence[SharedFeature | None]: ...
    @property
    def is_decided(self) -> bool: ...
    def amount(self, value: float) -> str: ...


class Contrasted(Protocol):
    """Two sets of decisions."""

    @property
    def here(self) -> Sequence[Graph]: ...
    @property
    def there(self) -> Sequence[Graph]: ...
    @property
    def names(self) -> tuple[str, str]: ...
    @property
    def by(self) -> str: ...
    @property
    def gaps(self) -> Mapping[SharedPlace, Differing]: ...
    @property
    def notes(self) -> tuple[str, ...]: ...


def class_contrast_sheet(contrast: Contrasted, *, most: int = 8, side: int = 120) -> Image.Image:
    """The largest differences: to the left the best examples of one side, to the right those of the other."""
    gaps = list(contrast.gaps.values())[:most]
    here, there = contrast.names
    title = f"{here} ({len(contrast.here)}) and {there} ({len(contrast.there)}), {contrast.here[0].model}"
    what, crop, blue = WORDS[contrast.by]
    caption = (
        f"Above each row: {what}, {here} less {there}, and the 95 % interval of the difference (bootstrap over images, "
        f"each row by itself). Left: where most of {here} flows through it; right: of {there}; above each crop {crop}. "
        f"Blue {blue}."
    )
    more = len(contrast.gaps) - len(gaps)
    notes = [caption, *([f"{more} more are in the result."] if more else []), *map(sentence, contrast.notes)]
    rows = [_row(contrast, gap, side) for gap in gaps] or [[GridTile()] * (2 * SHOWN)]
    return tile_grid(rows, side=side, title=title, caption=" ".join(notes), headings=[_heading(gap) for gap in gaps])


def _row(contrast: Contrasted, gap: Differing, side: int) -> list[GridTile]:
    blank = Image.new("RGB", (side, side), PAPER)
    row = []
    for member, trees in zip(gap.members, (contrast.here, contrast.there), strict=True):
        examples = member.examples[:SHOWN] if member else ()
        row += [_tile(contrast, gap, trees[example.image], example, side) for example in examples]
        row += [GridTile(blank, "" if examples or k else "not found") for k in range(SHOWN - len(examples))]
    return row


def _tile(contrast: Contrasted, gap: Differing, tree: Graph, example: BestExample, side: int) -> GridTile:
    """By shares: blue is against the decision; by the score: blue is what lowers it."""
    value = example.carried if contrast.by == "share" else example.edge.mass
    picture = example_picture(tree, example, side, against=value < 0)
    return GridTile(picture, gap.amount(value), Path(tree.photo.source).name)


def _heading(gap: Differing) -> str:
    """ "layer4 part 2: 45.0 % less 3.0 % is 42.0 % [36.1 %, 47.2 %]; found in 12 and 1"."""
    found = " and ".join(str(member.found if member else 0) for member in gap.members)
    undecided = "" if gap.is_decided else ", undecided"
    return f"{gap}{undecided}; found in {found}"
