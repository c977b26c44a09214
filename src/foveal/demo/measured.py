"""A short comparison for the demonstration's report: one margin by a few methods, and what the network says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.api.audit import audit
from foveal.api.explain import compare
from foveal.api.measure import default_setting, measure
from foveal.images import load_images
from foveal.methods import METHODS
from foveal.models import Model
from foveal.report.report import Panel
from foveal.report.tiles import map_tile
from foveal.synthetic.ground_truth import sibling_margin

if TYPE_CHECKING:
    from foveal.synthetic.splits import Example

COMPARED = ("hirescam", "guidedbackprop", "lrp-gamma")


def true_panel(model: Model, example: Example, class_name: str) -> Panel:
    """Maps of the margin, each with its area of deletion and what hiding its places costs."""
    target = sibling_margin([class_name])
    whys = {why.method: why for why in compare(model, example.image, target, methods=COMPARED)}
    batch = load_images(example.image, model.preprocessing)
    setting = default_setting(batch.tensor, steps=14)
    scores = measure(
        model, batch, target, explanations=whys, metrics=["deletion"], baseline_maps=("random",), setting=setting
    )
    audits = {test.method: test for test in audit(model, batch, target, explanations=whys, draws=6)}
    best, chance = scores.best("deletion"), scores.values["(random)"]["deletion"][0]
    tiles = []
    for name, why in whys.items():
        area, hiding = scores.values[name]["deletion"][0], audits[name]
        detail = f"deletion {area:.2f}" + (", the lowest" if name == best else "")
        tiles.append(
            map_tile(why, title=METHODS[name].title, detail=detail, verdict=area < chance,
                     finding=f"hidden: {_percent(hiding.effect)}, others: {_percent(hiding.chance[0])}")
        )  # fmt: skip
    return Panel(
        "Is the map faithful to the network?",
        tuple(tiles),
        "Deletion test: positions are hidden step by step, starting with those that the map marks most. Deletion is "
        f"the area under the probability of {class_name} against its sibling: lower is better, noise gets "
        f"{chance:.2f}. The line below says how far this probability falls if the marked positions are hidden, and if "
        "an equal area elsewhere is hidden.",
    )


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %".replace("-0 %", "0 %").replace("-", "−")
