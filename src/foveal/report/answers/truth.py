"""A map beside the truth: what each part of a drawn scene does to the decision, and what the map gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from foveal.report.answers.wire import Box, Wire
from foveal.synthetic.agreement import SMALLEST, share, top_part
from foveal.synthetic.effects import other_looks
from foveal.synthetic.scene import LABELS, PARTS, REMOVABLE, Look, Scene

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

Verdict = Literal["right", "wrong", "marks nothing", "no part decides"]
DECIDES = 0.2  # of the score: with a smaller effect, no single part decides
NOTHING = 1e-6  # an effect that is rounding
NAMES = {"occluder": "what is in front"}


class PartTruth(Wire):
    """One part, the background, or what stands in front.

    Attributes:
        name: in words.
        effect: what the score loses when the part is taken away or, for body, head and background, replaced; None for
            what nothing was done to.
        share: of the map's evidence on the side of the largest effect, 0..1.
        box: where it shows, in fractions of the picture; None where it does not show, and for the background.
        removable: whether the scene can be drawn without it.
        looks: species whose look of it is another.
    """

    part: str
    name: str
    effect: float | None
    share: float
    box: Box | None
    removable: bool
    looks: list[str]


class LayerShare(Wire):
    """The share of a layer's positive evidence on the deciding part, and how many pixels a position there sees."""

    layer: str
    share: float
    sees: list[int] | None


class TruthAnswer(Wire):
    """A map and the truth about a drawn scene.

    Attributes:
        score: of the scene as drawn.
        parts: the largest effect, in either direction, first.
        side: that of the largest effect, and of the evidence that is compared with it.
        deciding: the part with the largest effect; None where no effect is worth the name.
        pointed: the part where the map is strongest on average; None where it marks nothing on that side.
        verdict: "right" where these are the same.
        layers: the deciding part at each layer of the method.
        drawings: how many scenes were drawn and asked about.
    """

    target: str
    asked: list[str]
    score: float
    parts: list[PartTruth]
    side: Literal["for", "against"]
    deciding: str | None
    pointed: str | None
    verdict: Verdict
    layer: str
    method: str
    title: str
    layers: list[LayerShare]
    drawings: int
    seconds: float
    notes: list[str]


def sided(map: NDArray[np.floating], effects: Mapping[str, float]) -> NDArray[np.floating]:
    """A map whose positive values are the evidence on the side of the largest effect.

    Args:
        map: raw, in the picture's pixels; not a number where the network did not look.
        effects: by part and of the background, see `Effects.row`.
    """
    known: NDArray[np.floating] = np.nan_to_num(map)
    return -known if largest_effect(effects) < 0 else known


def largest_effect(effects: Mapping[str, float]) -> float:
    """In either direction."""
    return max(effects.values(), key=abs)


def part_rows(
    scene: Scene, labels: NDArray[np.uint8], effects: Mapping[str, float], map: NDArray[np.floating]
) -> list[PartTruth]:
    """The parts of a scene, the background and what stands in front, the largest effect first.

    Args:
        labels: of `render`.
        effects: by part and of the background, see `Effects.row`.
        map: see `sided`.
    """
    hidden = [] if (labels == LABELS["occluder"]).sum() < SMALLEST else ["occluder"]
    rows = [
        PartTruth(
            part=part,
            name=NAMES.get(part, part),
            effect=effects.get(part),
            share=share(map, labels, [part]),
            box=None if part == "background" else part_box(labels, part),
            removable=part in REMOVABLE or part == "mark",
            looks=species_looks(scene, part) if part in PARTS else [],
        )
        for part in [*effects, *hidden]
    ]
    return sorted(rows, key=lambda row: -abs(row.effect) if row.effect is not None else 1)


def verdict_of(
    effects: Mapping[str, float], score: float, labels: NDArray[np.uint8], map: NDArray[np.floating]
) -> tuple[str | None, str | None, Verdict]:
    """(the deciding part, the part the map points at, the verdict); the map is `sided`."""
    largest = max(effects, key=lambda part: abs(effects[part]))
    decides = abs(effects[largest]) >= max(DECIDES * abs(score), NOTHING)
    deciding = largest if decides else None
    pointed = top_part(map, labels) if (map > 0).any() else None
    if deciding == "background" and pointed and share(map, labels, ["background"]) > 0.5:
        pointed = "background"
    if deciding is None:
        return None, pointed, "no part decides"
    if pointed is None:
        return deciding, None, "marks nothing"
    return deciding, pointed, "right" if deciding == pointed else "wrong"


def part_box(labels: NDArray[np.uint8], part: str) -> list[float] | None:
    """Where a part shows, (x0, y0, x1, y1) in fractions of the picture; None where it does not."""
    rows, columns = np.nonzero(labels == LABELS[part])
    if len(rows) < SMALLEST:
        return None
    h, w = labels.shape
    return [columns.min() / w, rows.min() / h, (columns.max() + 1) / w, (rows.max() + 1) / h]


def species_looks(scene: Scene, part: str) -> list[str]:
    """One species for each other look of a part."""
    from foveal.synthetic.classes import CLASS_NAMES, creature_of

    first: dict[Look | None, str] = {}
    for name in CLASS_NAMES:
        first.setdefault(creature_of(name)[part], name)
    return sorted(first[look] for look in other_looks(scene, part))
