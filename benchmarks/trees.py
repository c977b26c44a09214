"""What taking a decision apart costs: the features of a level all at once, and one by one.

    python -m benchmarks.trees
    python -m benchmarks.trees --networks vgg16 --nodes 62

"one by one": a backward pass through the whole stage for each feature, from the recorded maps of the stage below.
"whole tree": five children a node, every stage, from nothing.
"""

from __future__ import annotations

import platform
import resource
from functools import partial
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor

import foveal
from benchmarks.timing import duration, plain_forward
from foveal.hierarchy.expansion import TreeExpander
from foveal.models.extras import import_torchvision
from foveal.results.feature_graph import Feature


def main(
    networks: Annotated[list[str], typer.Option(help="torchvision names")] = ["vgg16", "resnet50"],  # noqa: B006
    nodes: Annotated[int, typer.Option(help="features of a level")] = 62,
    branching: int = 5,
    threads: int = 2,
) -> None:
    torch.set_num_threads(threads)
    print(f"torch {torch.__version__}, {threads} threads, {platform.machine()}; {nodes} features a level")
    for name in networks:
        torch.manual_seed(0)
        model = getattr(import_torchvision().models, name)(weights=None).eval().requires_grad_(False)
        x = torch.randn(1, 3, 224, 224)
        tree = foveal.decompose(model, x, branching=branching)
        expander = tree.expander
        assert isinstance(expander, TreeExpander)
        table = Table(title=f"{name}, 224×224", title_justify="left")
        for heading in ("stage", "all at once, s", "one by one, s", "ratio", "windows"):
            table.add_column(heading, justify="right" if heading != "stage" else "left")
        for stage in range(len(tree.stages) - 1, 0, -1):
            features = some_features(expander, stage, nodes)
            expander.expand(features[:2])  # finds out whether windows will do
            again = some_features(expander, stage, nodes)
            together = duration(partial(expander.expand, again))
            few = features[:8]
            alone = duration(partial(one_by_one, expander, few, stage)) * nodes / len(few)
            windows = expander._windows(stage)
            table.add_row(
                tree.stages[stage].name,
                f"{together:.2f}",
                f"{alone:.2f}",
                f"{alone / together:.1f}",
                "whole" if windows.are_whole else f"{windows.side[0]} of {windows.size[0]}",
            )
        Console(width=100).print(table)
        forward = min(duration(lambda model=model, x=x: plain_forward(model, x)) for _ in range(3))
        fresh = foveal.decompose(model, x, branching=branching)
        grown = duration(lambda fresh=fresh: fresh.grow(least=0))
        count = sum(1 for _ in fresh)
        print(
            f"whole tree: {count} nodes, {len(fresh.features)} features, {grown:.1f} s ({grown / forward:.0f} forwards)"
        )
    print(f"largest memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")


def some_features(expander: TreeExpander, stage: int, count: int) -> list[Feature]:
    """The most active neurons of a stage, each of another channel as far as there are channels."""
    A = expander.A[stage][0]
    order = A.amax((1, 2)).argsort(descending=True)
    found = []
    for number in range(count):
        k = int(order[number % len(order)])
        place = divmod(int(A[k].flatten().argsort(descending=True)[number // len(order)]), A.shape[2])
        found.append(Feature(stage, expander.stages[stage].name, (k,), place, float(A[k, place[0], place[1]])))
    return found


def one_by_one(expander: TreeExpander, features: list[Feature], stage: int) -> None:
    """As one does without windows or batches."""
    leaf = expander.A[stage - 1].clone().requires_grad_()
    kept: list[Tensor] = []

    def start(out: Tensor) -> Tensor:
        kept.append(out)
        return out.flatten(1).sum(1)

    with torch.enable_grad():
        expander.segment(stage)._run(leaf, start)
    for feature in features:
        y, x = feature.place
        (G,) = torch.autograd.grad(kept[0][0, feature.channel, y, x], leaf, retain_graph=True)
        (leaf.detach() * G).relu().sum((2, 3)).topk(expander.settings.branching)


if __name__ == "__main__":
    typer.run(main)
