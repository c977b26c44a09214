"""Scores as tables to paste: means with intervals and what may be said of them, and tests of all pairs of methods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from foveal.metrics.metric import DIRECTIONS, METRICS, sign_of
from foveal.metrics.paired import LEVEL, images_needed
from foveal.render.typeset import TextCell, TypesetTable

if TYPE_CHECKING:
    from foveal.metrics.paired import PairedComparison
    from foveal.metrics.statistics import Summary

ARROWS = {"lower": "↓", "higher": "↑", None: ""}
DAGGER, STAR = "†", "*"
STARRED = 3  # images, below which no mean is marked as the best


class Measured(Protocol):
    """What a table shows: `foveal.results.Scores`."""

    @property
    def pictures(self) -> tuple[str, ...]: ...
    @property
    def baseline_maps(self) -> tuple[str, ...]: ...
    @property
    def title(self) -> str: ...
    @property
    def methods(self) -> tuple[str, ...]: ...
    def summary(self, method: str, metric: str) -> Summary: ...
    def not_worse(self, metric: str) -> tuple[str, ...]: ...
    def ahead(self, metric: str) -> tuple[str, ...]: ...
    def pairwise(self, metric: str | None = None) -> list[PairedComparison]: ...


def score_table(scores: Measured, metrics: Sequence[str], *, title: str = "", by: str | None = None) -> TypesetTable:
    """A row a method and a column a metric, with its legend.

    Args:
        by: the metric that orders the rows, best first; None keeps their order.
    """
    texts = {metric: cell_texts(scores, metric) for metric in metrics}
    bold = {metric: scores.not_worse(metric) for metric in metrics}
    beat = {metric: scores.ahead(metric) for metric in metrics}
    names = list(scores.methods)
    if by:
        names.sort(key=lambda name: _worst_first(scores, name, by), reverse=True)
    rows = []
    for name in names:
        cells = [
            TextCell(
                texts[metric][name] + (DAGGER if name in beat[metric] else ""),
                name in bold[metric],
                value=_defined(scores.summary(name, metric).mean),
            )
            for metric in metrics
        ]
        rows.append((TextCell(name, code=name not in scores.baseline_maps), *cells))
    head = ("method", *(labeled(metric) for metric in metrics))
    return TypesetTable(title or scores.title, head, tuple(rows), legend(scores, metrics), _definitions(metrics))


def legend(scores: Measured, metrics: Sequence[str]) -> tuple[str, ...]:
    """What the numbers are, which direction is better, and what the marks mean."""
    n = len(scores.pictures)
    summaries = [scores.summary(name, metric) for name in scores.methods for metric in metrics]
    lines = [
        f"Mean over {n} images ± half of its 95 % interval (percentile bootstrap over images)."
        if n > 1
        else "The values of 1 image: there is no interval and no test."
    ]
    directions = {DIRECTIONS.get(metric) for metric in metrics}
    words = [f"{ARROWS[better]} {better} is better" for better in ("lower", "higher") if better in directions]
    words += ["without arrow: a property of the map, neither direction is better"] if None in directions else []
    lines.append(f"{_capital('; '.join(words))}.")
    if any(summary.undefined and summary.n for summary in summaries):
        lines.append("(3?): the metric is undefined for 3 images, which are left out of the mean.")
    if any(not summary.n for summary in summaries):
        lines.append("–: the metric is undefined for every image.")
    lines += _tested(scores, metrics)
    if scores.baseline_maps:
        lines.append("In parentheses: baseline maps, which ignore the network or the decision.")
        lines += beaten_lines(scores, metrics)
    return tuple(lines)


def _tested(scores: Measured, metrics: Sequence[str]) -> list[str]:
    """What bold means, or why nothing is bold."""
    merits = [metric for metric in metrics if DIRECTIONS.get(metric)]
    n, rest = len(scores.pictures), len(scores.methods) - 1
    if not merits or not rest or n < 2:
        return []
    if n < images_needed(rest):
        return [too_few(n, rest)]
    test = f"paired sign-flip permutation test, Holm-corrected for {rest} comparisons, p < {LEVEL:g}"
    if not any(scores.not_worse(metric) for metric in merits):
        return [f"No bold: no difference from the best method is significant ({test})."]
    marked = "Bold: the best method of a column, and all that are not significantly worse. A column without bold has no"
    return [f"{marked} significant difference ({test})."]


def too_few(n: int, comparisons: int) -> str:
    """The sentence where no test can decide."""
    return (
        f"Too few images for a test (n = {n}): with {comparisons} comparison{'s' * (comparisons != 1)}, p < {LEVEL:g} "
        f"needs at least {images_needed(comparisons)} images. Nothing is bold."
    )


def beaten_lines(scores: Measured, metrics: Sequence[str]) -> list[str]:
    """ "† edges beats every method here by deletion, drop." """
    by_map: dict[str, list[str]] = {}
    for metric in metrics:
        for name in scores.ahead(metric):
            by_map.setdefault(name, []).append(metric)
    return [
        f"{DAGGER} {name} has a better mean than every method here: {', '.join(by)}." for name, by in by_map.items()
    ]


def pairs_table(scores: Measured, metrics: Sequence[str]) -> TypesetTable:
    """A row a pair and metric: difference, effect sizes, p-values. Metrics without a better direction are left out."""
    merits = [metric for metric in metrics if DIRECTIONS.get(metric)]
    pairs = [pair for metric in merits for pair in scores.pairwise(metric)]
    head = ("a, b", "metric", "n", "a − b", "95 % interval", "a better", "rank-biserial", "d_z", "p", "p (Holm)")
    n, count = len(scores.pictures), len(pairs) // max(1, len(merits))
    legend = [
        "a − b: mean difference over the images, with its 95 % interval (percentile bootstrap).",
        "a better: share of images for which a is better; a tie counts half (probability of superiority).",
        "Rank-biserial: matched-pairs rank-biserial correlation, −1 to 1, positive where a is better.",
        "d_z: mean difference over its standard deviation (Cohen's d of paired values), positive where a is better.",
        "p: two-sided paired sign-flip permutation test.",
        f"p (Holm): corrected for the {count} pair{'s' * (count != 1)} of a metric; bold below {LEVEL:g}.",
        "Baseline maps are not part of these tests.",
    ]
    if n < images_needed(count):
        legend.append(too_few(n, count))
    return TypesetTable(f"{scores.title}: tests of all pairs", head, tuple(map(_pair, pairs)), tuple(legend))


def _pair(pair: PairedComparison) -> tuple[TextCell, ...]:
    texts = (
        f"{pair.a}, {pair.b}", labeled(pair.metric), str(pair.n), _signed(pair.difference),
        f"{_signed(pair.low)} to {_signed(pair.high)}" if math.isfinite(pair.low) else "–",
        f"{100 * pair.superiority:.0f} %" if pair.n else "–", _signed(pair.rank_biserial, "+.2f"),
        _signed(pair.d_z, "+.2f"), p_text(pair.p),
    )  # fmt: skip
    return (*(TextCell(text) for text in texts), TextCell(p_text(pair.p_holm), bold=pair.p_holm < LEVEL))


def _worst_first(scores: Measured, name: str, by: str) -> float:
    summary = scores.summary(name, by)
    return (sign_of(by) or 1) * summary.mean if summary.n else -math.inf


def cell_texts(scores: Measured, metric: str) -> dict[str, str]:
    """Method -> "0.531 ± 0.024", all with as many decimals: three significant digits of the largest."""
    summaries = {name: scores.summary(name, metric) for name in scores.methods}
    largest = max((abs(s.mean) for s in summaries.values() if s.n and math.isfinite(s.mean)), default=0.0)
    digits = 2 - math.floor(math.log10(largest)) if largest else 3
    kind = f".{max(0, digits)}f" if -3 <= digits <= 6 else ".3g"
    return {name: _cell(summary, kind) for name, summary in summaries.items()}


def _cell(summary: Summary, kind: str) -> str:
    if not summary.n:
        return "–"
    spread = f" ± {_signed(summary.half, kind)}" if summary.n > 1 else ""
    missing = f" ({summary.undefined}?)" if summary.undefined else ""
    return f"{_signed(summary.mean, kind)}{spread}{missing}"


def p_text(p: float) -> str:
    """ "0.031", "< 0.001"."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def labeled(metric: str) -> str:
    """The metric with the arrow of what is better."""
    return f"{metric} {ARROWS[DIRECTIONS.get(metric)]}".strip()


def _definitions(metrics: Sequence[str]) -> tuple[str, ...]:
    known = [METRICS[name] for name in metrics if name in METRICS]
    return tuple(f"{metric.name}: {metric.about} ({metric.source})." for metric in known)


def _signed(value: float, kind: str = "+.3g") -> str:
    """With a real minus; – where there is no number."""
    return f"{value:{kind}}".replace("-", "−") if math.isfinite(value) else "–"


def _defined(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
