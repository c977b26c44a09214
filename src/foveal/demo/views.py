"""What each view of the report asks about an image: the same as the studio's page would."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, cast

from foveal.methods import FAST
from foveal.report.answers.ranks import RanksAnswer
from foveal.report.answers.tree import TreeAnswer

if TYPE_CHECKING:
    from foveal.webapp.record import StudioRecord
    from foveal.webapp.studio import Studio

MODEL, BY_PARTS = "demo", "parts"
MARGIN = "predicted - runner-up"  # why this species and not its sibling
COMPARED = ("gradcam", "hirescam", "layercam", "excitationbp", "lrp-gamma", "guidedbackprop", "gradient")
NEAREST = 3  # images that each is matched with

Recorder = Callable[["StudioRecord", "Studio", str], None]


def decision(record: StudioRecord, studio: Studio, photo: str) -> None:
    """The maps of every fast method, at all stages or at the input, and the scores of all species."""
    on = {"photo": photo, "model": MODEL}
    for method in FAST:
        record.ask("decision", {**on, "target": MARGIN, "method": method})
    record.ask("decision", {**on, "target": "predicted", "method": "hirescam"})
    record.ask("scores", on)
    record.ask("stages", on)
    record.ask("depth", {**on, "target": MARGIN})


def tree(record: StudioRecord, studio: Studio, photo: str) -> None:
    """The parts that add up to the margin, those that add up to each of them, and what the network loses without."""
    query = {"photo": photo, "model": MODEL, "target": MARGIN, "nodes": "parts", "branching": 5, "reference": "blur"}
    whole = cast("TreeAnswer", record.ask("tree", query))
    record.ask("tree/effects", {**query, "of": ""})
    for node in whole.branch.nodes:
        record.ask("tree/branch", {**query, "of": node.id})


def parts(record: StudioRecord, studio: Studio, photo: str) -> None:
    """The parts that another network decides by, and its scores."""
    on = {"photo": photo, "model": BY_PARTS}
    record.ask("parts", {**on, "target": MARGIN, "count": 3, "resolution": 1})
    record.ask("scores", on)


def match(record: StudioRecord, studio: Studio, photo: str) -> None:
    """The other images by their similarity, and what the image shares with the first of them."""
    on = {"photo": photo, "model": MODEL, "metric": "cosine"}
    others = [other.hash for other in studio.photos if other.hash != photo]
    if not others:
        return
    ranks = cast("RanksAnswer", record.ask("ranks", {**on, "among": others}))
    order = [one.photo for one in ranks.ranked]
    for other in order[:NEAREST]:
        record.ask("match", {**on, "other": other, "method": "fam", "lines": None, "parts": 0})
    for other, after in pairwise(order[: NEAREST + 1]):
        record.ask("contrast", {**on, "other": other, "than": after})


def methods(record: StudioRecord, studio: Studio, photo: str) -> None:
    """Methods side by side, maps that know nothing, and which part decides."""
    on = {"photo": photo, "model": MODEL}
    record.ask("comparison", {**on, "target": MARGIN, "methods": list(COMPARED)})
    record.ask("baselines", on)
    record.ask("deciding", {**on, "target": MARGIN})


VIEWS: Mapping[str, Recorder] = {
    "decision": decision,
    "tree": tree,
    "parts": parts,
    "match": match,
    "methods": methods,
}
"""View -> what records it, in the order of the tabs."""
