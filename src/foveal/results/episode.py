"""The result of `foveal.episode`: a few-shot decision, and the evidence for each class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from foveal.errors import ResultError
from foveal.metrics.retrieval import wilson
from foveal.results.explanation import Explanation, explanation_facts, explanation_fields
from foveal.results.joined_parts import JoinedPart, JoinedParts
from foveal.results.result import Result, check_kind, checked_index, finite
from foveal.results.storage import read_photo, write_photo
from foveal.storage.arrays import described, read_arrays, write_arrays
from foveal.storage.naming import short_names

if TYPE_CHECKING:
    from pathlib import Path

    from jaxtyping import Float
    from PIL import Image
    from torch import Tensor

    from foveal.images import Photo
    from foveal.storage.manifest import Saved

ARRAYS = "episode.npz"
DRAWN = 20  # queries whose parts are drawn when an episode is saved
TOLD = 5  # classes that `str` lists for a query


@dataclass(frozen=True, eq=False)
class Episode(Result):
    """n queries, each assigned to a class of the support.

    evidence        class -> its explanation on all queries.
    support         class -> its examples.
    chances         (n, classes), the softmax of the similarities.
    labels          the class of each query, where known. One that is no class of the support is in no number.
    joined          the parts of every query with the examples of each class, where they were asked for; `parts` gives
                    those of one query.
    notes           assumptions and limits; those of the explanations are added.
    """

    FORMAT: ClassVar[str] = "foveal-episode/1"

    evidence: Mapping[str, Explanation]
    support: Mapping[str, tuple[Photo, ...]]
    chances: Float[Tensor, "n classes"]
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    joined: tuple[JoinedParts, ...] = ()

    def __post_init__(self) -> None:
        if len(self.joined) not in (0, len(self.evidence)):
            raise ResultError(
                f"An episode of {len(self.evidence)} classes has parts with {len(self.joined)}: give one each."
            )
        if len(self.labels) not in (0, len(self.chances)):
            raise ResultError(
                f"An episode of {len(self.chances)} queries has {len(self.labels)} labels: give one each."
            )
        told = (note for why in self.evidence.values() for note in why.notes)
        object.__setattr__(self, "notes", tuple(dict.fromkeys((*self.notes, *told))))

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.evidence)

    @property
    def decided(self) -> tuple[str, ...]:
        """The most likely class of each query."""
        return tuple(self.classes[k] for k in self.chances.argmax(1).tolist())

    @property
    def counted(self) -> tuple[int, ...]:
        """The queries whose label is a class of the support."""
        return tuple(i for i, label in enumerate(self.labels) if label in self.evidence)

    @property
    def wrong(self) -> tuple[int, ...]:
        """The queries that were assigned to another class than their own."""
        decided = self.decided
        return tuple(i for i in self.counted if self.labels[i] != decided[i])

    @property
    def accuracy(self) -> float:
        """The share of queries that were assigned to their own class, 0 to 1; NaN without labels."""
        return 1 - len(self.wrong) / len(self.counted) if self.counted else float("nan")

    @property
    def summary(self) -> str:
        """ "1 of 4 queries is assigned to a wrong class: accuracy 75.0 % (95 % interval …)"; "" without labels."""
        n, wrong, none = len(self.counted), len(self.wrong), len(self.labels) - len(self.counted)
        unknown = f"the label of {none} of {len(self.labels)} queries is none of these classes" if none else ""
        if not n:
            return unknown
        low, high = wilson(n - wrong, n)
        said = (
            f"{wrong} of {n} queries {'is' if wrong == 1 else 'are'} assigned to a wrong class: accuracy "
            f"{100 * self.accuracy:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f} %)"
        )
        return f"{said}; {unknown}" if unknown else said

    def verdict(self, i: int) -> str:
        """ "right" or "wrong"; "" for a query whose class is not known or not among the classes."""
        return "" if i not in self.counted else "wrong" if i in self.wrong else "right"

    def parts(self, i: int = 0, name: str | None = None) -> tuple[JoinedPart, ...]:
        """The parts of the similarity of query i to a class, by default the one decided; the largest first.

        Raises:
            ResultError: where no parts were asked for, or there is no such query or class.
        """
        return self._joined(i, name).of(checked_index(i, len(self.chances), "query"))

    def _joined(self, i: int, name: str | None) -> JoinedParts:
        name = self.decided[checked_index(i, len(self.chances), "query")] if name is None else name
        if name not in self.evidence:
            raise ResultError(f"This episode has no class {name!r}: it has {', '.join(self.classes)}.")
        if not self.joined:
            raise ResultError("This episode has no parts: foveal.episode(…, parts=5) finds them.")
        return self.joined[self.classes.index(name)]

    def figure(self, kind: str = "evidence", *, i: int = 0, name: str | None = None, side: int = 192) -> Image.Image:
        """Examples above; below, for each query, the evidence for each class less the mean over classes, on one scale.

        Of more than eight classes, the eight likeliest of each query are shown; of more than twenty queries, twenty,
        wrong ones first. "parts" shows the parts that query i shares with the examples of a class, by default of
        the one decided.
        """
        from foveal.render.episode import episode_sheet

        check_kind(kind, "evidence", "parts")
        if kind == "parts":
            return self._part_sheet(i, self.decided[i] if name is None else name, side)
        return episode_sheet(self, side=side)

    def _part_sheet(self, i: int, name: str, side: int) -> Image.Image:
        from foveal.render.joined_parts import joined_sheet

        parts, joined, why = self.parts(i, name), self._joined(i, name), next(iter(self.evidence.values()))
        if not parts:
            raise ResultError(f"There is nothing in the similarity of query {i} to {name} to divide into parts.")
        where = why.where.get(why.layer)
        return joined_sheet(
            (why.photos[i], short_names([photo.source for photo in why.photos])[0][i]),
            [(photo, name) for photo in self.support[name]], parts, places=(where, where), side=side,
            title=f"{joined.caption(i)} to {name}, divided among {len(parts)} parts; {why.model} at {why.layer}",
            notes=[f"at no position: {rest}" for rest in joined.rest(i)] + [*self.notes], what="example",
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """The class of each query, and how likely each class is."""
        first = next(iter(self.evidence.values()))
        return {
            "model": first.model, "method": first.method, "classes": list(self.classes), "decided": list(self.decided),
            "queries": [photo.source for photo in first.photos], "chances": finite(self.chances.tolist()),
            "support": {name: [photo.source for photo in photos] for name, photos in self.support.items()},
            **({"labels": list(self.labels), "accuracy": finite(self.accuracy)} if self.labels else {}),
            **({"parts": self._part_rows()} if self.joined else {}),
            "notes": list(self.notes), "seconds": self.seconds, "versions": dict(self.versions),
        }  # fmt: skip

    def _part_rows(self) -> list[dict[str, list[dict[str, Any]]]]:
        """Query by query, the parts that it shares with each class."""
        queries = range(len(self.chances))
        return [{name: [part.to_dict() for part in self.parts(i, name)] for name in self.classes} for i in queries]

    def _write(self, aside: Path) -> Mapping[str, Any]:
        """Figures (with parts one of each query), queries and examples, and episode.npz with the maps of each class."""
        self.figure().save(aside / "episode.png")
        first = next(iter(self.evidence.values()))
        arrays = {"chances": self.chances}
        for k, why in enumerate(self.evidence.values()):
            arrays |= {f"{k}/{layer}": map for layer, map in why.maps.items()}
        for k, parts in enumerate(self.joined):
            arrays |= parts.arrays(f"parts/{k}/")
        for i in range(min(DRAWN, len(self.chances))) if self.joined else ():
            if self.parts(i):
                self.figure("parts", i=i).save(aside / f"parts-{i:04d}.png")
        write_arrays(aside / ARRAYS, arrays)
        return {
            "evidence": [[name, explanation_facts(why)] for name, why in self.evidence.items()],
            "queries": [write_photo(aside, photo, f"query-{i:04d}") for i, photo in enumerate(first.photos)],
            "support": [
                [name, [write_photo(aside, photo, f"example-{k}-{i:04d}") for i, photo in enumerate(photos)]]
                for k, (name, photos) in enumerate(self.support.items())
            ],
            **({"distance": self.joined[0].distance} if self.joined else {}),
            "arrays": described(arrays), "notes": list(self.notes), "seconds": self.seconds,
            "versions": dict(self.versions), **({"labels": list(self.labels)} if self.labels else {}),
        }  # fmt: skip

    @classmethod
    def _read(cls, saved: Saved) -> Episode:
        with saved.open(ARRAYS) as file:
            arrays = read_arrays(file, saved["arrays"])
        queries = tuple(read_photo(saved, photo) for photo in saved["queries"])
        evidence = {}
        for k, (name, facts) in enumerate(saved["evidence"]):
            maps = {layer["name"]: arrays[f"{k}/{layer['name']}"] for layer in facts["layers"]}
            evidence[name] = Explanation(**explanation_fields(facts, maps, queries))
        support = {name: tuple(read_photo(saved, photo) for photo in photos) for name, photos in saved["support"]}
        return cls(
            evidence, support, arrays["chances"], tuple(saved["notes"]), float(saved["seconds"]), saved["versions"],
            tuple(map(str, saved.get("labels", ()))),
            tuple(
                JoinedParts.read(arrays, f"parts/{k}/", distance=bool(saved["distance"]))
                for k in range(len(evidence))
                if f"parts/{k}/similarity" in arrays
            ),
        )  # fmt: skip

    def __str__(self) -> str:
        first = next(iter(self.evidence.values()))
        lines = [f"{first.model}, {first.method}: {len(self.classes)} classes{'; ' * bool(self.summary)}{self.summary}"]
        columns = zip(first.photos, self.decided, self.chances.tolist(), strict=True)
        for i, (photo, name, row) in enumerate(columns):
            ranked = sorted(zip(row, self.classes, strict=True), key=lambda pair: -pair[0])
            said = ", ".join(f"{c} {100 * chance:.0f} %" for chance, c in ranked[:TOLD])
            more = f", {len(ranked) - TOLD} more" if len(ranked) > TOLD else ""
            other = f", wrong, it is {self.labels[i]}" if self.verdict(i) == "wrong" else ""
            lines.append(f"  {photo.source}: {name}{other}  ({said}{more})")
            lines += [f"    {line}" for line in (self._joined(i, name).lines(i) if self.joined else ())]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__
