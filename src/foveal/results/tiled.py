"""What `foveal.tiles` gives: the map of a large image, and what each tile says."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar

from foveal.errors import ResultError
from foveal.render.drawing import ScaleRule
from foveal.render.scale import Sign, number, percent, typeset
from foveal.results.explanation import Explanation
from foveal.results.result import check_kind, finite

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    from foveal.storage.manifest import Saved

LISTED = 5  # tiles that are named and outlined


@dataclass(frozen=True)
class TileScore:
    """One tile: where it lies in pixels of the image (it may reach beyond), and the score of the target there."""

    x0: int
    y0: int
    x1: int
    y1: int
    score: float | None
    probability: float | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class TiledExplanation(Explanation):
    """The evidence in one large image, tile by tile.

    Everything an `Explanation` has, of one image: `map` is that of the whole image, and the photo is as small as it
    has to be to be drawn. Beside it

    tiles           each tile with its score, row by row.
    score           (1,), the pooled score; where each tile decides for itself, the largest.
    parameters      of the tiles, too: side (h, w), overlap (y, x) and pooling.
    """

    FORMAT: ClassVar[str] = "foveal-tiles/1"

    tiles: tuple[TileScore, ...] = field(repr=False)

    def ranked(self) -> tuple[int, ...]:
        """The numbers of the tiles, the highest score first; in their order where there is no score."""
        return tuple(sorted(range(len(self.tiles)), key=lambda k: -(self.tiles[k].score or 0.0)))

    def figure(
        self, kind: str = "layers", *, layers: Sequence[str] | None = None, side: int = 512, alpha: float | None = None,
        sign: Sign | None = None, scale: ScaleRule | float | None = None, colors: str | None = None,
        contour: bool | None = None, title: str | None = None,
    ) -> Image.Image:  # fmt: skip
        """The photo and the map, or the map with the outlines of the tiles of the highest scores.

        Args:
            kind: "layers", as an `Explanation` has it, or "tiles".
            side: long side of an overlay in pixels.
            layers, alpha, sign, scale, colors, contour, title: as in `Explanation.figure`; "tiles" has no title.

        Raises:
            ResultError: for a kind or layer that is not here, or a value that cannot be drawn with.
        """
        check_kind(kind, "layers", "tiles")
        drawn = self.drawn(alpha=alpha, sign=sign, scale=scale, colors=colors, contour=contour)
        if kind == "layers":
            return Explanation.figure(drawn, layers=layers, side=side, title=title)
        from foveal.render.outlined_tiles import outlined_tiles

        overlay = drawn.overlay(size=side, layer=(*(layers or self.layers),)[-1])
        chosen = [self.tiles[k] for k in self.ranked()[:LISTED]]
        boxes = [(tile.x0, tile.y0, tile.x1, tile.y1) for tile in chosen]
        words = ["" if tile.score is None else number(tile.score) for tile in chosen]
        return outlined_tiles(overlay, self.photos[0].geometry.input_size, side, boxes, words)

    def to_csv(self) -> str:
        """A table of the tiles: a line each, with its box in pixels of the image, score and probability."""
        text = io.StringIO()
        table = csv.DictWriter(text, [column.name for column in fields(TileScore)], lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(tile) for tile in self.tiles)
        return text.getvalue()

    def to_dict(self) -> dict[str, Any]:
        """What was explained, how, and what came out but for the map: the tiles, too."""
        return {**super().to_dict(), "tiles": [finite(asdict(tile)) for tile in self.tiles]}

    def _write(self, aside: Path) -> Mapping[str, Any]:
        self.figure("tiles", side=1024).save(aside / "tiles.png")
        return {**super()._write(aside), "tiles": [finite(asdict(tile)) for tile in self.tiles]}

    @classmethod
    def _fields(cls, saved: Saved) -> dict[str, Any]:
        try:
            tiles = tuple(TileScore(**tile) for tile in saved["tiles"])
        except TypeError as error:
            raise ResultError(f"Cannot read the tiles of this result: {error}.") from error
        return {**super()._fields(saved), "tiles": tiles}

    def __str__(self) -> str:
        lines = [super().__str__(), f"  {len(self.tiles)} tiles, the highest scores:"]
        for k in self.ranked()[:LISTED]:
            tile = self.tiles[k]
            chance = "" if tile.probability is None else f", {percent(tile.probability)}"
            score = "no score" if tile.score is None else f"score {typeset(number(tile.score))}"
            lines.append(f"    tile {k} at x {tile.x0} to {tile.x1}, y {tile.y0} to {tile.y1}: {score}{chance}")
        return "\n".join(lines)

    __repr__ = __str__
