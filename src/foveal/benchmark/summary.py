"""What a benchmark found, in tables: means, intervals, ranks, significance, and how far the rankings can be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from foveal.metrics.metric import DIRECTIONS
from foveal.metrics.statistics import agreement, kendall
from foveal.results.scores import ARROWS, Scores

SURE = 0.05


def ranking(scores: Scores, metric: str, pictures: Sequence[int] | None = None) -> dict[str, float]:
    """Methods to their means, larger is better; without those that are undefined everywhere."""
    sign = -1 if DIRECTIONS[metric] == "lower" else 1
    means = {}
    for name in scores.methods:
        values = np.array(scores.values[name][metric])
        values = values if pictures is None else values[list(pictures)]
        if np.isfinite(values).any():
            means[name] = sign * float(np.nanmean(values))
    return means


def halves(scores: Scores, metric: str) -> float:
    """Kendall's τ of the rankings on two disjoint halves of the pictures: every other one."""
    n = len(scores.pictures)
    return alike(ranking(scores, metric, range(0, n, 2)), ranking(scores, metric, range(1, n, 2)))


def alike(one: dict[str, float], other: dict[str, float]) -> float:
    """Kendall's τ of two rankings of methods; means that agree to eight digits are ties."""
    both = [name for name in one if name in other]
    return kendall(*([float(f"{of[name]:.8g}") for name in both] for of in (one, other))) if len(both) > 1 else math.nan


def trust(scores: Scores, metric: str) -> tuple[float, float]:
    """τ between halves, and Krippendorff's α between pictures."""
    sign = -1 if DIRECTIONS[metric] == "lower" else 1
    table = sign * np.array([scores.values[name][metric] for name in scores.methods]).T
    return halves(scores, metric), agreement(list(table))


def table(scores: Scores, *, by: str | None = None) -> tuple[list[str], list[list[str]]]:
    """A head, and a row a method, the best by the metric `by` first.

    Bold is what is not significantly worse than the best of its column (paired, Holm-corrected, p ≥ 0.05).
    """
    by = by or scores.metrics[0]
    order = ranking(scores, by)
    names = sorted(scores.methods, key=lambda name: -order.get(name, -math.inf))
    ranks = scores.ranks(by)
    head = ["method", f"rank by {by}", *(f"{m} {ARROWS[DIRECTIONS[m]]}".strip() for m in scores.metrics)]
    equal = {m: _equal(scores, m) for m in scores.metrics}
    rows = []
    for name in names:
        cells = []
        for metric in scores.metrics:
            cell = scores.summary(name, metric)
            missing = f" ({cell.undefined}?)" if cell.undefined and cell.n else ""
            text = f"{_number(cell.mean, 3)} ± {cell.half:.3f}{missing}" if cell.n > 1 else "–"
            cells.append(f"**{text}**" if name in equal[metric] and cell.n else text)
        rows.append([f"`{name}`" if not name.startswith("(") else name, _number(ranks[name], 1), *cells])
    return head, rows


def markdown(scores: Scores, *, title: str, by: str | None = None, truth: str | None = None) -> str:
    """The table and, below it, how far each of its rankings can be trusted.

    truth       the metric whose ranking counts as true; the others are compared with it.
    """
    head, rows = table(scores, by=by)
    lines = [f"### {title}", "", f"{len(scores.pictures)} pictures, {len(scores.methods)} methods.", ""]
    lines += _lines(head, rows)
    names = ["metric", "τ between halves", "α between pictures", *(["τ with the truth"] if truth else [])]
    lines += ["", *_lines(names, _trusted(scores, truth)), ""]
    return "\n".join(lines)


def page(parts: Sequence[tuple[str, Scores, str, str | None]], *, title: str, about: str) -> str:
    """The same as one HTML page, whole in itself: (title, scores, by, truth) a part."""
    body = [f"<h1>{escape(title)}</h1><p>{escape(about)}</p>"]
    for name, scores, by, truth in parts:
        body.append(f"<h2>{escape(name)}</h2><p>{len(scores.pictures)} pictures, {len(scores.methods)} methods</p>")
        body.append(_html(*table(scores, by=by)))
        names = ["metric", "τ between halves", "α between pictures", *(["τ with the truth"] if truth else [])]
        body.append(_html(names, _trusted(scores, truth)))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
        f"<body>{''.join(body)}</body></html>\n"
    )


STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem;color:#1d1f24;background:#fcfbf9}"
    "table{border-collapse:collapse;margin:1rem 0 2rem;font-variant-numeric:tabular-nums}"
    "th,td{padding:.3rem .8rem;border-bottom:1px solid #e3e0da;text-align:right;white-space:nowrap}"
    "th:first-child,td:first-child{text-align:left}"
)


def _trusted(scores: Scores, truth: str | None) -> list[list[str]]:
    rows = []
    for metric in scores.metrics:
        between, alpha = trust(scores, metric)
        with_truth = [_number(alike(ranking(scores, metric), ranking(scores, truth)), 2)] if truth else []
        rows.append([metric, _number(between, 2), _number(alpha, 2), *with_truth])
    return rows


def _equal(scores: Scores, metric: str) -> set[str]:
    """Those that are not significantly worse than the best."""
    best = scores.best(metric) if DIRECTIONS[metric] else None
    if best is None:
        return set()
    return {best, *(name for name, p in scores.significance(metric).items() if p >= SURE)}


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "−") if math.isfinite(value) else "–"


def _lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def _html(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{_bold(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"


def _bold(cell: str) -> str:
    plain = escape(cell.replace("`", ""))
    return f"<b>{plain[2:-2]}</b>" if plain.startswith("**") else plain
