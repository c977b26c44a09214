"""Are the same parts found again: in the images of a class, and in two halves of them?

    python -m benchmarks.class_parts                                                   # drawn jays, and the truth
    python -m benchmarks.class_parts --model tests/real_networks.py:resnet18 \\
        --photos ../shared/data/images/birds --files "*Albatross*" --target albatross

One row a stage, of joined parts that are found in half of the images or more (common) and of all:

common      how many there are, and the share of all evidence, Σ |share|, that they hold
alone       the share of all evidence in parts that are found in one image only
alike       how alike every two parts of a common one are, mean (0 to 1)
differing   the same of two parts of one image, the median
halves      how alike the joined parts of two halves of the images are (parts found in two images of a half or more, one
            to one by SciPy's linear sum assignment, weighted by the smaller share of evidence; ten random halvings)

Then the joined tree in words and, if the network decides some of the images otherwise, what these lack.

On drawn jays, whose margin to the sibling the crest decides: the strongest joined part of the last stage, and what the
margin loses when the crest is not drawn, both as shares of what is decomposed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from scipy.optimize import linear_sum_assignment

import foveal
from foveal.metrics.statistics import summary
from foveal.results.class_member import Member
from foveal.results.class_tree import ClassTree
from foveal.results.part_groups import alike
from foveal.synthetic import class_scene, render
from foveal.synthetic.ground_truth import deciding_part, sibling_margin
from foveal.synthetic.scene import LABELS

JAYS = ("Fan-crested Jay", "Crown-crested Jay")
SPLITS = 10


def main(
    model: Annotated[str, typer.Option(help="a classifier, as --model takes it")] = "demo",
    photos: Annotated[Path | None, typer.Option(help="a folder of photos of one class")] = None,
    files: Annotated[str, typer.Option(help="which files of it, such as *Albatross*")] = "*.jpg",
    target: Annotated[str | None, typer.Option(help="the class; each image's predicted class if left out")] = None,
    count: Annotated[int, typer.Option(help="images")] = 20,
    figure: Annotated[Path | None, typer.Option(help="where to draw the joined tree")] = None,
    threads: int = 2,
) -> None:
    torch.set_num_threads(threads)
    network = foveal.load_model(model)
    if photos is None:
        for name in JAYS:
            images = [render(class_scene(name, seed))[0] for seed in range(count)]
            trees = foveal.class_tree(network, images, sibling_margin([name]), nodes="parts")
            print(f"{name}, {count} images\n{table(trees)}\n{truth(network, trees, name)}\n")
    else:
        chosen = sorted(photos.glob(files))
        chosen = chosen[:: max(1, len(chosen) // count)][:count]
        trees = foveal.class_tree(network, chosen, target, nodes="parts")
        print(f"{trees.target}, {len(chosen)} images\n{table(trees)}\n{trees}")
        if target and len({tree.target_spec["strongest"][0] for tree in trees.trees}) == 2:
            print(trees.right_and_wrong())
    if figure:
        trees.figure().save(figure)


def table(trees: ClassTree) -> str:
    rows = ["| stage | common | alone | alike | differing | halves |\n|---|---|---|---|---|---|"]
    halves = halvings(trees)
    for stage in reversed(range(len(trees.trees[0].stages))):
        members = [member for member in trees.members.values() if member.stage == stage]
        common = [member for member in members if member.presence >= 0.5]
        alone = [member for member in members if member.is_alone]
        held = size(members)
        likeness = np.average([m.alike for m in common], weights=[size([m]) for m in common]) if common else np.nan
        same = summary([split[stage] for split in halves])
        rows.append(
            f"| {trees.trees[0].stages[stage].name} | {len(common)}, {100 * size(common) / held:.0f} % "
            f"| {100 * size(alone) / held:.0f} % | {likeness:.2f} | {trees.joining.least[stage]:.2f} "
            f"| {same.mean:.2f} ± {same.half:.2f} |"
        )
    return "\n".join(rows)


def size(members: list[Member]) -> float:
    """Σ |share| over parts and images."""
    return float(sum(abs(share) for member in members for share in member.shares))


def halvings(trees: ClassTree) -> list[dict[int, float]]:
    """Stage -> how alike the joined parts of two halves are; one a halving."""
    random, found = np.random.default_rng(0), []
    for _ in range(SPLITS):
        order = random.permutation(len(trees.trees))
        a, b = (trees.select(sorted(part.tolist())) for part in np.array_split(order, 2))
        found.append({stage: same_parts(a, b, stage) for stage in range(len(trees.trees[0].stages))})
    return found


def same_parts(a: ClassTree, b: ClassTree, stage: int) -> float:
    sides = [[m for m in side.members.values() if m.stage == stage and m.found > 1] for side in (a, b)]
    if not all(sides):
        return float("nan")
    profiles = [m.profile for side in sides for m in side if m.profile is not None]
    between = alike(profiles)[: len(sides[0]), len(sides[0]) :]
    rows, columns = linear_sum_assignment(between, maximize=True)
    weights = [[size([m]) / size(side) for m in side] for side in sides]
    smaller = [min(weights[0][i], weights[1][j]) for i, j in zip(rows, columns, strict=True)]
    return float(np.average(between[rows, columns], weights=smaller))


def truth(network: foveal.Model, trees: ClassTree, name: str) -> str:
    """The strongest joined part of the last stage, and the part that decides in fact."""
    part, last = deciding_part(name), len(trees.trees[0].stages) - 1
    top = next(member for member in trees.members.values() if member.stage == last)
    lying, lost = [], []
    for seed, (tree, places) in enumerate(zip(trees.trees, trees.joining.places, strict=True)):
        scene = class_scene(name, seed)
        drawn = torch.from_numpy(np.asarray(render(scene)[1]) == LABELS[part])
        for feature in tree.look("evidence").features.values():
            if places[feature.key] == (last, top.number) and feature.pattern:
                evidence = feature.pattern.values.abs().sum(0)
                lying.append(float(evidence[drawn].sum() / evidence.sum()))
        without = foveal.decompose(network, render(scene.without(part))[0], sibling_margin([name]), nodes="parts")
        lost.append((tree.decision.value - without.decision.value) / (tree.decision.value - tree.decision.offset))
    on_part, loss = summary(lying), summary(lost)
    return (
        f"{top.name}: in {top.found} of {len(trees.trees)}, {100 * on_part.mean:.0f} % of its evidence on the {part}, "
        f"holds {100 * top.share:.0f} ± {100 * top.half:.0f} %; lost without the {part}: {100 * loss.mean:.0f} ± "
        f"{100 * loss.half:.0f} %"
    )


if __name__ == "__main__":
    typer.run(main)
