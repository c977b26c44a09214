"""What `foveal.match` gives: pairs of pictures, how similar, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from foveal.errors import ResultError
from foveal.render.scale import number

if TYPE_CHECKING:
    import os

    from jaxtyping import Float
    from PIL import Image
    from torch import Tensor

    from foveal.images import Photo, Place


@dataclass(frozen=True, eq=False)
class Match:
    """n queries against m references.

    similarity      (n, m), larger is closer; `value` gives the number people know the metric by.
    query_maps      (n, m, h, w), raw: on query i, for its similarity to reference j.
    reference_maps  (n, m, h, w), the same on reference j, with the same weights of channels.
    contributions   (n, m, e), what each channel adds; they sum to the similarity (of a linear head: less its offset).
    places          (n, m, k, 5), the strongest pairs of places: row and column on the query's map, row and column on
                    the reference's, what they add; NaN where there are fewer than k.
    unplaced        (n, m), what of the similarity no pair of places holds; NaN where lines were not asked for.
    queries, references     the photos.
    metric          what compares; `distance` says whether people know it as a distance.
    weights         how channels are weighed: "contribution", "positive", "linear".
    layer, embedding        where the maps are drawn, and what is compared.
    query_where, reference_where        where the cells of maps lie on the network's input; None is edge to edge.

    It draws itself (`picture`, `figure`), in a notebook too, prints a summary, and saves and loads itself.
    """

    similarity: Float[Tensor, "n m"]
    query_maps: Float[Tensor, "n m h w"]
    reference_maps: Float[Tensor, "n m h2 w2"]
    contributions: Float[Tensor, "n m e"]
    places: Float[Tensor, "n m k 5"]
    unplaced: Float[Tensor, "n m"]
    queries: tuple[Photo, ...]
    references: tuple[Photo, ...]
    metric: str
    distance: bool
    weights: str
    layer: str
    embedding: str
    model: str
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    query_where: Place | None = None
    reference_where: Place | None = None

    def __post_init__(self) -> None:
        pairs = (len(self.queries), len(self.references))
        if 0 in pairs:
            raise ResultError(f"A match needs a query and a reference, but got {pairs[0]} and {pairs[1]}.")
        for name in TENSORS:
            tensor = getattr(self, name)
            if tuple(tensor.shape[:2]) != pairs or not tensor.is_floating_point():
                raise ResultError(f"The {name} of a match must be {pairs} …, but are {tuple(tensor.shape)}.")
        for side, maps, place in (
            ("queries", self.query_maps, self.query_where),
            ("references", self.reference_maps, self.reference_where),
        ):
            places = {(maps.shape[-2], maps.shape[-1]): place} if place else {}
            object.__setattr__(self, side, tuple(photo.with_places(places) for photo in getattr(self, side)))

    @property
    def remarks(self) -> tuple[str, ...]:
        """The notes, and what is odd about the photos."""
        from foveal.results.notes import photo_remarks

        return (*self.notes, *photo_remarks((*self.queries, *self.references)))

    def value(self, i: int, j: int) -> float:
        """The similarity, or the distance where the metric is one."""
        score = float(self.similarity[i, j])
        return -score if self.distance else score

    def ranking(self, i: int = 0) -> list[int]:
        """The references from the most similar to the least."""
        return [int(j) for j in self.similarity[i].argsort(descending=True, stable=True)]

    def shares(self, i: int = 0, j: int = 0) -> Float[Tensor, " e"]:
        """What each channel adds, as a share of all that is added and taken away; absolute values sum to 1."""
        p = self.contributions[i, j]
        return p / p.abs().sum().clamp(min=torch.finfo(p.dtype).tiny)

    def words(self, i: int = 0, j: int = 0) -> str:
        """ "cosine 0.83"."""
        return f"{self.metric}{' distance' if self.distance else ''} {number(self.value(i, j))}"

    def _checked(self, i: int, *references: int) -> None:
        n, m = len(self.queries), len(self.references)
        if not 0 <= i < n or not all(0 <= j < m for j in references):
            wrong = f"query {i}" if not 0 <= i < n else f"reference {next(j for j in references if not 0 <= j < m)}"
            raise ResultError(f"This match has no {wrong}: it is of {n} queries and {m} references, counted from 0.")

    def name(self, photo: Photo, i: int, what: str) -> str:
        """The photo's file name, or "query 0"."""
        if photo.source in ("tensor", "image", "array"):
            return f"{what} {i}"
        return Path(photo.source).name

    def picture(self, i: int = 0, j: int | None = None, *, side: int = 384, lines: int | None = None) -> Image.Image:
        """Query i and reference j (None: the most similar), maps on one scale, lines between places."""
        from foveal.render.matching import pair_picture

        self._checked(i, *(() if j is None else (j,)))
        return pair_picture(self, i, self.ranking(i)[0] if j is None else j, side=side, lines=lines)

    def figure(self, i: int = 0, *, most: int = 6, side: int = 320) -> Image.Image:
        """A sheet for query i: the most similar references below one another, with the channels that say so."""
        from foveal.render.matching import match_sheet

        self._checked(i)
        return match_sheet(self, i, most=most, side=side)

    def strip(self, i: int = 0, *, most: int = 5, side: int = 224) -> Image.Image:
        """A rank list for query i: the most similar references from left to right, evidence on both, one scale."""
        from foveal.render.matching import rank_strip

        self._checked(i)
        return rank_strip(self, i, self.ranking(i)[: max(1, most)], side=side)

    def control(self, i: int, match: int, mismatch: int, *, side: int = 320) -> Image.Image:
        """Query i beside a reference it should match and one it should not, on one scale.

        A map that looks alike in both columns does not tell what makes the match.
        """
        from foveal.render.matching import rank_strip

        self._checked(i, match, mismatch)
        return rank_strip(self, i, [match, mismatch], headings=("match", "mismatch"), side=side)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """The folder, now holding a sheet a query, the photos, match.npz and manifest.json; whole or not at all."""
        from foveal.results.match_storage import save_match

        return save_match(self, Path(folder))

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Match:
        """The match saved in a folder; tensors on the CPU. ResultError if anything is missing or changed."""
        from foveal.results.match_storage import load_match

        return load_match(Path(folder))

    def __str__(self) -> str:
        n, m = self.similarity.shape
        lines = [f"match of {self.model}: {n} against {m}, by {self.metric} of {self.embedding or 'the output'}"]
        for i in range(min(n, 5)):
            lines.append(f"  {self.name(self.queries[i], i, 'query')}")
            for j in self.ranking(i)[:5]:
                p = self.contributions[i, j]
                top = ", ".join(f"{int(k)}: {number(float(p[k]))}" for k in p.abs().topk(min(3, len(p))).indices)
                lines.append(f"    {self.name(self.references[j], j, 'reference')}: {self.words(i, j)}; channels {top}")
        return "\n".join([*lines, *(f"  note: {remark}" for remark in self.remarks)])

    __repr__ = __str__

    def _repr_png_(self) -> bytes:
        from foveal.render.fragment import png

        return png(self.figure())


TENSORS = ("similarity", "query_maps", "reference_maps", "contributions", "places", "unplaced")
