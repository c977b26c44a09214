"""Everything about one bundled picture: what the network says, why, why not its sibling, and stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from foveal.demo.measured import true_panel
from foveal.demo.panels import flow_panel, match_panel, parts_panel, tree_panel
from foveal.demo.truth import explain_fully, logits_of, on_photo, true_effects
from foveal.methods import METHODS
from foveal.models import Model
from foveal.report.report import Panel, Section, Tile
from foveal.report.tiles import effect_bars, known_tile, layer_tiles, map_tile, photo_tile, probability_bars
from foveal.results import Explanation
from foveal.synthetic import CLASS_NAMES, sibling
from foveal.synthetic.agreement import rank_correlation, top_part
from foveal.synthetic.ground_truth import deciding_part, sibling_margin
from foveal.synthetic.scene import LABELS
from foveal.targets import Class

if TYPE_CHECKING:
    from foveal.synthetic.splits import Example


def picture_section(model: Model, example: Example) -> Section:
    """Everything about one image: the prediction, why, why not its sibling, and stage by stage."""
    class_name = CLASS_NAMES[example.target]
    other = sibling(class_name)
    part = deciding_part(class_name)
    class_truth, margin_truth = true_effects(model, example)
    by_class = explain_fully(model, example.image, Class(class_name))
    by_margin = explain_fully(model, example.image, sibling_margin([class_name]))
    photo = by_class["gradcam"].photos[0]
    known_class = known_tile(photo, example.labels, LABELS, class_truth, title="known", detail="effect on the score")
    known_margin = known_tile(photo, example.labels, LABELS, margin_truth, title="known", detail="effect on the margin")
    chances = _chances(model, example)
    return Section(
        heading=class_name,
        photo=photo_tile(photo, class_name, alt=f"A drawn {class_name} before {example.scene.backdrop.kind}."),
        text=f"Its sibling, the {other}, differs only in the {part}.",
        charts=(
            probability_bars(chances, title="the network predicts"),
            effect_bars(
                margin_truth,
                title=f"true effect on “{class_name}, not {other}”",
                caption="Drop of the margin without the part (body, head: replaced). The deciding part is marked.",
                decisive=(part,),
            ),
        ),
        panels=(
            Panel(
                f"Why not {other}?",
                (known_margin, *(_margin_tile(why, example, part) for why in by_margin.values())),
                f"The margin between the two logits. They differ only in the {part}, so a faithful map marks it.",
            ),
            Panel(
                f"Why {class_name}?",
                (known_class, *(_class_tile(why, example, class_truth) for why in by_class.values())),
                "The logit of the class. Many parts are evidence for it; the rank correlation compares their order "
                "in the map with that of their true effects.",
            ),
            Panel(
                "Stage by stage",
                (known_margin, *layer_tiles(by_margin["hirescam"])),
                "The margin again, by HiResCAM at every stage, from the first to the last.",
            ),
            flow_panel(model, example, class_name),
            tree_panel(model, example, class_name),
            parts_panel(example, class_name, part),
            match_panel(model, example, class_name, other, part),
            true_panel(model, example, class_name),
        ),
    )


def _margin_tile(why: Explanation, example: Example, part: str) -> Tile:
    pointed = top_part(on_photo(why, why.layer, 0), example.labels)
    return map_tile(why, title=METHODS[why.method].title, verdict=pointed == part, finding=f"top part: {pointed}")


def _class_tile(why: Explanation, example: Example, truth: Mapping[str, float]) -> Tile:
    agreement = rank_correlation(on_photo(why, why.layer, 0), example.labels, truth)
    return map_tile(why, title=METHODS[why.method].title, detail=f"rank correlation {agreement:.2f}".replace("-", "−"))


def _chances(model: Model, example: Example) -> dict[str, float]:
    chances = logits_of(model, example.image[None]).softmax(1)[0]
    return dict(zip(CLASS_NAMES, chances.tolist(), strict=True))
