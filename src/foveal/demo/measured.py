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
        "Is it true?",
        tuple(tiles),
        "The network is asked again while places vanish, those first that a map marks most. Deletion is the area below "
        f"the probability of {class_name} rather than its sibling: low is good, noise gets {chance:.2f}. Below it, by "
        "how much that probability falls when the marked places alone are hidden, and when an equal area elsewhere is.",
    )


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %".replace("-0 %", "0 %").replace("-", "−")
