"""What `foveal.parts` gives: an explanation by ranked parts, each with its map, its vector and its evidence."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from foveal.render.scale import number
from foveal.results.explanation import Explanation

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from jaxtyping import Float
    from PIL import Image
    from torch import Tensor

    from foveal.attention.grouping import Groups


@dataclass(frozen=True, eq=False, kw_only=True)
class Parts(Explanation):
    """The parts of n pictures in the order of their activity, and a decision divided among them.

    Everything an `Explanation` has; `map` is the first part's, a¹ ⊙ n. Beside it

    groups          maps, vectors, seeds, sizes (`foveal.attention.Groups`); `groups.display` (n, k, h, w) to look at.
    places          (n, h, w), what each place brings to the score, for and against.
    evidence        (n, k), the same by parts.
    remainder       (n,), what places bring that belong to no part; 0 where the network decides by the parts alone.
    offset          (n,), score − Σ evidence − remainder: biases, and what is not linear after the layer.
    uses_own_parts  the network itself decides by these vectors; if not, the parts describe its features.
    measured        layer -> "coverage", the share of the activity that resembles some seed; "gap", by how much each
                    seed beat the next best place.
    """

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
        """Of picture i's activity, the share that resembles some seed, 0..1."""
        found = self.measured[self.layer]
        assert isinstance(found, dict)
        return float(found["coverage"][i])

    def __getitem__(self, i: int) -> Parts:
        i = range(len(self))[i]
        one = super().__getitem__(i)
        assert isinstance(one, Parts)
        groups = {f.name: getattr(self.groups, f.name)[i : i + 1] for f in fields(self.groups)}
        own = ("places", "evidence", "remainder", "offset")
        rows = {name: getattr(self, name)[i : i + 1] for name in own}
        return replace(one, groups=type(self.groups)(**groups), **rows)

    def rank_picture(self, i: int = 0, *, side: int | None = None) -> Image.Image:
        """Picture i in grey, with the first part in red, the second in green, the third in blue, as published.

        Mixtures say that a place belongs to several: yellow to the first two, white to all three.
        """
        from foveal.render.parts import rank_picture

        return rank_picture(self, i, side=side)

    def palette_picture(self, i: int = 0, *, side: int | None = None, legend: bool = True) -> Image.Image:
        """Picture i with a colour a part, however many; each place in that of the part it belongs to most.

        legend      beside it: colours by rank, with the activity of the seed and the size of the group.
        """
        from foveal.render.parts import palette_picture

        return palette_picture(self, i, side=side, legend=legend)

    def figure(self, *, layers: Sequence[str] | None = None, side: int = 224) -> Image.Image:
        """A row a picture: photo, all parts together, each part alone, what no part covers, and the evidence.

        layers      there is one; it is named for the sake of `Explanation.figure`.
        """
        from foveal.render.parts import part_sheet

        return part_sheet(self, side=side)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """As an explanation, with parts.png, ranks.png a picture, and parts.npz for what is beside the map."""
        from foveal.results.parts_storage import save_parts

        return save_parts(self, Path(folder))

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Parts:
        """The parts saved in a folder; tensors on the CPU. ResultError if anything is missing or changed."""
        from foveal.results.parts_storage import load_parts

        return load_parts(Path(folder))

    def __str__(self) -> str:
        lines = [super().__str__()]
        for i in range(min(len(self), 3)):
            lines.append(f"  {self.photos[i].source}, {100 * self.coverage(i):.0f} % of the activity covered:")
            lines += [f"    {k + 1}  {self.words(k, i)}" for k in range(self.count)]
            lines.append(f"    remainder {number(float(self.remainder[i]))}, offset {number(float(self.offset[i]))}")
        return "\n".join(lines)

    __repr__ = __str__

    def words(self, k: int, i: int = 0) -> str:
        """Of part k of picture i: "activity 8.31, 46 of 400 places, evidence 2.1"."""
        groups = self.groups
        if not bool(groups.used[i, k]):
            return "empty: nothing was left"
        places = groups.maps[i, k].numel()
        return (
            f"activity {number(float(groups.scores[i, k]))}, {float(groups.sizes[i, k]):.0f} of {places} places, "
            f"evidence {number(float(self.evidence[i, k]))}"
        )
