"""The methods where the answer is known, as tables with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foveal.demo.intervals import Interval, mean, proportion
from foveal.demo.truth import UNTOLD, TruthMeasurements
from foveal.methods import METHODS
from foveal.report.answers.measured import MeasuredCell, MeasuredColumn, MeasuredRow, MeasuredTable

TITLES = {name: method.title for name, method in METHODS.items()}
ABOUT_REFERENCE = {
    "random": "noise: the result of chance",
    "center": "a blob in the center of every image",
    "edges": "edges of the image, without the network",
}


def hits_table(evidence: TruthMeasurements, layers: Sequence[str]) -> MeasuredTable:
    """The pointing game: how often the maximum of a method is on the deciding part; a column per layer, then input."""
    # A map that points at one of the eight parts blindly.
    chance = float(np.mean(evidence.hits["random", ""]))
    places = (*layers, "input")
    columns = [_share(place, reference=chance, reference_name="random map") for place in places]
    keys = [name for name in METHODS if _judged_at(name, evidence, layers[-1]) is not None]
    rows = [
        MeasuredRow(
            name=TITLES[name],
            about=METHODS[name].about,
            cells=[percent(proportion(evidence.hits.get((name, place)))) for place in places],
        )
        for name in keys
    ]
    rows += [
        MeasuredRow(
            name=name,
            about=ABOUT_REFERENCE[name],
            aside=True,
            cells=[*[percent(None)] * len(layers), percent(proportion(evidence.hits[name, ""]))],
        )
        for name in UNTOLD
    ]
    return MeasuredTable(
        title="Does the map of a sibling margin mark the deciding part?",
        rows_are="method",
        columns=columns,
        rows=with_best(rows),
        notes=[
            f"Share of {len(evidence.correct)} new scenes whose top part is the deciding part, with 95 % intervals.",
            "Scenes in which that part is hidden are not counted.",
            "Input methods are taken at the input, all others at each stage.",
            "The last three rows are baseline maps that ignore the network.",
        ],
    )


def agreement_table(evidence: TruthMeasurements, layer: str) -> MeasuredTable:
    """Each method's evidence on the deciding part, and its rank correlation with the true effects of all parts.

    Input methods are taken at the input, all others at `layer`.
    """
    columns = [
        _share("evidence on the deciding part", about="share of positive evidence, margin"),
        MeasuredColumn(
            title="rank correlation with true effects",
            about="parts of the class decision",
            ends=[-1.0, 1.0],
            better="higher",
        ),
    ]
    keys = [(name, at) for name in METHODS if (at := _judged_at(name, evidence, layer)) is not None]
    keys += [(name, "") for name in UNTOLD]
    rows = [
        MeasuredRow(
            name=TITLES.get(name, name),
            about=METHODS[name].about if name in METHODS else ABOUT_REFERENCE[name],
            aside=name in UNTOLD,
            cells=[percent(mean(evidence.shares[name, at])), correlation(mean(evidence.correlations[name, at]))],
        )
        for name, at in keys
    ]
    return MeasuredTable(
        title=f"How much of the evidence is on the right part, at {layer} or at the input?",
        rows_are="method",
        columns=columns,
        rows=with_best(rows),
        notes=[
            f"Left: margins of {len(evidence.correct)} scenes; the deciding part covers a few per cent of the image.",
            f"Right: class decisions of {len(evidence.largest)} scenes, each measured by intervention.",
            "Means with 95 % intervals.",
        ],
    )


def percent(score: Interval | None) -> MeasuredCell:
    """A share in 0..1."""
    return _cell(score, f"{100 * score.value:.0f} %" if score else "")


def correlation(score: Interval | None) -> MeasuredCell:
    """A number in −1..1."""
    return _cell(score, f"{score.value:.2f}".replace("-", "−") if score else "")


def with_best(rows: Sequence[MeasuredRow]) -> list[MeasuredRow]:
    """The rows, with the highest cell of each column marked, and all that are as high as printed."""
    most = [max((row.cells[k] for row in rows), key=_height).text for k in range(len(rows[0].cells))]
    return [
        row.model_copy(
            update={
                "cells": [
                    cell.model_copy(update={"best": cell.value is not None and cell.text == best})
                    for cell, best in zip(row.cells, most, strict=True)
                ]
            }
        )
        for row in rows
    ]


def _height(cell: MeasuredCell) -> float:
    return -np.inf if cell.value is None else cell.value


def _cell(score: Interval | None, text: str) -> MeasuredCell:
    if score is None:
        return MeasuredCell(text="")
    return MeasuredCell(text=text, value=score.value, low=score.low, high=score.high)


def _share(title: str, about: str = "", *, reference: float | None = None, reference_name: str = "") -> MeasuredColumn:
    return MeasuredColumn(
        title=title,
        about=about,
        ends=[0.0, 1.0],
        better="higher",
        reference=reference,
        reference_name=reference_name,
    )


def _judged_at(name: str, evidence: TruthMeasurements, last: str) -> str | None:
    """The last stage, the input for methods that look there, None where there is nothing."""
    return next((place for place in (last, "input") if (name, place) in evidence.hits), None)
