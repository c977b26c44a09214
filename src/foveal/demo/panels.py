"""Panels of one image, one per verb: how attention forms, parts of parts, ranked parts, what it is like."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from foveal.api.decompose import decompose
from foveal.api.explain import explain
from foveal.api.flow import flow
from foveal.api.match import match
from foveal.api.parts import parts
from foveal.demo.truth import on_photo
from foveal.models import Model, load_model
from foveal.render.tree_page import fragment
from foveal.report.report import Panel, Tile
from foveal.report.tiles import SIDE, map_tile
from foveal.synthetic import render
from foveal.synthetic.agreement import top_part
from foveal.synthetic.ground_truth import sibling_margin
from foveal.synthetic.sampling import class_scene
from foveal.synthetic.scene import LABELS
from foveal.targets import Prototypes

if TYPE_CHECKING:
    from foveal.synthetic.splits import Example

ANOTHER = 1000  # seed of the scenes that images are matched with


def flow_panel(model: Model, example: Example, class_name: str) -> Panel:
    """The margin again, with the neurons kept, and the test without the others."""
    flow_of_margin = flow(model, example.image, sibling_margin([class_name]))
    bird = (example.labels > 0) & (example.labels < LABELS["occluder"])
    strip = flow_of_margin.figure("strip", audit=flow_of_margin.audit(), inside=bird, side=SIDE)
    last = flow_of_margin.layers[-1]
    words = f"At {last}, {100 * flow_of_margin.number(last, 'kept'):.0f} % of the neurons are kept."
    return Panel(
        "How does attention develop?",
        (
            Tile(
                f"{flow_of_margin.layers[0]} to {last}",
                strip,
                f"Maps of the margin at every stage, and the neurons kept. {words}",
            ),
        ),
        "Attention flow: neurons that do not influence the margin are left out, at every stage at once. "
        "The curves show "
        "how many are kept, the evidence of a stage as a share of the margin (biases add the rest), the margin after "
        "the left-out neurons are removed, and how much of the evidence lies on the bird.",
    )


def tree_panel(model: Model, example: Example, class_name: str) -> Panel:
    """The margin, decomposed down to the first stage."""
    tree = decompose(model, example.image, sibling_margin([class_name]), branching=3, opponents=2).grow().look().audit()
    names = ", ".join(str(node.feature.channel) for node in tree.root.children)
    words = (
        f"Channels {names} of {tree.stages[-1].name} support the margin most; below each, the channels that support it."
    )
    return Panel(
        "Which features support the decision, and which support those?",
        (Tile(f"{tree.stages[-1].name} to {tree.stages[0].name}", tree.figure(most=6), words),),
        "Gradient-based activation propagation: the strongest channels of the last stage, each at its strongest "
        "position, then the channels that support that neuron, and so on. Click a card to see its features. The "
        "drawn tree is below: lines are as thick as what flows along them; red where removing a channel does not lower "
        "what it was found to support. The gray images show the pattern that drives each neuron (guided "
        "backpropagation, not evidence).",
        tree=fragment(tree),
    )


def parts_panel(example: Example, class_name: str, part: str) -> Panel:
    """The margin of a network that decides by ranked parts."""
    ranked = parts(_by_parts(), example.image, sibling_margin([class_name]))
    where = ranked.where.get(ranked.layer)
    pointed = top_part(ranked.photos[0].geometry.map_to_photo(ranked.places[0], place=where), example.labels)
    shares = ", ".join(f"part {k + 1} {float(value):.1f}" for k, value in enumerate(ranked.evidence[0]))
    return Panel(
        "Which parts, ranked?",
        (
            Tile(
                "ranks, parts, evidence",
                ranked.figure(side=SIDE),
                f"Three ranked parts of the {class_name} and their evidence for the margin: {shares}.",
                verdict=pointed == part,
                finding=f"top part: {pointed}",
            ),
        ),
        "BR-NPA, another small network: the first part is the most active position of its last map with all similar "
        "positions; the next part comes from the rest. The network uses only the vectors of the three parts, so "
        "their evidence and the bias add up to the margin exactly. The parts do not depend on the target; their "
        "evidence does.",
    )


@cache
def _by_parts() -> Model:
    return load_model("parts")


def match_panel(model: Model, example: Example, class_name: str, other: str, part: str) -> Panel:
    """The image next to another of its species and next to its sibling, compared by the network's embedding."""
    shelf = [render(class_scene(name, seed))[0] for seed, name in enumerate((class_name, other), ANOTHER)]
    pair = match(model, example.image, shelf)
    alone = Prototypes(shelf, [class_name, other], which=class_name, margin=True)
    why = explain(model, example.image, alone, method="fam:weights=margin")
    pointed = top_part(on_photo(why, why.layer, 0), example.labels)
    return Panel(
        "Which image is it similar to?",
        (
            *(
                Tile(
                    f"{pair.caption(0, j)} to a {name}",
                    pair.figure("pair", j=j, side=SIDE),
                    f"The {class_name} and a {name}, evidence for their similarity on both, lines between positions.",
                )
                for j, name in enumerate((class_name, other))
            ),
            map_tile(why, title="the difference", verdict=pointed == part, finding=f"top part: {pointed}"),
        ),
        "Embeddings are compared, not classes. FAM weights channels by their contribution to the cosine; lines join "
        "the positions that contribute most. Both birds are similar to it nearly everywhere. The evidence for the "
        f"difference of the two similarities should be on the {part}.",
    )
