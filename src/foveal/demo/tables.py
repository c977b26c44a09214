"""The methods where the answer is known, as tables with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foveal.demo.intervals import mean, proportion
from foveal.demo.truth import UNTOLD, TruthMeasurements
from foveal.methods import METHODS
from foveal.render.charts import Column
from foveal.report.report import Row, Table

TITLES = {name: method.title for name, method in METHODS.items()}
ABOUT_REFERENCE = {
    "random": "noise: the result of chance",
    "center": "a blob in the center of every image",
    "edges": "edges of the image, without the network",
}


def hits_table(evidence: TruthMeasurements, layers: Sequence[str]) -> Table:
    """The pointing game: how often the maximum of a method is on the deciding part; a column per layer, then input."""
    # A map that points at one of the eight parts blindly.
    chance = float(np.mean(evidence.hits["random", ""]))
    places = (*layers, "input")
    columns = tuple(Column(place, percent=True, reference=chance, reference_name="random map") for place in places)
    rows = [
        Row(TITLES[name], tuple(proportion(evidence.hits.get((name, place))) for place in places), method.about)
        for name, method in METHODS.items()
        if _judged_at(name, evidence, layers[-1]) is not None
    ]
    rows += [
        Row(name, (*[None] * len(layers), proportion(evidence.hits[name, ""])), ABOUT_REFERENCE[name])
        for name in UNTOLD
    ]
    count = len(evidence.correct)
    return Table(
        "Does the map of a sibling margin mark the deciding part?",
        columns,
        tuple(rows),
        f"Share of {count} new scenes whose top part is the deciding part, at each stage, with 95 % intervals; at the "
        "input for input methods. Scenes in which that part is hidden are not counted. The last three rows are "
        "baseline maps that ignore the network.",
    )


def agreement_table(evidence: TruthMeasurements, layer: str) -> Table:
    """Each method's evidence on the deciding part, and its rank correlation with the true effects of all parts.

    Input methods are taken at the input, all others at `layer`.
    """
    columns = (
        Column("evidence on the deciding part", "share of positive evidence, margin", percent=True),
        Column("rank correlation with true effects", "parts of the class decision", limits=(-1.0, 1.0), reference=0.0),
    )
    keys = [(name, at) for name in METHODS if (at := _judged_at(name, evidence, layer)) is not None]
    keys += [(name, "") for name in UNTOLD]
    rows = tuple(
        Row(
            TITLES.get(key[0], key[0]),
            (mean(evidence.shares[key]), mean(evidence.correlations[key])),
            ABOUT_REFERENCE.get(key[0], ""),
        )
        for key in keys
    )
    return Table(
        f"How much of the evidence is on the right part, at {layer} or at the input?",
        columns,
        rows,
        f"Left: margins of {len(evidence.correct)} scenes; the deciding part covers a few per cent of the image. "
        f"Right: class decisions of {len(evidence.largest)} scenes, each measured by intervention. Means with 95 % "
        "intervals.",
    )


def _judged_at(name: str, evidence: TruthMeasurements, last: str) -> str | None:
    """The last stage, the input for methods that look there, None where there is nothing."""
    return next((place for place in (last, "input") if (name, place) in evidence.hits), None)
