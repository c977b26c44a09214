"""What `foveal.measure` gives: every metric of every explanation, picture by picture, and what may be said of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from foveal.errors import ResultError
from foveal.metrics.metric import DIRECTIONS
from foveal.metrics.statistics import Summary, differ, holm, ranked, summary
from foveal.results.result import Result, check_kind, finite
from foveal.storage import table as tables
from foveal.storage.atomic import utf8

if TYPE_CHECKING:
    from PIL import Image

    from foveal.storage.manifest import Saved

TABLE = "scores.csv"
ROW = ("picture", "target", "score", "method")


@dataclass(frozen=True, eq=False)
class Scores(Result):
    """m explanations of n pictures.

    values          explanation -> metric -> n numbers, NaN where undefined. References stand in brackets: "(random)".
    pictures        where each is from.
    target          what was decided about each.
    whole           the number that was asked for, of each picture as it is.
    of              what number that is: "probability of the class".
    references      those of the explanations that know nothing of the network or of the decision.
    setting         what the experiments were made with.
    forwards        copies that went through the network.

    It prints a table, compares, and saves and loads itself. Means are over pictures for which the metric is defined;
    how many are not is always said.
    """

    FORMAT: ClassVar[str] = "foveal-scores/1"

    values: Mapping[str, Mapping[str, tuple[float, ...]]]
    pictures: tuple[str, ...]
    target: tuple[str, ...]
    whole: tuple[float, ...]
    of: str
    references: tuple[str, ...] = ()
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
            raise ResultError(f"Scores need a number a picture ({n}), which {wrong[:1] or 'nothing'} does not have.")
        for name, by_metric in self.values.items():
            if set(by_metric) != set(self.metrics):
                raise ResultError(f"Scores are by the same metrics, {', '.join(self.metrics)}, which {name!r} lacks.")

    @property
    def methods(self) -> tuple[str, ...]:
        """What was measured, references last."""
        return tuple(self.values)

    @property
    def metrics(self) -> tuple[str, ...]:
        """By what."""
        return tuple(next(iter(self.values.values())))

    def summary(self, method: str, metric: str) -> Summary:
        """Mean, 95 % interval by bootstrap, number of pictures, number undefined."""
        return summary(self._of(method, metric))

    def best(self, metric: str) -> str | None:
        """The explanation with the best mean, references included; None for a property that is no merit."""
        sign = _sign(metric)
        every = {name: self.summary(name, metric) for name in self.methods}
        most = max(summary.n for summary in every.values())
        # A method that has no value for most pictures is not the best of those that have.
        defined = {name: sign * summary.mean for name, summary in every.items() if summary.n and 2 * summary.n >= most}
        return max(defined, key=lambda name: defined[name]) if sign and defined else None

    def significance(self, metric: str) -> dict[str, float]:
        """The p-value of each against the best: paired by picture, signs flipped at random; Holm's correction."""
        best = self.best(metric)
        if best is None:
            return {}
        rest = [name for name in self.methods if name != best]
        return holm({name: differ(self._of(name, metric), self._of(best, metric)) for name in rest})

    def ranks(self, metric: str) -> dict[str, float]:
        """The mean rank over pictures, 1 for the best; pictures where one is undefined are left out."""
        sign = _sign(metric) or 1
        table = np.round([self._of(name, metric) for name in self.methods], 7)  # errors of rounding decide no rank
        table = table[:, np.isfinite(table).all(0)]
        if not table.size:
            return dict.fromkeys(self.methods, math.nan)
        each = np.array([ranked(-sign * column) for column in table.T])
        return dict(zip(self.methods, each.mean(0).tolist(), strict=True))

    def beaten(self, method: str, metric: str) -> tuple[str, ...]:
        """The references that this method beats in the mean."""
        sign, own = _sign(metric), self.summary(method, metric).mean
        return tuple(name for name in self.references if sign * (own - self.summary(name, metric).mean) > 0)

    @staticmethod
    def joined(parts: Sequence[Scores]) -> Scores:
        """One result of several about other pictures, measured alike."""
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
        """One a picture and explanation, as the CSV file has them; None where undefined."""
        for name, by_metric in self.values.items():
            for i, picture in enumerate(self.pictures):
                numbers = {metric: v[i] if math.isfinite(v[i]) else None for metric, v in by_metric.items()}
                yield {"picture": picture, "target": self.target[i], "score": self.whole[i], "method": name, **numbers}

    def to_csv(self) -> str:
        """Per-image values, a row a picture and explanation; empty where undefined."""
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
            bars = [
                SpreadBar(name, summary.mean, summary.half if summary.n > 1 else 0.0, _cell(summary))
                for name, summary in summaries.items()
            ]
            blocks.append(BarBlock(f"{metric} {ARROWS[DIRECTIONS.get(metric)]}".strip(), bars))
        title = f"{self.model}: {len(self.pictures)} picture{'s' * (len(self.pictures) != 1)}, {self.of}"
        return bar_sheet(title, blocks, " ".join(f"{note}." for note in self.notes), width=side)

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
            raise ValueError(f"{TABLE} has not a row for each explanation and picture")
        values = {}
        for k, name in enumerate(names):
            own = rows[k * n : (k + 1) * n]
            values[name] = {m: tuple(tables.number(row[len(ROW) + j]) for row in own) for j, m in enumerate(metrics)}
        return cls(
            values, tuple(saved["pictures"]), tuple(saved["target"]), tuple(saved["whole"]), saved["of"],
            tuple(saved["references"]), saved["model"], saved["setting"], saved["forwards"], tuple(saved["notes"]),
            saved["seconds"], saved["versions"],
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Everything but the values, and their means."""
        means = {name: {m: self.summary(name, m).mean for m in self.metrics} for name in self.methods}
        return {name: finite(value) for name, value in {**self._facts(), "means": means}.items()}

    def _facts(self) -> dict[str, Any]:
        return {
            "model": self.model, "of": self.of, "methods": list(self.methods), "references": list(self.references),
            "metrics": list(self.metrics), "pictures": list(self.pictures), "target": list(self.target),
            "whole": list(self.whole), "setting": dict(self.setting), "forwards": self.forwards,
            "notes": list(self.notes), "seconds": self.seconds, "versions": dict(self.versions),
        }  # fmt: skip

    def table(self, metrics: Sequence[str] | None = None) -> list[list[str]]:
        """A head and a row a metric; an arrow for the direction, "*" behind what is best."""
        rows = [["", *self.methods]]
        for metric in metrics or self.metrics:
            best = self.best(metric)
            cells = [_cell(self.summary(name, metric)) for name in self.methods]
            if len(set(cells)) > 1:
                cells = [cell + ("*" if best == name else "") for name, cell in zip(self.methods, cells, strict=True)]
            rows.append([f"{metric} {ARROWS[DIRECTIONS.get(metric)]}".strip(), *cells])
        return rows

    def __str__(self) -> str:
        table = self.table()
        widths = [max(len(row[k]) for row in table) for k in range(len(table[0]))]
        count = f"{len(self.pictures)} picture" + "s" * (len(self.pictures) != 1)
        lines = [f"{self.model}: {count}, {self.of}; {self.forwards} forwards, {self.seconds:.2g} s"]
        for first, *rest in table:
            cells = (cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))
            lines.append("  " + "  ".join((first.ljust(widths[0]), *cells)).rstrip())
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _of(self, method: str, metric: str) -> tuple[float, ...]:
        if method not in self.values:
            raise ResultError(f"There are no scores of {method!r}; there are {', '.join(self.methods)}.")
        if metric not in self.values[method]:
            raise ResultError(f"{metric!r} was not measured; there are {', '.join(self.metrics)}.")
        return self.values[method][metric]


ARROWS = {"lower": "↓", "higher": "↑", None: ""}


def _sign(metric: str) -> int:
    """1 where higher is better, −1 where lower is, 0 where neither."""
    return {"higher": 1, "lower": -1, None: 0}[DIRECTIONS.get(metric)]


def _cell(summary: Summary) -> str:
    if not summary.n:
        return "–"
    spread = f" ± {summary.half:.2g}" if summary.n > 1 else ""
    return f"{summary.mean:.3g}{spread}" + (f" ({summary.undefined}?)" if summary.undefined else "")
