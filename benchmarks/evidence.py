"""Does the tree of parts explain the decision? Every number beside its goal, and beside the published tree.

    python -m benchmarks.evidence --model tests/real_networks.py:resnet50 --photos ../shared/data/images/imagenet
    python -m benchmarks.evidence                                        # drawn birds, margins to the sibling

By level, from the last stage; five children a node; medians over images, and [lowest, highest] where it says "range":

held        share of the decision that the nodes of the level hold, along ways of at most five children a node
published   the same of the published tree
cancels     Σ |children| / |parent| over all parts of a level
alone       Spearman's correlation of shares with what the parent loses without the child, and slope of loss on share
average     the same with the loss averaged over which other parts are there (Shapley value)
together    what a parent loses when its shown children are moved to the reference
area        share of the image that holds half of a node's evidence
overlap     histogram intersection of the maps of two nodes of a level
mirrored, noise, shifted: cosine of nodes' maps of evidence, for and against alike, best match, with those of the
            mirrored image (mirrored back), of the image with noise of 1 % of its range, and of a crop 4 pixels further;
            "values": the same of maps in which what is for and what is against cancels
hit         drawn birds: whether the strongest node of the level points at the part that decides, by its evidence for
            the decision, pixel by pixel
decides     the share of this evidence that lies on that part
part        the share that lies on the drawn part with most of it
cost        seconds of the whole tree, and of all effects, in plain forwards
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from scipy.optimize import linear_sum_assignment
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn import functional

import foveal
from benchmarks.depth import Case, drawn
from foveal.hierarchy.part_expansion import PartExpander
from foveal.images import load_images
from foveal.images.place import Place, laid
from foveal.results.feature_graph import Feature
from foveal.results.tree import Tree

GOALS = {
    "held": (0.9, 0.8, 0.75, 0.7), "alone": 0.8, "average": 0.8, "together": 0.8, "area": 0.12, "overlap": 0.35,
    "mirrored": 0.9, "noise": 0.9, "shifted": 0.9, "hit": 0.95, "part": 0.9, "cost": 15,
}  # fmt: skip
LEVELS = 4


def main(
    model: Annotated[str, typer.Option(help="a classifier, as --model takes it")] = "demo",
    photos: Annotated[Path | None, typer.Option(help="a folder of photos")] = None,
    count: Annotated[int, typer.Option(help="images")] = 20,
    effects: Annotated[int, typer.Option(help="of these, how many are measured")] = 10,
    rule: Annotated[str, typer.Option(help="of the tree of parts")] = "difference",
    threads: int = 2,
) -> None:
    torch.set_num_threads(threads)
    network = foveal.load_model(model)
    found: dict[str, dict[int, list[float]]] = {}

    def note(what: str, level: int, value: float) -> None:
        if value == value:
            found.setdefault(what, {}).setdefault(level, []).append(value)

    cases = list(photographs(network, photos, count) if photos else drawn(network, count, 77))
    for number, case in enumerate(cases):
        began = time.perf_counter()
        with torch.inference_mode():
            network.module(case.batch.tensor)
        forward = time.perf_counter() - began
        began = time.perf_counter()
        tree = foveal.decompose(network, case.batch, case.target, nodes="parts", rule=rule).grow(LEVELS)
        note("cost", 1, (time.perf_counter() - began) / forward)
        shares(tree, note)
        published = foveal.decompose(network, case.batch, case.target).grow(LEVELS)
        for level, share in enumerate(published.kept()[1:], 1):
            note("published", level, share)
        if number < effects:
            began = time.perf_counter()
            tree.audit()
            note("cost of effects", 1, (time.perf_counter() - began) / forward)
            measured(tree, note)
            stability(network, case, tree, rule, note)
        if not photos:
            aimed(case, tree, note)
    report(network, len(cases), min(effects, len(cases)), found)


def photographs(network: foveal.Model, folder: Path, count: int) -> Iterator[Case]:
    """Photos, each with the class that the network predicts."""
    for file in sorted(folder.glob("*.jpg"))[:count]:
        batch = load_images(file, network.preprocessing)
        with torch.inference_mode():
            top = int(network.module(batch.tensor).argmax())
        yield Case(batch, foveal.Class(top), lambda map: (0.0, 0.0), lambda x: x)


def shares(tree: Tree, note: Any) -> None:
    expander = tree.expander
    assert isinstance(expander, PartExpander)
    for level, held in enumerate(tree.kept()[1:], 1):
        note("held", level, 1 - abs(1 - held))
        stage = len(tree.stages) - level
        R, W = expander.evidence[stage].R, expander.parts(stage)
        values = (W * R).double().sum((1, 2, 3))
        note("cancels", level, float(values.abs().sum() / values.sum().abs()))
        M = torch.stack([map.double().abs().flatten() for map in node_maps(tree, stage)])
        M = M / M.sum(1, keepdim=True)
        ordered = M.sort(1, descending=True).values.cumsum(1)
        note("area", level, float(((ordered < 0.5).sum(1) + 1).double().median() / M.shape[1]))
        pairs = [float(torch.minimum(M[i], M[j]).sum()) for i in range(len(M)) for j in range(i)]
        if pairs:
            note("overlap", level, statistics.mean(pairs))


def node_maps(tree: Tree, stage: int, *, signed: bool = True) -> list[Tensor]:
    """Of every part of a stage, what it brings to the decision, position by position; unsigned, what it weighs."""
    expander = tree.expander
    assert isinstance(expander, PartExpander)
    R = expander.evidence[stage].R
    return list(expander._smooth((expander.parts(stage) * (R if signed else R.abs())).sum(1), stage))


def measured(tree: Tree, note: Any) -> None:
    for level in range(1, LEVELS + 1):
        stage = len(tree.stages) - level + 1
        parents: list[Feature] = [f for f in [tree.decision, *tree.features.values()] if f.stage == stage and f.edges]
        edges = [edge for parent in parents for edge in parent.edges or ()]
        if len(edges) < 3 or any(edge.effect is None for edge in edges):
            continue
        claimed = np.array([edge.share for edge in edges])
        for name in ("effect", "average"):
            got = np.array([getattr(edge, name) for edge in edges])
            title = "alone" if name == "effect" else name
            note(title, level, float(spearmanr(claimed, got).statistic))
            note(f"{title}, slope", level, float((claimed * got).sum() / (claimed**2).sum()))
        for parent in parents:
            note("together", level, parent.together or 0.0)


def stability(network: foveal.Model, case: Case, tree: Tree, rule: str, note: Any) -> None:
    x = case.batch.tensor
    random = torch.Generator().manual_seed(0)
    noise = 0.01 * float(x.amax() - x.amin()) * torch.randn(x.shape, generator=random)
    changed = {"mirrored": x.flip(3), "noise": x + noise, "shifted": torch.roll(x, (4, 4), (2, 3))}
    for name, image in changed.items():
        other = foveal.decompose(network, image, case.target, nodes="parts", rule=rule)
        for level in range(1, LEVELS + 1):
            stage = len(tree.stages) - level
            if stage < 0:
                break
            for signed in (False, True):
                mine, theirs = (stretched(t, stage, x.shape[2:], signed=signed) for t in (tree, other))
                theirs = theirs.flip(2) if name == "mirrored" else theirs
                theirs = torch.roll(theirs, (-4, -4), (1, 2)) if name == "shifted" else theirs
                a, b = (functional.normalize(maps.flatten(1), dim=1) for maps in (mine, theirs))
                alike = (a @ b.T).numpy()
                matched = alike[linear_sum_assignment(-alike)]
                note(f"{name}, values" if signed else name, level, float(np.median(matched)))


def stretched(tree: Tree, stage: int, size: Sequence[int], *, signed: bool) -> Tensor:
    """Maps of a stage's parts on the network's input."""
    place = tree.stages[stage].place
    maps = node_maps(tree, stage, signed=signed)
    lie = place and Place(*place).settled(maps[0].shape, (size[0], size[1]))
    return torch.stack([torch.as_tensor(laid(map.double(), (size[0], size[1]), lie)) for map in maps])


def aimed(case: Case, tree: Tree, note: Any) -> None:
    """Where the strongest node of each level points, by its evidence pixel by pixel."""
    expander = tree.expander
    assert isinstance(expander, PartExpander)
    for level in range(1, min(LEVELS, len(tree.stages)) + 1):
        strongest = max(
            (f for f in tree.features.values() if f.stage == len(tree.stages) - level), key=lambda f: f.value
        )
        expander.look([strongest], "")
        assert strongest.pattern is not None
        pixels = np.asarray(strongest.pattern.values.sum(0).relu())
        on_photo = np.nan_to_num(case.batch.photos[0].geometry.map_to_photo(pixels))
        note("hit", level, case.judge(on_photo)[0])
        note("decides", level, case.judge(on_photo)[1])
        note("part", level, case.best(on_photo))


def report(network: foveal.Model, n: int, measured: int, found: dict[str, dict[int, list[float]]]) -> None:
    print(f"{network.name}, n = {n}, effects and stability n = {measured}\n")
    print(
        "| | goal | "
        + " | ".join(f"level {level}" for level in range(1, LEVELS + 1))
        + " |\n|---|---|"
        + "---:|" * LEVELS
    )
    for name, levels in found.items():
        mean = name in ("hit", "decides", "part")
        cells = []
        for level in range(1, LEVELS + 1):
            values = levels.get(level, [])
            middle = (statistics.mean if mean else statistics.median)(values) if values else float("nan")
            ends = "" if mean or not values else f" [{min(values):.2f}, {max(values):.2f}]"
            cells.append(f"{middle:.2f}{ends}" if values else "–")
        goal: Any = GOALS.get(name, "")
        words = ", ".join(map(str, goal)) if isinstance(goal, tuple) else str(goal)
        print(f"| {name} | {words} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    typer.run(main)
