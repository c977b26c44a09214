"""The result of `foveal.measure`: every metric of every explanation, image by image, with tests and tables to paste."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from foveal.errors import ResultError
from foveal.metrics.metric import sign_of
from foveal.metrics.paired import LEVEL, PairedComparison, compare_pairs, differences, images_needed, sign_flip_p
from foveal.metrics.statistics import Summary, holm, ranked, summary
from foveal.results.data_frame import data_frame
from foveal.results.result import Result, check_kind, finite
from foveal.results.score_table import (
    DAGGER,
    STAR,
    STARRED,
    beaten_lines,
    cell_texts,
    labeled,
    pairs_table,
    score_table,
)
from foveal.storage import table as tables
from foveal.storage.atomic import utf8

if TYPE_CHECKING:
    from PIL import Image

    from foveal.render.typeset import TypesetTable
    from foveal.storage.manifest import Saved

TABLE = "scores.csv"
ROW = ("picture", "target", "score", "method")


@dataclass(frozen=True, eq=False)
class Scores(Result):
    """m explanations of n images.

    values          explanation -> metric -> n numbers, NaN where undefined. Baseline maps have brackets: "(random)".
    pictures        where each image is from.
    target          the decision about each.
    whole           the score of each image, unchanged.
    of              what the score is: "probability of the class".
    baseline_maps   those of the explanations that ignore the network or the decision.
    setting         what the experiments were made with.
    forwards        number of forward passes of altered copies.

    It prints a table, tests differences, and saves and loads itself: `to_markdown`, `to_html`, `to_latex`, `to_csv`,
    `to_pandas`, `pairwise`. Means are over images for which the metric is defined; how many are not is always said.
    """

    FORMAT: ClassVar[str] = "foveal-scores/1"

    values: Mapping[str, Mapping[str, tuple[float, ...]]]
    pictures: tuple[str, ...]
    target: tuple[str, ...]
    whole: tuple[float, ...]
    of: str
    baseline_maps: tuple[str, ...] = ()
    model: str = ""
    setting: Mapping[str, Any] = field(default_factory=dict)
    forwards: int = 0
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.pictures)
        wrong = [
            (name, metric) for name, by_metric in self.values.items() for metric, v in by_metric.items() if len(v) != n
        ]
        if wrong or not self.values:
            raise ResultError(f"Scores need one number per image ({n}); {wrong[:1] or 'there are none'} does not fit.")
        for name, by_metric in self.values.items():
            if set(by_metric) != set(self.metrics):
                raise ResultError(
                    f"Scores need the same metrics for each method ({', '.join(self.metrics)}); {name!r} has others."
                )

    @property
    def methods(self) -> tuple[str, ...]:
        """What was measured, baseline maps last."""
        return tuple(self.values)

    @property
    def metrics(self) -> tuple[str, ...]:
        """By what."""
        return tuple(next(iter(self.values.values())))

    def summary(self, method: str, metric: str) -> Summary:
        """Mean, 95 % interval by bootstrap, number of images, number undefined."""
        return summary(self._of(method, metric))

    @property
    def title(self) -> str:
        """ "resnet18: 4 images, probability of the class"."""
        n = len(self.pictures)
        about = [f"{n} image{'s' * (n != 1)}", *([self.of] if self.of else [])]
        return f"{self.model}{': ' if self.model else ''}{', '.join(about)}"

    def best(self, metric: str) -> str | None:
        """The method with the best mean, baseline maps left out; None for a property without a better direction."""
        means = self._means(metric)
        own = [name for name in means if name not in self.baseline_maps]
        return max(own, key=lambda name: means[name]) if sign_of(metric) and own else None

    def ahead(self, metric: str) -> tuple[str, ...]:
        """The baseline maps with a better mean than every method."""
        best, means = self.best(metric), self._means(metric)
        if best is None:
            return ()
        return tuple(name for name in self.baseline_maps if means.get(name, -math.inf) > means[best])

    def significance(self, metric: str) -> dict[str, float]:
        """The p-value of each against the best method: paired sign-flip permutation test, Holm's correction."""
        best = self.best(metric)
        rest = [name for name in self.methods if name != best]
        if best is None or not rest:
            return {}
        each = [differences(self._of(name, metric), self._of(best, metric)) for name in rest]
        return holm(dict(zip(rest, sign_flip_p(np.stack(each, 1)).tolist(), strict=True)))

    def not_worse(self, metric: str) -> tuple[str, ...]:
        """The best method and all that are not significantly worse; empty where no difference is significant."""
        best, p = self.best(metric), self.significance(metric)
        means = self._means(metric)
        worse = [
            name for name in p if p[name] < LEVEL and best is not None and means.get(name, -math.inf) < means[best]
        ]
        return tuple(name for name in self.methods if name not in worse and name in means) if worse else ()

    def pairwise(self, metric: str | None = None) -> list[PairedComparison]:
        """Tests and effect sizes of all pairs of methods by a metric, or by all; baseline maps are left out.

        Each metric is corrected for its own pairs (Holm). `pandas.DataFrame(map(vars, scores.pairwise()))` is a table.
        """
        metrics = self.metrics if metric is None else (metric,)
        own = [name for name in self.methods if name not in self.baseline_maps]
        return [
            pair
            for name in metrics
            for pair in compare_pairs({m: self._of(m, name) for m in own}, name, sign=sign_of(name) or 1)
        ]

    def ranks(self, metric: str) -> dict[str, float]:
        """The mean rank over images, 1 for the best; images where one is undefined are left out."""
        sign = sign_of(metric) or 1
        table = np.round([self._of(name, metric) for name in self.methods], 7)  # errors of rounding decide no rank
        table = table[:, np.isfinite(table).all(0)]
        if not table.size:
            return dict.fromkeys(self.methods, math.nan)
        each = np.array([ranked(-sign * column) for column in table.T])
        return dict(zip(self.methods, each.mean(0).tolist(), strict=True))

    def beaten(self, method: str, metric: str) -> tuple[str, ...]:
        """The baseline maps that this method beats in the mean."""
        sign, own = sign_of(metric), self.summary(method, metric).mean
        return tuple(name for name in self.baseline_maps if sign * (own - self.summary(name, metric).mean) > 0)

    def beside(self, others: Scores) -> Scores:
        """With other methods on the same images, measured alike; methods that are in both stay as they are here."""
        if self.pictures != others.pictures or self.metrics != others.metrics:
            raise ResultError("Only scores of the same images by the same metrics can stand side by side.")
        return replace(
            self,
            values={**self.values, **{name: own for name, own in others.values.items() if name not in self.values}},
            baseline_maps=tuple(dict.fromkeys((*self.baseline_maps, *others.baseline_maps))),
            forwards=self.forwards + others.forwards,
            notes=tuple(dict.fromkeys((*self.notes, *others.notes))),
            seconds=self.seconds + others.seconds,
        )

    @staticmethod
    def joined(parts: Sequence[Scores]) -> Scores:
        """One result of several about other images, measured alike."""
        first = parts[0]
        if any(part.methods != first.methods or part.metrics != first.metrics for part in parts):
            raise ResultError("Only scores of the same methods by the same metrics can be joined.")
        return replace(
            first,
            values={
                name: {m: tuple(v for part in parts for v in part.values[name][m]) for m in first.metrics}
                for name in first.methods
            },
            pictures=tuple(picture for part in parts for picture in part.pictures),
            target=tuple(target for part in parts for target in part.target),
            whole=tuple(score for part in parts for score in part.whole),
            forwards=sum(part.forwards for part in parts),
            notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
            seconds=sum(part.seconds for part in parts),
        )

    def rows(self) -> Iterator[dict[str, Any]]:
        """One row per image and explanation, as the CSV file has them; None where undefined."""
        for name, by_metric in self.values.items():
            for i, picture in enumerate(self.pictures):
                measured = {metric: values[i] for metric, values in by_metric.items()}
                yield row_of(picture, self.target[i], self.whole[i], name, measured)

    def to_csv(self) -> str:
        """Per-image values, one row per image and explanation; empty where undefined."""
        lines = [tables.line((*ROW, *self.metrics))]
        for name, by_metric in self.values.items():
            for i, picture in enumerate(self.pictures):
                row = (picture, self.target[i], float(self.whole[i]), name)
                lines.append(tables.line((*row, *(float(by_metric[metric][i]) for metric in self.metrics))))
        return "".join(lines)

    def figure(self, kind: str = "means", *, side: int = 720) -> Image.Image:
        """The mean of each explanation by each metric with its 95 % interval, `side` pixels wide."""
        from foveal.render.bar_sheet import BarBlock, SpreadBar, bar_sheet

        check_kind(kind, "means")
        blocks = []
        for metric in self.metrics:
            summaries = {name: self.summary(name, metric) for name in self.methods}
            texts = cell_texts(self, metric)
            bars = [
                SpreadBar(name, summary.mean, summary.half if summary.n > 1 else 0.0, texts[name])
                for name, summary in summaries.items()
            ]
            blocks.append(BarBlock(labeled(metric), bars))
        return bar_sheet(self.title, blocks, " ".join(f"{note}." for note in self.notes), width=side)

    def _write(self, aside: Path) -> Mapping[str, Any]:
        """The table, scores.csv."""
        (aside / TABLE).write_bytes(utf8(self.to_csv()))
        return self._facts()

    @classmethod
    def _read(cls, saved: Saved) -> Scores:
        """Rows are in the order in which `to_csv` wrote them: an explanation after the other."""
        _, *rows = tables.rows(saved.text_of(TABLE))
        names, metrics, n = saved["methods"], saved["metrics"], len(saved["pictures"])
        if len(rows) != len(names) * n or any(len(row) != len(ROW) + len(metrics) for row in rows):
            raise ValueError(f"{TABLE} has not a row for each explanation and image")
        values = {}
        for k, name in enumerate(names):
            own = rows[k * n : (k + 1) * n]
            values[name] = {m: tuple(tables.number(row[len(ROW) + j]) for row in own) for j, m in enumerate(metrics)}
        return cls(
            values, tuple(saved["pictures"]), tuple(saved["target"]), tuple(saved["whole"]), saved["of"],
            tuple(saved["baseline_maps"]), saved["model"], saved["setting"], saved["forwards"], tuple(saved["notes"]),
            saved["seconds"], saved["versions"],
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Everything but the values: means with intervals by method and metric, and the tests of all pairs."""
        means = {name: {m: asdict(self.summary(name, m)) for m in self.metrics} for name in self.methods}
        pairs = [asdict(pair) for pair in self.pairwise()]
        return {name: finite(value) for name, value in {**self._facts(), "means": means, "pairwise": pairs}.items()}

    def _facts(self) -> dict[str, Any]:
        return {
            "model": self.model, "of": self.of, "methods": list(self.methods), "metrics": list(self.metrics),
            "baseline_maps": list(self.baseline_maps), "pictures": list(self.pictures), "target": list(self.target),
            "whole": list(self.whole), "setting": dict(self.setting), "forwards": self.forwards,
            "notes": list(self.notes), "seconds": self.seconds, "versions": dict(self.versions),
        }  # fmt: skip

    def to_markdown(self, metrics: Sequence[str] | None = None, *, pairs: bool = False, by: str | None = None) -> str:
        """A table of means with its legend, one row per method.

        Args:
            metrics: the columns; None for all.
            pairs: also the tests of all pairs of methods, as a second table, where there are several images.
            by: the metric that orders the rows, best first.
        """
        return "\n".join(table.to_markdown() for table in self._tables(metrics, pairs, by))

    def to_html(self, metrics: Sequence[str] | None = None, *, pairs: bool = False, by: str | None = None) -> str:
        """The same as a fragment of HTML."""
        return "".join(table.to_html() for table in self._tables(metrics, pairs, by))

    def to_latex(self, metrics: Sequence[str] | None = None, *, pairs: bool = False, by: str | None = None) -> str:
        """The same as LaTeX, which needs no package; the legend is the caption."""
        return "\n".join(table.to_latex() for table in self._tables(metrics, pairs, by))

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame`, one row per image and explanation: picture, target, score, method, and the metrics.

        Raises:
            MissingExtra: where pandas is not installed.
        """
        return data_frame(self.rows(), [*ROW, *self.metrics], instead="; to_csv() needs nothing")

    def _tables(self, metrics: Sequence[str] | None, pairs: bool, by: str | None) -> list[TypesetTable]:
        columns = tuple(metrics or self.metrics)
        tables = [score_table(self, columns, by=by)]
        several = len(self.pictures) > 1 and len(self.methods) - len(self.baseline_maps) > 1
        if pairs and several and any(map(sign_of, columns)):
            tables.append(pairs_table(self, columns))
        return tables

    def __str__(self) -> str:
        from rich.cells import cell_len, set_cell_size

        rows = [["", *self.methods], *([labeled(metric), *self._starred(metric)] for metric in self.metrics)]
        widths = [max(cell_len(row[k]) for row in rows) for k in range(len(rows[0]))]
        lines = [f"{self.title}; {self.forwards} forward passes, {seconds_text(self.seconds)}"]
        for first, *rest in rows:
            cells = (" " * (width - cell_len(cell)) + cell for cell, width in zip(rest, widths[1:], strict=True))
            lines.append("  " + "  ".join((set_cell_size(first, widths[0]), *cells)).rstrip())
        if any(cell.endswith(STAR) for _, *cells in rows[1:] for cell in cells):
            n, needed = len(self.pictures), images_needed(len(self.methods) - 1)
            doubt = f"; too few images for a test (n = {n}, {needed} needed)" if n < needed else ""
            lines.append(f"  {STAR} the best mean of the methods{doubt}")
        lines += [f"  {line}" for line in beaten_lines(self, self.metrics)]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.to_html()

    def _starred(self, metric: str) -> list[str]:
        """The cells of a row, with a mark behind the best method, and behind baseline maps that beat it."""
        texts, best = cell_texts(self, metric), self.best(metric)
        own = [name for name in self.methods if name not in self.baseline_maps]
        marks = dict.fromkeys(self.ahead(metric), DAGGER)
        if best and self.summary(best, metric).n >= STARRED:
            tied = [name for name in own if texts[name] == texts[best]]
            marks |= dict.fromkeys(tied if len(tied) < len(own) else (), STAR)
        return [texts[name] + marks.get(name, "") for name in self.methods]

    def _means(self, metric: str) -> dict[str, float]:
        """Means, higher is better; without those that are defined for less than half as many images as others."""
        every = {name: self.summary(name, metric) for name in self.methods}
        most = max(summary.n for summary in every.values())
        sign = sign_of(metric) or 1
        return {name: sign * own.mean for name, own in every.items() if own.n and 2 * own.n >= most}

    def _of(self, method: str, metric: str) -> tuple[float, ...]:
        if method not in self.values:
            raise ResultError(f"There are no scores of {method!r}; there are {', '.join(self.methods)}.")
        if metric not in self.values[method]:
            raise ResultError(f"{metric!r} was not measured; there are {', '.join(self.metrics)}.")
        return self.values[method][metric]


def seconds_text(seconds: float) -> str:
    """ "6.9 s", "341 s"."""
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def row_of(picture: str, target: str, score: float, method: str, measured: Mapping[str, float]) -> dict[str, Any]:
    """A row of `Scores.rows`; None where undefined."""
    numbers = {metric: value if math.isfinite(value) else None for metric, value in measured.items()}
    return {"picture": picture, "target": target, "score": score, "method": method, **numbers}
