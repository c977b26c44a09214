"""What the places that maps mark are worth to the network, as a page shows it."""

from __future__ import annotations

from foveal.report.answers.wire import Wire


class CellScore(Wire):
    """One map, put to the test.

    Attributes:
        method: as it was asked for; of a baseline map, its name.
        layer: of the map; "" for a map of no layer.
        hidden: the score with the marked places hidden; None where the map marks nothing,
            or the score is no number.
        lost: the share of the score that goes with them: 0.3 is 30 %, negative where the score rises; None where the
            whole score is not above 0.
    """

    method: str
    layer: str
    hidden: float | None
    lost: float | None


class MethodScoresAnswer(Wire):
    """Maps of methods and, beside them, maps that know nothing.

    Attributes:
        of: what is measured: "score", or "probability of the class".
        whole: the same of the photo as it is.
        share: of the photo's area that is hidden.
    """

    of: str
    whole: float
    share: float
    cells: list[CellScore]
    baselines: list[CellScore]
    seconds: float
