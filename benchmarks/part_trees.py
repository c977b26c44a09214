"""Trees of parts and flows by differences: is what they claim what the network loses?

    python -m benchmarks.part_trees                       # the example, then forty drawn birds

Edges of parents through which at least a twentieth of the decision flows, weighted by that flow. "alone": the mean
distance between the share of a child and what its parent loses without it; "average": the same, averaged over which of
the other parts are there; "random": as much of the stage, at random channels and positions, in place of the part.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray

import foveal
from foveal.results.tree import Tree
from foveal.synthetic import CLASS_NAMES, Split, demo_scenes, render
from foveal.synthetic.ground_truth import sibling_margin

BIRD = "Fan-crested Jay"
LEAST = 0.05
Row = tuple[float, float, float, float, float]


def image() -> NDArray[np.uint8]:
    """The bundled jay."""
    return render(next(scene for scene in demo_scenes() if scene.class_name == BIRD))[0]


def example(network: foveal.Model) -> Tree:
    """Its margin to its sibling."""
    return foveal.decompose(network, image(), sibling_margin([BIRD]), nodes="parts").grow().audit()


def rows(tree: Tree) -> dict[str, list[Row]]:
    """Stage -> (flow through the parent, share, effects alone, on average, at random) of each edge."""
    flow = tree.flow()
    found: dict[str, list[Row]] = {}
    for parent in [tree.decision, *tree.features.values()]:
        weight = abs(flow.get(parent.key, 0.0))
        for edge in (parent.edges or ()) if weight >= LEAST else ():
            measured = (edge.effect or 0.0, edge.average or 0.0, edge.random or 0.0)
            found.setdefault(edge.child.layer, []).append((weight, edge.share, *measured))
    return found


def main(count: Annotated[int, typer.Option(help="images")] = 40, threads: int = 2) -> None:
    torch.set_num_threads(threads)
    network = foveal.load_model("demo")
    tree = example(network)
    decision = tree.decision
    print(f"{tree.target}: score {decision.value:.2f}, reference {decision.offset:.2f}")
    for edge in [*(decision.edges or ()), *((decision.edges or ())[0].child.edges or ())]:
        measured = [f"{100 * (value or 0):.1f}" for value in (edge.share, edge.effect, edge.average, edge.random)]
        print(edge.child.name, *measured)
    for coefficients in ("contribution", "difference"):
        flow = foveal.flow(network, image(), sibling_margin([BIRD]), coefficients=coefficients)
        print(coefficients, flow, flow.audit(), sep="\n")
    found: dict[str, list[Row]] = {}
    for item in Split("classes", count, seed=5):
        margin = sibling_margin([CLASS_NAMES[item.target]])
        tree = foveal.decompose(network, item.image, margin, nodes="parts").grow().audit()
        for layer, several in rows(tree).items():
            found.setdefault(layer, []).extend(several)
    print("| parts of | edges | alone | average | random | same sign, average |\n|---|---|---|---|---|---|")
    for layer, several in found.items():
        weight, share, *effects = torch.tensor(several, dtype=torch.float64).unbind(1)
        weight = weight / weight.sum()
        distances = [f"{100 * float((weight * (share - effect).abs()).sum()):.1f}" for effect in effects]
        agree = 100 * float((weight * (share.sign() == effects[1].sign())).sum())
        print("|", " | ".join([layer, str(len(several)), *distances, f"{agree:.0f} %"]), "|")


if __name__ == "__main__":
    typer.run(main)
