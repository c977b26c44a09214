"""What `foveal.flow` costs: all stages at once beside the floor, and inverting layer by layer beside the forward.

    python -m benchmarks.flow
    python -m benchmarks.flow --networks resnet50 --batch 4 --rounds 9

"floor": forward, and the gradient back to the first stage with frozen weights, by hand.
"modules": every module of `features` as a layer, ten iterations of the solver; forwards' worth a layer, on average.
"""

from __future__ import annotations

import platform
import resource
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import nn

import foveal
from benchmarks.cost import floor
from benchmarks.timing import Action, measure, plain_forward, ratios, spread
from foveal.models.extras import import_torchvision


def main(
    networks: Annotated[list[str], typer.Option(help="torchvision names, at every stage")] = ["resnet50"],  # noqa: B006
    modules: Annotated[list[str], typer.Option(help="names with `features`, at every module")] = ["alexnet", "vgg16"],  # noqa: B006
    batch: int = 1,
    rounds: Annotated[int, typer.Option(help="counted rounds after one to warm up")] = 7,
    iterations: int = 10,
    threads: int = 2,
) -> None:
    torch.set_num_threads(threads)
    print(f"torch {torch.__version__}, {threads} threads, {platform.machine()}; median (range) of {rounds} rounds")
    for name in networks:
        model, x = _network(name), torch.randn(batch, 3, 224, 224)
        stages = [stage.name for stage in foveal.stages(model, x)]
        actions: dict[str, Action] = {
            "plain forward": lambda model=model, x=x: plain_forward(model, x),
            "floor": lambda model=model, x=x, first=stages[0]: floor(model, x, first),
            "exact, every stage": lambda model=model, x=x: foveal.flow(model, x),
            "project, every stage": lambda model=model, x=x: foveal.flow(
                model, x, mode="project", iterations=iterations
            ),
        }
        seconds = measure(actions, rounds)
        table = _table(f"{name}, {len(stages)} stages, batch {batch}", "× plain forward", "× floor")
        for action, taken in seconds.items():
            beside = [spread(ratios(taken, seconds[by])) for by in ("plain forward", "floor")]
            table.add_row(action, *beside)
        Console(width=100).print(table)
    for name in modules:
        model, x = _network(name), torch.randn(batch, 3, 224, 224)
        layers = len(foveal.flow(model, x, layer="features.*").layers)
        actions = {
            "plain forward": lambda model=model, x=x: plain_forward(model, x),
            "exact": lambda model=model, x=x: foveal.flow(model, x, layer="features.*"),
            "project": lambda model=model, x=x: foveal.flow(
                model, x, layer="features.*", mode="project", iterations=iterations
            ),
        }
        seconds = measure(actions, min(rounds, 3))
        table = _table(
            f"{name}, {layers} modules, batch {batch}, {iterations} iterations", "× plain forward", "a layer"
        )
        for action, taken in seconds.items():
            table.add_row(
                action,
                spread(ratios(taken, seconds["plain forward"])),
                spread(ratios(taken, seconds["plain forward"], per=layers)),
            )
        Console(width=100).print(table)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"largest memory of the process: {peak:.1f} GiB")


def _network(name: str) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = getattr(import_torchvision().models, name)(weights=None)
    return model.eval().requires_grad_(False)


def _table(title: str, *heads: str) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in ("", *heads):
        table.add_column(heading, justify="left" if not heading else "right")
    return table


if __name__ == "__main__":
    typer.run(main)
