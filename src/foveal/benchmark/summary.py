"""The results of a benchmark as tables: means, intervals, ranks, tests, and how stable the rankings are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from html import escape

import numpy as np

from foveal.metrics.metric import DIRECTIONS
from foveal.metrics.statistics import agreement, kendall
from foveal.render.typeset import TextCell, TypesetTable
from foveal.results.score_table import pairs_table, score_table
from foveal.results.scores import Scores

LISTED = 10  # methods, up to which a text lists the tests of all pairs


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
    """Kendall's τ of the rankings on two disjoint halves of the images: every other one."""
    n = len(scores.pictures)
    return alike(ranking(scores, metric, range(0, n, 2)), ranking(scores, metric, range(1, n, 2)))


def alike(one: dict[str, float], other: dict[str, float]) -> float:
    """Kendall's τ of two rankings of methods; means that agree to eight digits are ties."""
    both = [name for name in one if name in other]
    return kendall(*([float(f"{of[name]:.8g}") for name in both] for of in (one, other))) if len(both) > 1 else math.nan


def trust(scores: Scores, metric: str) -> tuple[float, float]:
    """τ between halves, and Krippendorff's α between images."""
    sign = -1 if DIRECTIONS[metric] == "lower" else 1
    table = sign * np.array([scores.values[name][metric] for name in scores.methods]).T
    return halves(scores, metric), agreement(list(table))


def table(scores: Scores, *, title: str = "", by: str | None = None) -> TypesetTable:
    """Means by every metric and the mean rank by the metric `by`, the best method first, with a legend."""
    by = by or scores.metrics[0]
    means = score_table(scores, scores.metrics, title=title, by=by)
    ranks = scores.ranks(by)
    rows = tuple((name, TextCell(_number(ranks[name.text], 1)), *cells) for name, *cells in means.rows)
    first = "the best" if DIRECTIONS[by] else "the highest value"
    told = f"Rank by {by}: mean over the images of the rank among all rows; 1 is {first}."
    return replace(
        means, head=(means.head[0], f"rank by {by}", *means.head[1:]), rows=rows, legend=(*means.legend, told)
    )


def trust_table(scores: Scores, truth: str | None = None) -> TypesetTable:
    """How stable the ranking by each metric is, and how like the ranking by `truth`."""
    rows = []
    for metric in scores.metrics:
        values = [*trust(scores, metric)]
        if truth:
            values.append(alike(ranking(scores, metric), ranking(scores, truth)))
        rows.append((TextCell(metric), *(TextCell(_number(value, 2)) for value in values)))
    head, legend = ["metric", "τ between halves", "α between images"], list(TRUSTED)
    if truth:
        head.append("τ with the truth")
        legend.append(f"τ with the truth: Kendall's τ of the ranking by this metric and the ranking by {truth}.")
    return TypesetTable("How stable the rankings are", tuple(head), tuple(rows), tuple(legend))


TRUSTED = (
    "τ between halves: Kendall's τ of the rankings of the methods on every other image and on the rest; 1 is equal.",
    "α between images: Krippendorff's α of the rankings on single images; 1: every image ranks the methods alike.",
)


def markdown(scores: Scores, *, title: str, by: str | None = None, truth: str | None = None) -> str:
    """The table of means; how stable its rankings are; the tests of all pairs, of up to ten methods.

    Args:
        truth: the metric whose ranking counts as true; the others are compared with it.
    """
    tables = _tables(scores, title, by, truth)
    first, *rest = (part.to_markdown(level=3 + (number > 0)) for number, part in enumerate(tables))
    methods = len(scores.methods) - len(scores.baseline_maps)
    if methods > LISTED and len(scores.pictures) > 1:
        *rest, _ = rest
        rest.append(f"The tests of all pairs of the {methods} methods are in the HTML file.\n")
    return "\n".join([first, *rest])


def page(parts: Sequence[tuple[str, Scores, str, str | None]], *, title: str, about: str) -> str:
    """The same as one HTML page, whole in itself: (title, scores, by, truth) a part."""
    body = [f"<h1>{escape(title)}</h1><p>{escape(about)}</p>"]
    for name, scores, by, truth in parts:
        means, *rest = _tables(scores, name, by, truth)
        body.append(means.to_html(level=2))
        body += [f"<details><summary>{escape(one.title)}</summary>{one.to_html()}</details>" for one in rest]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
        f"<body>{''.join(body)}</body></html>\n"
    )


STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem;color:#1d1f24;background:#fcfbf9}"
    "table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}"
    "th,td{padding:.3rem .8rem;border-bottom:1px solid #e3e0da;text-align:right;white-space:nowrap}"
    "th:first-child,td:first-child{text-align:left} code{font-size:.95em}"
    "ul{color:#5c5f66;font-size:.9rem;max-width:60rem;padding-left:1.2rem} details{margin:.5rem 0 2rem}"
    "summary{cursor:pointer} details h3{display:none}"
)


def _tables(scores: Scores, title: str, by: str | None, truth: str | None) -> list[TypesetTable]:
    tables = [table(scores, title=f"{title}: {scores.title}", by=by)]
    if len(scores.pictures) > 1:
        tables.append(trust_table(scores, truth))
        if len(scores.methods) - len(scores.baseline_maps) > 1:
            tables.append(replace(pairs_table(scores, scores.metrics), title="Tests of all pairs of methods"))
    return tables


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "−") if math.isfinite(value) else "–"
