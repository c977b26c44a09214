"""What `foveal.retrieve` gives: many queries ranked against a gallery, and why the wrong ones are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from foveal.errors import MissingExtra, ResultError
from foveal.metrics.retrieval import average_precision, first_right, ranked_references, wilson
from foveal.metrics.statistics import Summary, summary
from foveal.results.contrast import Contrast
from foveal.results.result import Result, check_kind, finite
from foveal.storage.arrays import described, read_arrays, write_arrays
from foveal.storage.atomic import write_text
from foveal.storage.naming import short_names
from foveal.storage.table import line

if TYPE_CHECKING:
    from pathlib import Path

    from jaxtyping import Bool, Float
    from numpy.typing import NDArray
    from PIL import Image
    from torch import Tensor

    from foveal.storage.manifest import Saved

ARRAYS = "retrieval.npz"
TABLE = "queries.csv"
PLAIN = ("metric", "distance", "layer", "embedding", "model", "seconds")
TEXTS = ("queries", "references", "query_labels", "reference_labels")
COLUMNS = (
    "query", "label", "first", "first_label", "right", "rank_of_right", "best_right", "average_precision", "margin",
)  # fmt: skip
TOLD = 10  # wrong queries that `str` lists


@dataclass(frozen=True, eq=False)
class Retrieval(Result):
    """n queries against a gallery of m references.

        found = foveal.retrieve(model, queries, gallery, query_labels=…, reference_labels=…)
        print(found)  # 12 of 40 queries have a wrong first match: rank-1 70.0 %, mAP 61.2 %, …
        found.rank_1, found.mean_average_precision, found.cmc(5), found.wrong

    A query without any right reference is in no number. Of equal similarities the wrong one counts as the first.

    Attributes:
        similarity: (n, m), larger is closer; `value` gives the number people know the metric by.
        compared: (n, m), False for pairs that are left out: an image and itself.
        queries, references: what each is called: a path, or "query 3".
        query_labels, reference_labels: the label of each; empty where none are known.
        contrasts: right against wrong with maps, for the queries that are shown, the widest margins first.
        metric: what compares; `distance` says whether people know it as a distance.
        layer, embedding: where maps are drawn, and what is compared.
    """

    FORMAT: ClassVar[str] = "foveal-retrieval/1"

    similarity: Float[Tensor, "n m"]
    compared: Bool[Tensor, "n m"]
    queries: tuple[str, ...]
    references: tuple[str, ...]
    query_labels: tuple[str, ...]
    reference_labels: tuple[str, ...]
    metric: str
    distance: bool
    layer: str
    embedding: str
    model: str
    contrasts: tuple[Contrast, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        pairs = (len(self.queries), len(self.references))
        if 0 in pairs:
            raise ResultError(f"A retrieval needs a query and a reference, but got {pairs[0]} and {pairs[1]}.")
        if tuple(self.similarity.shape) != pairs or tuple(self.compared.shape) != pairs:
            raise ResultError(f"Similarities of a retrieval must be {pairs}, but are {tuple(self.similarity.shape)}.")
        labels = (len(self.query_labels), len(self.reference_labels))
        if labels not in (pairs, (0, 0)):
            raise ResultError(
                f"{labels[0]} and {labels[1]} labels for {pairs[0]} queries and {pairs[1]} references: "
                "give one label for each image"
            )

    def __len__(self) -> int:
        return len(self.queries)

    @cached_property
    def names(self) -> tuple[list[str], list[str]]:
        """What queries and references are called where there is little room: the last parts that tell them apart."""
        queries, references = short_names(self.queries, self.references)
        return queries, references

    @cached_property
    def right(self) -> Bool[NDArray[np.bool_], "n m"]:
        """(n, m), whether a reference has the query's label; all False without labels."""
        if not self.query_labels:
            return np.zeros(tuple(self.similarity.shape), bool)
        same: NDArray[np.bool_] = np.array(self.query_labels)[:, None] == np.array(self.reference_labels)[None]
        return same

    @cached_property
    def rankings(self) -> tuple[tuple[int, ...], ...]:
        """For each query its references from the most similar to the least."""
        ties = np.argsort(np.argsort(np.array(self.references), kind="stable"), kind="stable")
        similarity, compared = self.similarity.cpu().double().numpy(), self.compared.cpu().numpy()
        return tuple(
            tuple(ranked_references(similarity[i], self.right[i], compared[i], ties)) for i in range(len(self))
        )

    def ranking(self, i: int = 0) -> list[int]:
        """The references of query i from the most similar to the least.

        Raises:
            ResultError: for a query that there is not.
        """
        if not 0 <= i < len(self):
            raise ResultError(f"This retrieval has no query {i}: it has {len(self)} queries, counted from 0.")
        return list(self.rankings[i])

    @cached_property
    def counted(self) -> tuple[int, ...]:
        """The queries that have a right reference: all numbers are about these."""
        return tuple(i for i, ranking in enumerate(self.rankings) if self.right[i, list(ranking)].any())

    @cached_property
    def wrong(self) -> tuple[int, ...]:
        """The queries whose first match has another label, in their order."""
        return tuple(i for i in self.counted if not self.right[i, self.rankings[i][0]])

    @property
    def rank_1(self) -> float:
        """The share of queries whose first match is right, 0 to 1."""
        return self.cmc(1)

    @property
    def rank_1_interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of it."""
        return wilson(len(self.counted) - len(self.wrong), len(self.counted))

    @property
    def mean_average_precision(self) -> float:
        """mAP, 0 to 1."""
        return self.precision.mean

    @cached_property
    def precision(self) -> Summary:
        """The average precisions of the queries: their mean with its 95 % interval (bootstrap over queries)."""
        return summary([average_precision(self._hits(i)) for i in self.counted])

    def cmc(self, k: int) -> float:
        """The share of queries that have a right reference among their first k, 0 to 1; NaN without labels."""
        if not self.counted:
            return float("nan")
        return float(np.mean([(first_right(self._hits(i)) or k + 1) <= k for i in self.counted]))

    def margin(self, i: int) -> float:
        """Similarity of query i to the best wrong reference less that to the best right one; NaN where one is lacking.

        Above 0 the first match is wrong.
        """
        wrong, right = self.rivals(i)
        if wrong is None or right is None:
            return float("nan")
        return float(self.similarity[i, wrong]) - float(self.similarity[i, right])

    def rivals(self, i: int) -> tuple[int | None, int | None]:
        """The best wrong and the best right reference of query i; None where there is none."""
        ranking = self.rankings[i]
        wrong = next((j for j in ranking if not self.right[i, j]), None)
        return wrong, next((j for j in ranking if self.right[i, j]), None)

    def value(self, i: int, j: int) -> float:
        """The similarity, or the distance where the metric is one."""
        score = float(self.similarity[i, j])
        return -score if self.distance else score

    def rows(self) -> list[dict[str, Any]]:
        """One row per query: its first match, whether that is right, the rank of the first right one, and the margin.

        Labels and what follows from them are None where there are none.
        """
        return [self._row(i) for i in range(len(self))]

    def to_pandas(self) -> Any:
        """`rows` as a pandas DataFrame.

        Raises:
            MissingExtra: where pandas is not installed.
        """
        try:
            pandas: Any = import_module("pandas")
        except ImportError as error:
            raise MissingExtra("to_pandas() needs pandas, which is not installed: pip install pandas") from error
        return pandas.DataFrame(self.rows(), columns=list(COLUMNS))

    @property
    def summary(self) -> str:
        """ "12 of 40 queries have a wrong first match: rank-1 70.0 % (95 % interval 54.6 to 81.9 %), mAP …"."""
        n, m = len(self.counted), len(self.references)
        if not self.query_labels:
            sides = f"{len(self)} {'queries' if len(self) > 1 else 'query'} ranked against {m} reference{'s' * (m > 1)}"
            return f"{sides}; without labels, right and wrong are not known"
        if not n:
            return "no query has a reference with its label: right and wrong are not known"
        low, high = self.rank_1_interval
        wrong, precision = len(self.wrong), self.precision
        between = "" if np.isnan(precision.low) else f" (95 % interval {_range(precision.low, precision.high)})"
        return (
            f"{wrong} of {n} queries {'has' if wrong == 1 else 'have'} a wrong first match: rank-1 "
            f"{100 * self.rank_1:.1f} % (95 % interval {_range(low, high)}), "
            f"mAP {100 * precision.mean:.1f} %{between}, n = {n}"
        )

    def figure(self, kind: str = "wrong", *, side: int = 192) -> Image.Image:
        """The contrasts below one another: query, best wrong and best right reference, and where the margin lies.

        Args:
            kind: "wrong".
            side: of an image in pixels.

        Raises:
            ResultError: for a kind there is not.
        """
        from foveal.render.contrast import contrast_sheet

        check_kind(kind, "wrong")
        return contrast_sheet(self, side=side)

    def to_dict(self) -> dict[str, Any]:
        """The numbers, and one row per query."""
        low, high = self.rank_1_interval
        facts: dict[str, Any] = finite({
            **self._facts(),
            "summary": self.summary,
            "counted": len(self.counted), "wrong": len(self.wrong),
            "rank_1": self.rank_1, "rank_1_interval": [low, high],
            "mean_average_precision": self.precision.mean,
            "mean_average_precision_interval": [self.precision.low, self.precision.high],
            "cmc": {str(k): self.cmc(k) for k in (1, 5, 10, 20)},
            "queries": self.rows(),
            "references": list(self.references),
        })  # fmt: skip
        return facts

    def _facts(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in PLAIN}, "notes": list(self.notes), "versions": dict(self.versions)
        }  # fmt: skip

    def _hits(self, i: int) -> list[bool]:
        """For each rank whether it is right."""
        return [bool(self.right[i, j]) for j in self.rankings[i]]

    def _row(self, i: int) -> dict[str, Any]:
        ranking, known = self.rankings[i], i in self.counted
        first = ranking[0] if ranking else None
        best = self.rivals(i)[1] if known else None
        labeled = bool(self.reference_labels)
        values = (
            self.queries[i],
            self.query_labels[i] if labeled else None,
            None if first is None else self.references[first],
            self.reference_labels[first] if labeled and first is not None else None,
            i not in self.wrong if known else None,
            first_right(self._hits(i)) if known else None,
            None if best is None else self.references[best],
            average_precision(self._hits(i)) if known else None,
            self.margin(i) if known else None,
        )
        return dict(zip(COLUMNS, values, strict=True))

    def _write(self, aside: Path) -> Mapping[str, Any]:
        """queries.csv with one row per query, wrong.png, and retrieval.npz, also with the photos that are shown."""
        table = [line(COLUMNS), *(line(row.values()) for row in self.rows())]
        write_text(aside / TABLE, "".join(table))
        arrays = {"similarity": self.similarity, "compared": self.compared.byte()}
        for k, contrast in enumerate(self.contrasts):
            arrays |= {f"{k}/{name}": tensor for name, tensor in contrast.arrays().items()}
        write_arrays(aside / ARRAYS, arrays)
        if self.contrasts:
            self.figure().save(aside / "wrong.png")
        contrasts = [contrast.facts() for contrast in self.contrasts]
        texts = {name: list(getattr(self, name)) for name in TEXTS}
        return {**self._facts(), **texts, "arrays": described(arrays), "contrasts": contrasts}

    @classmethod
    def _read(cls, saved: Saved) -> Retrieval:
        with saved.open(ARRAYS) as file:
            arrays = read_arrays(file, saved["arrays"])
        with saved.open(TABLE):  # made of the rest, but part of the result: it must be as it was saved
            pass
        contrasts = [Contrast.read(facts, _below(arrays, f"{k}/")) for k, facts in enumerate(saved["contrasts"])]
        fields: dict[str, Any] = {
            **{name: tuple(saved[name]) for name in TEXTS},
            **{name: saved[name] for name in PLAIN},
        }
        return cls(
            arrays["similarity"], arrays["compared"].bool(), **fields, contrasts=tuple(contrasts),
            notes=tuple(saved["notes"]), versions=saved["versions"],
        )  # fmt: skip

    def __str__(self) -> str:
        lines = [f"{self.model}, {self.metric} of {self.embedding or 'the output'}: {self.summary}"]
        order = sorted(self.wrong, key=self.margin, reverse=True)
        for i in order[:TOLD]:
            row = self._row(i)
            lines.append(f"  {row['query']} ({row['label']}): first {row['first']} ({row['first_label']}), "
                         f"first right one at rank {row['rank_of_right']}")  # fmt: skip
        lines += [f"  … and {len(order) - TOLD} more wrong ones"] if len(order) > TOLD else []
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__


def _below(arrays: Mapping[str, Tensor], head: str) -> dict[str, Tensor]:
    return {name.removeprefix(head): tensor for name, tensor in arrays.items() if name.startswith(head)}


def _range(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {100 * high:.1f} %"
