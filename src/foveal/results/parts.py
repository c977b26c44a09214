"""What `foveal.parts` gives: an explanation by ranked parts, each with its map, its vector and its evidence."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

from foveal.attention.grouping import Groups
from foveal.render.scale import number
from foveal.results.explanation import Explanation, slice_of
from foveal.results.result import check_kind, checked_index
from foveal.storage.arrays import described, read_arrays, write_arrays

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jaxtyping import Float
    from PIL import Image
    from torch import Tensor

    from foveal.storage.manifest import Saved

ARRAYS = "parts.npz"
BESIDE = ("places", "evidence", "remainder", "offset")
SHOWN = 3  # images of many in a notebook
GROUPS = tuple(field.name for field in fields(Groups))


@dataclass(frozen=True, eq=False, kw_only=True)
class Parts(Explanation):
    """The parts of n images in the order of their activity, and a decision divided among them.

    Everything an `Explanation` has; `map` is the first part's, a¹ ⊙ n. Beside it

    groups          maps, vectors, seeds, sizes (`foveal.attention.Groups`); `groups.display` (n, k, h, w) to look at.
    places          (n, h, w), what each position adds to the score, for and against.
    evidence        (n, k), the same by parts.
    remainder       (n,), what positions outside of all parts add; 0 where the network decides by the parts alone.
    offset          (n,), score − Σ evidence − remainder: biases, and what is not linear after the layer.
    uses_own_parts  the network itself decides by these vectors; if not, the parts describe its features.
    measured        layer -> "coverage", the share of the activity that resembles some seed; "gap", by how much each
                    seed beat the next best place.
    """

    FORMAT: ClassVar[str] = "foveal-parts/1"

    groups: Groups = field(repr=False)
    places: Float[Tensor, "n h w"] = field(repr=False)
    evidence: Float[Tensor, "n k"] = field(repr=False)
    remainder: Float[Tensor, " n"] = field(repr=False)
    offset: Float[Tensor, " n"] = field(repr=False)
    uses_own_parts: bool

    @property
    def count(self) -> int:
        """How many slots there are, empty ones included."""
        return self.groups.maps.shape[1]

    def coverage(self, i: int = 0) -> float:
        """Of image i's activity, the share that resembles some seed, 0..1."""
        i = checked_index(i, len(self))
        measured = self.measured[self.layer]
        assert isinstance(measured, dict)
        return float(measured["coverage"][i])

    def __getitem__(self, i: int | slice) -> Parts:
        rows = slice_of(i, len(self))
        parts = super().__getitem__(rows)
        assert isinstance(parts, Parts)
        groups = {f.name: getattr(self.groups, f.name)[rows] for f in fields(self.groups)}
        beside = {name: getattr(self, name)[rows] for name in BESIDE}
        return replace(parts, groups=type(self.groups)(**groups), **beside)

    def rank_picture(self, i: int = 0, *, side: int | None = None, legend: bool = True) -> Image.Image:
        """Image i's photo with an outline a part, in colors that color-blind readers tell apart, and its rank.

        Args:
            i: which image, counted from 0.
            side: long side of the photo in pixels; its own if left out, 2048 at most.
            legend: whether the parts' activity and evidence stand beside it.
        """
        from foveal.render.parts import rank_picture

        return rank_picture(self, checked_index(i, len(self)), side=side, legend=legend)

    def figure(  # type: ignore[override]
        self, kind: str = "parts", *, layers: Sequence[str] | None = None, side: int = 224
    ) -> Image.Image:
        """One row per image: photo, all parts together, each part alone, what no part covers, and the evidence.

        Args:
            kind: "parts".
            layers: there is one; it is named for the sake of `Explanation.figure`.
            side: of a photo in pixels.
        """
        from foveal.render.parts import part_sheet

        check_kind(kind, "parts")
        return part_sheet(self, side=side)

    def to_html(self, *, side: int = 224) -> str:
        """What a notebook shows: the figure of the first images, with cells of `side` pixels, and the numbers."""
        from foveal.render.fragment import result_fragment

        shown = self[:SHOWN]
        captions = (
            f"{shown.photos[i].source}: " + "; ".join(f"part {k + 1}, {shown.caption(k, i)}" for k in range(self.count))
            for i in range(len(shown))
        )
        return result_fragment([(shown.figure(side=side), f"Ranked parts. {'. '.join(captions)}.")], str(self))

    def _write(self, aside: Path) -> Mapping[str, Any]:
        self.figure().save(aside / "parts.png")
        for i in range(len(self)):
            number = f"-{i}" if len(self) > 1 else ""
            self.rank_picture(i).save(aside / f"ranks{number}.png")
        arrays = {name: getattr(self, name) for name in BESIDE}
        arrays |= {f"groups/{name}": getattr(self.groups, name) for name in GROUPS}
        write_arrays(aside / ARRAYS, arrays)
        return {**super()._write(aside), "parts": described(arrays), "uses_own_parts": self.uses_own_parts}

    @classmethod
    def _fields(cls, saved: Saved) -> dict[str, Any]:
        with saved.open(ARRAYS) as file:
            arrays = read_arrays(file, saved["parts"])
        groups = Groups(**{name: arrays[f"groups/{name}"] for name in GROUPS})
        more = {name: arrays[name] for name in BESIDE}
        return {**super()._fields(saved), "groups": groups, "uses_own_parts": bool(saved["uses_own_parts"]), **more}

    def __str__(self) -> str:
        lines = [super().__str__()]
        for i in range(min(len(self), SHOWN)):
            lines.append(f"  {self.photos[i].source}, {100 * self.coverage(i):.0f} % of the activity covered:")
            lines += [f"    {k + 1}  {self.caption(k, i)}" for k in range(self.count)]
            lines.append(f"    remainder {number(float(self.remainder[i]))}, offset {number(float(self.offset[i]))}")
        return "\n".join(lines)

    __repr__ = __str__

    def caption(self, k: int, i: int = 0) -> str:
        """Of part k of image i: "activity 8.31, 46 of 400 positions, evidence 2.1"."""
        k, i = checked_index(k, self.count, "part"), checked_index(i, len(self))
        groups = self.groups
        if not bool(groups.used[i, k]):
            return "empty: nothing was left"
        places = groups.maps[i, k].numel()
        return (
            f"activity {number(float(groups.scores[i, k]))}, {float(groups.sizes[i, k]):.0f} of {places} positions, "
            f"evidence {number(float(self.evidence[i, k]))}"
        )
