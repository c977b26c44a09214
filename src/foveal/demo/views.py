"""What each view of the report asks about an image: the same as the studio's page would."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from foveal.methods import FAST
from foveal.webapp.record import Record

MODEL = "demo"
MARGIN = "predicted - runner-up"  # why this species and not its sibling


def decision(record: Record, photo: str) -> None:
    """The maps of every fast method, at all stages or at the input, and the scores of all species."""
    on = {"photo": photo, "model": MODEL}
    for method in FAST:
        record.ask("decision", {**on, "target": MARGIN, "method": method})
    record.ask("decision", {**on, "target": "predicted", "method": "hirescam"})
    record.ask("scores", on)
    record.ask("stages", on)


VIEWS: Mapping[str, Callable[[Record, str], None]] = {"decision": decision}
"""View -> what records it; in the order of the tabs."""
