"""Do the features that gAP finds support their parent? Their channels are switched off, and others in their place.

    python -m benchmarks.support                                                    # drawn birds
    python -m benchmarks.support --model tests/real_networks.py:resnet18 --photos ../shared/data/images/imagenet_boxes

For each picture the decision and the strongest features below it (two a node) are parents. "one": the mean
relative drop of a parent when one of five chosen channels is set to zero; "five": when all five are. Channels are
chosen by the rules of gAP, by the sum of absolute gradients, by the sum of activations, all where the parent looks, and
at random.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

import foveal
from foveal.hierarchy.contribution_rules import RULES, Frame
from foveal.hierarchy.expansion import TreeExpander
from foveal.hierarchy.feature_value import feature_values
from foveal.results.feature_graph import Feature
from foveal.synthetic import CLASS_NAMES, Split
from foveal.synthetic.ground_truth import sibling_margin

CHOSEN = 5


def cases(network: foveal.Model, photos: Path | None, count: int) -> Iterator[tuple[Any, Any]]:
    """Pictures and decisions."""
    if photos is None:
        for example in Split("classes", count, seed=5):
            yield example.image, sibling_margin([CLASS_NAMES[example.target]])
        return
    with (photos / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows[:: max(1, len(rows) // count)][:count]:
        yield photos / row["file"], None


def contributions(expander: TreeExpander, feature: Feature) -> dict[str, torch.Tensor]:
    """How much each channel of the stage below is worth, by several ways to tell."""
    if feature.stage == len(expander.stages):
        A, G, frame = expander.A[-1], expander.root, Frame.whole(expander.A[-1], (1, 1))
    else:
        windows = expander._windows(feature.stage)
        corners = windows.corners(torch.tensor([feature.place]))
        A, frame = windows.cut(expander.A[feature.stage - 1], corners), windows.frame(corners)
        start = feature_values([feature], windows.local(torch.tensor([feature.place]), corners))
        _, G = expander.segment(feature.stage).gradients(A, start)
    found = {name: rule(A, G, frame)[0].relu().sum((1, 2)) for name, rule in RULES.items()}
    return {**found, "gradient": G[0].abs().sum((1, 2)), "activation": A[0].relu().sum((1, 2))}


def choices(expander: TreeExpander, feature: Feature, random: np.random.Generator) -> dict[str, list[int]]:
    """Ways to choose five channels of the stage below."""
    worth = contributions(expander, feature)
    chosen = {name: values.topk(CHOSEN).indices.tolist() for name, values in worth.items()}
    return {**chosen, "random": random.choice(len(worth["exact"]), CHOSEN, replace=False).tolist()}


def main(
    model: Annotated[str, typer.Option(help="a classifier, as --model takes it")] = "demo",
    photos: Annotated[Path | None, typer.Option(help="a folder with index.csv: file")] = None,
    count: Annotated[int, typer.Option(help="pictures")] = 40,
    threads: int = 2,
) -> None:
    torch.set_num_threads(threads)
    network, random = foveal.load_model(model), np.random.default_rng(0)
    drops: dict[tuple[str, str], list[tuple[float, float]]] = {}
    stages: list[str] = []
    with typer.progressbar(list(cases(network, photos, count)), label="pictures") as bar:
        for picture, target in bar:
            tree = foveal.decompose(network, picture, target, branching=2).grow()
            expander = tree.expander
            assert isinstance(expander, TreeExpander)
            stages = ["score", *reversed([stage.name for stage in tree.stages[1:]])]
            for feature in [tree.decision, *tree.features.values()]:
                if feature.stage == 0 or feature.value <= 0:
                    continue
                for name, channels in choices(expander, feature, random).items():
                    left = expander.values_without(feature, [*[[k] for k in channels], channels])
                    relative = [(feature.value - value) / feature.value for value in left]
                    layer = "score" if feature.channel < 0 else feature.layer
                    drops.setdefault((name, layer), []).append((float(np.mean(relative[:-1])), relative[-1]))
    print(f"{count} pictures, {network.name}: drop in % without one | without all five\n")
    print(f"| chosen by | {' | '.join(stages)} |\n|{'---|' * (len(stages) + 1)}")
    for name in (*RULES, "gradient", "activation", "random"):
        cells = []
        for layer in stages:
            one, five = (100 * np.mean(column) for column in zip(*drops[name, layer], strict=True))
            cells.append(f"{one:.1f} \\| {five:.0f}")
        print(f"| {name} | {' | '.join(cells)} |")
    counts = {layer: len(drops["random", layer]) for layer in stages}
    print("\nparents: " + ", ".join(f"{layer} {n}" for layer, n in counts.items()))


if __name__ == "__main__":
    typer.run(main)
