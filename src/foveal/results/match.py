"""The result of `foveal.match`: pairs of images, how similar they are, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from foveal.errors import ResultError
from foveal.images import Place
from foveal.render.scale import number
from foveal.results.joined_parts import JoinedPart, JoinedParts
from foveal.results.notes import photo_notes
from foveal.results.result import Result, check_kind, finite
from foveal.results.storage import read_photo, write_photo, write_picture
from foveal.storage.arrays import described, read_arrays, write_arrays
from foveal.storage.naming import plain_name, short_names

if TYPE_CHECKING:
    from jaxtyping import Float
    from PIL import Image
    from torch import Tensor

    from foveal.images import Photo
    from foveal.storage.manifest import Saved

ARRAYS = "match.npz"
TENSORS = ("similarity", "query_maps", "reference_maps", "contributions", "places", "unplaced")
WHERE = ("query_where", "reference_where")
KNOWN = ("query_labels", "reference_labels", "ranks")
UNNAMED = ("tensor", "image", "array")
DRAWN = 6  # references of a query whose parts are drawn when a match is saved
TOLD = 5  # queries and references that `str` lists
PLAIN = ("metric", "distance", "weights", "layer", "embedding", "model", "seconds")


@dataclass(frozen=True, eq=False)
class Match(Result):
    """n queries against m references.

    similarity      (n, m), larger is closer; `value` gives the usual number of the metric.
    query_maps      (n, m, h, w), raw: on query i, for its similarity to reference j.
    reference_maps  (n, m, h, w), the same on reference j, with the same channel weights.
    contributions   (n, m, e), what each channel adds; they sum to the similarity (of a linear head: less its offset).
    places          (n, m, k, 5), the strongest pairs of positions: row and column on the query's map, row and column
                    on the reference's, what they add; NaN where there are fewer than k.
    unplaced        (n, m), the part of the similarity from bias terms, at no position; NaN without lines.
    queries, references     the photos.
    metric          how embeddings are compared; `distance` says whether the metric is a distance.
    weights         channel weights of FAM: "contribution", "positive", "linear".
    layer, embedding        the layer of the maps, and the one whose output is the embedding; "" is the model's output.
    query_where, reference_where        where a map's positions lie on the network's input; None is edge to edge.
    query_labels, reference_labels      the label of each, where known; sheets then say which references are right.
    joined          the parts of every query with each reference, where they were asked for; see `parts`.
    ranks           (n, m), the ranks in a larger gallery that the references are taken from; empty if there is none.

    It draws itself, in a notebook too, prints a summary, and saves and loads itself.
    """

    FORMAT: ClassVar[str] = "foveal-match/1"

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
    query_labels: tuple[str, ...] = ()
    reference_labels: tuple[str, ...] = ()
    ranks: tuple[tuple[int, ...], ...] = ()
    joined: tuple[JoinedParts, ...] = ()

    def __post_init__(self) -> None:
        pairs = (len(self.queries), len(self.references))
        if 0 in pairs:
            raise ResultError(f"A match needs a query and a reference, but has {pairs[0]} and {pairs[1]}.")
        for name in TENSORS:
            tensor = getattr(self, name)
            if tuple(tensor.shape[:2]) != pairs or not tensor.is_floating_point():
                raise ResultError(f"The {name} of a match must be {pairs} …, but are {tuple(tensor.shape)}.")
        labels, ranks = (len(self.query_labels), len(self.reference_labels)), [len(row) for row in self.ranks]
        if len(self.joined) not in (0, pairs[1]):
            raise ResultError(
                f"A match with {pairs[1]} references has parts with {len(self.joined)}: give one for each."
            )
        if labels not in (pairs, (0, 0)) or ranks not in ([pairs[1]] * pairs[0], []):
            raise ResultError(f"Labels and ranks of a match must be as many as its images, {pairs}.")
        for side, maps, place in (
            ("queries", self.query_maps, self.query_where),
            ("references", self.reference_maps, self.reference_where),
        ):
            places = {(maps.shape[-2], maps.shape[-1]): place} if place else {}
            object.__setattr__(self, side, tuple(photo.with_places(places) for photo in getattr(self, side)))
        told = photo_notes((*self.queries, *self.references))
        object.__setattr__(self, "notes", tuple(dict.fromkeys((*self.notes, *told))))

    def value(self, i: int, j: int) -> float:
        """The similarity, or the distance where the metric is one."""
        score = float(self.similarity[i, j])
        return -score if self.distance else score

    def ranking(self, i: int = 0) -> list[int]:
        """The references from the most similar to the least."""
        return [int(j) for j in self.similarity[i].argsort(descending=True, stable=True)]

    def rank(self, i: int, j: int) -> int:
        """The rank of reference j for query i, from 1: in the larger gallery, if the references are taken from one."""
        return self.ranks[i][j] if self.ranks else self.ranking(i).index(j) + 1

    def verdict(self, i: int, j: int) -> str:
        """ "right" or "wrong": whether reference j has the label of query i; "" without labels."""
        if not self.query_labels:
            return ""
        return "right" if self.query_labels[i] == self.reference_labels[j] else "wrong"

    def shares(self, i: int = 0, j: int = 0) -> Float[Tensor, " e"]:
        """What each channel adds, as a share of all that is added and taken away; absolute values sum to 1."""
        p = self.contributions[i, j]
        return p / p.abs().sum().clamp(min=torch.finfo(p.dtype).tiny)

    def channels(self, i: int = 0, j: int = 0) -> str:
        """ "about 24 of 64 channels make up the similarity": 1 / Σ share²."""
        count = 1 / max(float((self.shares(i, j).double() ** 2).sum()), 1e-30)
        total = self.contributions.shape[2]
        what = "distance" if self.distance else "similarity"
        return f"about {min(count, total):.0f} of {total} channels make up the {what}"

    def parts(self, i: int = 0, j: int = 0) -> tuple[JoinedPart, ...]:
        """The parts of the similarity of query i and reference j, the largest first.

        Their values sum to the similarity, up to `joined[j].unplaced[i]`.

        Raises:
            ResultError: where no parts were asked for.
        """
        self._checked(i, j)
        if not self.joined:
            raise ResultError("This match has no parts: foveal.match(…, parts=5) finds them.")
        return self.joined[j].of(i)

    def caption(self, i: int = 0, j: int = 0) -> str:
        """ "cosine 0.83"."""
        return f"{self.metric}{' distance' if self.distance else ''} {number(self.value(i, j))}"

    def _checked(self, i: int, *references: int) -> None:
        n, m = len(self.queries), len(self.references)
        if not 0 <= i < n or not all(0 <= j < m for j in references):
            wrong = f"query {i}" if not 0 <= i < n else f"reference {next(j for j in references if not 0 <= j < m)}"
            raise ResultError(f"This match has no {wrong}: it has {n} queries and {m} references, counted from 0.")

    def name(self, photo: Photo, i: int, what: str) -> str:
        """The photo's file name, with its folder where files of one name must be told apart; or "query 0"."""
        return self._names.get(photo.source, f"{what} {i}")

    @cached_property
    def _names(self) -> dict[str, str]:
        both = (self.queries, self.references)
        paths = [[photo.source for photo in side if photo.source not in UNNAMED] for side in both]
        names: dict[str, str] = {}
        for side, short in zip(paths, short_names(*paths), strict=True):
            names |= zip(side, short, strict=True)
        return names

    def figure(
        self, kind: str = "references", *, i: int = 0, j: int | None = None, most: int | None = None,
        side: int | None = None, lines: int | None = None,
    ) -> Image.Image:  # fmt: skip
        """Query i against its references.

        Args:
            kind: "references": the most similar references below one another, with lines between positions and a few
                words; "strip": a rank list from left to right, photos and evidence on both images; "pair": with
                reference j alone; "parts": with reference j, the parts that both have, where they were asked for. Each
                map has its own scale, in per cent of its evidence.
            j: the reference of a pair; None is the most similar.
            most: how many references; None is 6 below or 5 beside one another.
            side: of an image in pixels; None is as large as is legible.
            lines: number of lines per pair; None is all.
        """
        from foveal.render.matching import match_sheet, pair_picture, rank_strip

        check_kind(kind, "references", "strip", "pair", "parts")
        self._checked(i, *(() if j is None else (j,)))
        if kind == "parts":
            return self._part_sheet(i, self.ranking(i)[0] if j is None else j, side or 224)
        if kind == "pair":
            return pair_picture(self, i, self.ranking(i)[0] if j is None else j, side=side or 384, lines=lines)
        if kind == "strip":
            return rank_strip(self, i, self.ranking(i)[: max(1, 5 if most is None else most)], side=side or 224)
        return match_sheet(self, i, most=6 if most is None else most, side=side or 320)

    def _part_sheet(self, i: int, j: int, side: int) -> Image.Image:
        from foveal.render.joined_parts import joined_sheet

        query, reference = self.queries[i], self.references[j]
        names = self.name(query, i, "query"), self.name(reference, j, "reference")
        parts = self.parts(i, j)
        if not parts:
            raise ResultError(
                f"There is nothing in the {self.metric} of {names[0]} and {names[1]} to divide into parts."
            )
        return joined_sheet(
            (query, names[0]), [(reference, names[1])], parts,
            places=(self.query_where, self.reference_where), side=side,
            title=f"{self.caption(i, j)}, divided among {len(parts)} parts; {self.model} at {self.layer}",
            notes=[f"at no position: {rest}" for rest in self.joined[j].rest(i)] + [*self.notes],
        )  # fmt: skip

    def control(self, i: int, match: int, mismatch: int, *, side: int = 320) -> Image.Image:
        """Query i beside a reference it should match and one it should not; the maps of a row share a scale.

        A map that looks the same in both columns does not explain the match.
        """
        from foveal.render.matching import rank_strip

        self._checked(i, match, mismatch)
        return rank_strip(self, i, [match, mismatch], headings=("match", "mismatch"), side=side, one_scale=True)

    def _shown(self) -> Sequence[tuple[Image.Image, str]]:
        shown = super()._shown()
        if self.joined and self.parts(0, j := self.ranking()[0]):
            told = "; ".join(self.joined[j].lines(0))
            shown = [*shown, (self.figure("parts"), f"The parts of the most similar pair: {told}")]
        return shown

    def to_dict(self) -> dict[str, Any]:
        """The settings, and every similarity; larger is closer."""
        return {
            **self._facts(),
            "similarity": finite(self.similarity.tolist()),
            "unplaced": finite(self.unplaced.tolist()),
            "queries": [photo.source for photo in self.queries],
            "references": [photo.source for photo in self.references],
            **({"parts": self._part_rows()} if self.joined else {}),
        }

    def _part_rows(self) -> list[list[list[dict[str, Any]]]]:
        """The parts of every query with every reference."""
        pairs = ([self.parts(i, j) for j in range(len(self.references))] for i in range(len(self.queries)))
        return [[[part.to_dict() for part in parts] for parts in row] for row in pairs]

    def _facts(self) -> dict[str, Any]:
        facts = {name: getattr(self, name) for name in PLAIN}
        return {**facts, "notes": list(self.notes), "versions": dict(self.versions)}

    def _write(self, aside: Path) -> Mapping[str, Any]:
        """For each query match.png, ranks.png and, with parts, parts-REFERENCE.png; the photos, and match.npz."""
        photos: dict[str, list[object]] = {"queries": [], "references": []}
        for what, listed in photos.items():
            for i, photo in enumerate(getattr(self, what)):
                kind = {"queries": "query", "references": "reference"}[what]
                listed.append(write_photo(aside, photo, f"{kind}-{self._stem(photo, i)}"))
        for i, photo in enumerate(self.queries):
            of = f"-{self._stem(photo, i)}" if len(self.queries) > 1 else ""
            write_picture(aside, self.figure(i=i, most=len(self.references)), f"match{of}")
            write_picture(aside, self.figure("strip", i=i, most=len(self.references)), f"ranks{of}")
            for j in self.ranking(i)[:DRAWN] if self.joined else ():
                to = f"-{self._stem(self.references[j], j)}" if len(self.references) > 1 else ""
                if self.parts(i, j):
                    write_picture(aside, self.figure("parts", i=i, j=j), f"parts{of}{to}")
        arrays = {name: getattr(self, name) for name in TENSORS}
        for j, parts in enumerate(self.joined):
            arrays |= parts.arrays(f"parts/{j}/")
        write_arrays(aside / ARRAYS, arrays)
        where = {name: place.to_dict() if (place := getattr(self, name)) else None for name in WHERE}
        known = {name: list(getattr(self, name)) for name in KNOWN if getattr(self, name)}
        return {**self._facts(), "arrays": described(arrays), **where, **photos, **known}

    def _stem(self, photo: Photo, i: int) -> str:
        """The photo's name in that of a file, without its ending."""
        return plain_name(self.name(photo, i, "").removesuffix(Path(photo.source).suffix))

    @classmethod
    def _read(cls, saved: Saved) -> Match:
        with saved.open(ARRAYS) as file:
            arrays = read_arrays(file, saved["arrays"])
        fields: dict[str, Any] = {
            **{name: arrays[name] for name in TENSORS},
            **{what: tuple(read_photo(saved, photo) for photo in saved[what]) for what in ("queries", "references")},
            **{name: saved[name] for name in PLAIN},
            **{name: tuple(map(str, saved.get(name, ()))) for name in KNOWN[:2]},
            "ranks": tuple(tuple(map(int, row)) for row in saved.get("ranks", ())),
            **{name: Place.from_dict(place) for name in WHERE if (place := saved.get(name, None))},
            "joined": tuple(
                JoinedParts.read(arrays, f"parts/{j}/", distance=bool(saved["distance"]))
                for j in range(len(saved["references"]))
                if f"parts/{j}/similarity" in arrays
            ),
        }
        return cls(**fields, notes=tuple(saved["notes"]), versions=saved["versions"])

    def ranking_lines(self, i: int, *, paths: bool = False) -> list[str]:
        """Query i and its first references, a line each, called by their names or by their whole paths."""

        def called(photo: Photo, number: int, what: str) -> str:
            return photo.source if paths else self.name(photo, number, what)

        lines = [f"  {called(self.queries[i], i, 'query')}"]
        for j in self.ranking(i)[:TOLD]:
            lines.append(
                f"    {called(self.references[j], j, 'reference')}: {self.caption(i, j)}; {self.channels(i, j)}"
            )
            lines += [f"      {line}" for line in (self.joined[j].lines(i) if self.joined else ())]
        return lines

    def __str__(self) -> str:
        n, m = self.similarity.shape
        lines = [f"{self.model}, {self.metric} of {self.embedding or 'the output'}: {_counted(n, m)}"]
        for i in range(min(n, TOLD)):
            lines += self.ranking_lines(i)
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__


def _counted(n: int, m: int) -> str:
    return f"{n} {'query' if n == 1 else 'queries'}, {m} reference{'s' * (m != 1)}"
