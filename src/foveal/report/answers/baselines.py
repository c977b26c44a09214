"""Baseline maps as a page shows them: they know nothing of the decision."""

from __future__ import annotations

from foveal.report.answers.wire import MapAnswer, Wire


class BaselineMap(Wire):
    """One of them: its name in `foveal.metrics.baseline_maps`."""

    name: str
    map: MapAnswer


class BaselinesAnswer(Wire):
    """Maps that know nothing of the decision.

    Attributes:
        layer: whose activations "activation" shows.
    """

    layer: str
    maps: list[BaselineMap]
