"""The page of a comparison: the maps of each method on each image, and their numbers as tables that sort."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from foveal.errors import ResultError
from foveal.metrics.metric import DIRECTIONS, METRICS
from foveal.report.answers.measured import (
    MeasuredAnswer,
    MeasuredCell,
    MeasuredColumn,
    MeasuredRow,
    MeasuredTable,
    Said,
)
from foveal.report.explanations import record_explanations
from foveal.report.recorded_page import RecordedPage
from foveal.results.score_table import labeled, pairs_table, score_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from foveal.render.typeset import TextCell, TypesetTable
    from foveal.results.explanation import Explanation
    from foveal.results.scores import Scores

SIDES = ((24, 1024), (100, 512))  # up to so many photos, their long side on the page in pixels; beyond, SMALL
SMALL = 256


def comparison_page(whys: Mapping[str, Explanation], scores: Scores | None = None, *, title: str = "") -> str:
    """The page, that `foveal compare` writes, too; it needs no other file.

    Args:
        whys: explanations of the same images, by the names that `scores` has them under.
        scores: of these, and of baseline maps, which stand in the table without images; None leaves numbers out.
        title: of the page; the model and the number of methods if left out.

    Raises:
        ResultError: where the scores are of other methods or other images.
    """
    first = next(iter(whys.values()))
    count = len(first)
    page = RecordedPage(side=next((side for most, side in SIDES if count <= most), SMALL))
    record_explanations(page, whys)
    name = title or f"{first.model}: {len(whys)} method{'s' * (len(whys) != 1)}"
    if scores is not None:
        _check(whys, scores, count)
        names = {entry.hash: entry.name for entry in page.library().photos}
        photos = [page.photo(photo, i) for i, photo in enumerate(first.photos)]
        page.add("measured", {}, measured_answer(scores, [(hash, names[hash]) for hash in photos], name))
    return page.html(title=name)


def measured_answer(scores: Scores, photos: Sequence[tuple[str, str]], title: str) -> MeasuredAnswer:
    """Means over all images, tests of pairs, and each metric image by image.

    Args:
        photos: hash and name of each image, as the page has them.
    """
    count, baselines = len(scores.pictures), len(scores.baseline_maps)
    several = count > 1 and len(scores.methods) - baselines > 1
    return MeasuredAnswer(
        title=title,
        intro=(
            f"{count} image{'s' * (count != 1)}. The metrics measure how the {scores.of} changes when highlighted "
            f"areas are hidden or shown ({scores.forwards} forward passes)."
        ),
        tables=[
            _means(scores),
            *([_table(pairs_table(scores, scores.metrics), "pair")] if several else []),
            *(_by_image(scores, metric, photos) for metric in scores.metrics if count > 1),
        ],
        caveats=list(scores.notes),
        terms=[Said(what=name, says=METRICS[name].about) for name in scores.metrics if name in METRICS],
    )


def _means(scores: Scores) -> MeasuredTable:
    """A row a method; numbers lie on the scale of their column, with their intervals."""
    typeset = score_table(scores, scores.metrics)
    rows = []
    for name, *cells in typeset.rows:
        summaries = [scores.summary(name.text, metric) for metric in scores.metrics]
        rows.append(
            MeasuredRow(
                name=name.text,
                aside=name.text in scores.baseline_maps,
                cells=[
                    _cell(cell, _defined(found.low), _defined(found.high))
                    for cell, found in zip(cells, summaries, strict=True)
                ],
            )
        )
    columns = [_column(metric, [row.cells[k] for row in rows]) for k, metric in enumerate(scores.metrics)]
    return MeasuredTable(
        title=typeset.title, rows_are="method", columns=columns, rows=rows, notes=[*typeset.legend, *typeset.comments]
    )


def _by_image(scores: Scores, metric: str, photos: Sequence[tuple[str, str]]) -> MeasuredTable:
    """A row an image and a column a method, all on one scale."""
    rows = [
        MeasuredRow(
            name=name,
            photo=hash,
            cells=[
                MeasuredCell(text=_text(value), value=_defined(value))
                for value in (scores.values[method][metric][i] for method in scores.methods)
            ],
        )
        for i, (hash, name) in enumerate(photos)
    ]
    shared = _column(metric, [cell for row in rows for cell in row.cells])
    columns = [shared.model_copy(update={"title": name, "about": ""}) for name in scores.methods]
    return MeasuredTable(title=f"{labeled(metric)}, image by image", rows_are="image", columns=columns, rows=rows)


def _table(typeset: TypesetTable, rows_are: str) -> MeasuredTable:
    """A table of texts."""
    return MeasuredTable(
        title=typeset.title,
        rows_are=rows_are,
        columns=[MeasuredColumn(title=title) for title in typeset.head[1:]],
        rows=[MeasuredRow(name=name.text, cells=[_cell(cell) for cell in cells]) for name, *cells in typeset.rows],
        notes=[*typeset.legend, *typeset.comments],
    )


def _column(metric: str, cells: Iterable[MeasuredCell]) -> MeasuredColumn:
    """The scale holds zero and every number and interval of the column."""
    ends = [end for cell in cells for end in (cell.value, cell.low, cell.high) if end is not None]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    return MeasuredColumn(
        title=metric,
        about=METRICS[metric].about if metric in METRICS else "",
        ends=[low, high] if low < high else None,
        better=DIRECTIONS.get(metric),
    )


def _cell(cell: TextCell, low: float | None = None, high: float | None = None) -> MeasuredCell:
    return MeasuredCell(text=cell.text, value=cell.value, low=low, high=high, best=cell.bold)


def _check(whys: Mapping[str, Explanation], scores: Scores, count: int) -> None:
    """Raises ResultError for scores of something else."""
    if missing := [name for name in whys if name not in scores.values]:
        raise ResultError(f"There are no scores of {', '.join(missing)}; there are {', '.join(scores.methods)}.")
    if len(scores.pictures) != count:
        raise ResultError(f"The scores are of {len(scores.pictures)} images, but {count} were explained.")


def _text(value: float) -> str:
    return f"{value:.3g}".replace("-", "−") if math.isfinite(value) else "undefined"


def _defined(value: float) -> float | None:
    return value if math.isfinite(value) else None
