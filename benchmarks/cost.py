"""What an explanation costs, as a ratio to the network's own forward pass and to the least it could cost.

    make bench            or    python -m benchmarks.cost --networks resnet50 --batches 16 --rounds 9

The *floor* is one forward and the gradient from the score back to the first stage, weights frozen, nothing else:
no formula that uses gradients at every stage can cost less. Every round runs all rows once, in random order, so that a
machine whose speed drifts slows all of them; a ratio is taken within a round, and its median and range are printed.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from statistics import median
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import foveal
from benchmarks.timing import measure, plain_forward, ratios, spread
from foveal.models.extras import import_torchvision

EVERYWHERE = [
    name
    for name, method in foveal.METHODS.items()
    if method.needs == "gradients" and method.rules is None and method.place == "last stage" and name != "cam"
]
"""What one ordinary backward pass serves, at any layer."""


def floor(model: nn.Module, x: Tensor, first: str) -> None:
    """The forward, and the gradient of the best logit to the output of `first`; weights frozen."""
    kept: list[Tensor] = []

    def cut(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        kept.append(output.detach().requires_grad_())
        return kept[0].clone()

    hook = model.get_submodule(first).register_forward_hook(cut)
    output = model(x)
    hook.remove()
    torch.autograd.grad(output.amax(1).sum(), kept[0])


def rows(model: nn.Module, x: Tensor) -> dict[str, Callable[[], object]]:
    first = foveal.stages(model, x)[0].name
    last: dict[str, Callable[[], object]] = {
        "plain forward": lambda: plain_forward(model, x),
        "floor": lambda: floor(model, x, first),
        "gradcam, last stage": lambda: foveal.explain(model, x),
        "eigencam, last stage": lambda: foveal.explain(model, x, method="eigencam"),
        "all gradient methods, last stage": lambda: foveal.compare(model, x, methods=EVERYWHERE),
    }
    every: dict[str, Callable[[], object]] = {
        f"{name}, every stage": lambda name=name: foveal.explain(model, x, method=name, layer="all")  # type: ignore[misc]
        for name in EVERYWHERE
    }
    return (
        last
        | every
        | {"all gradient methods, every stage": lambda: foveal.compare(model, x, methods=EVERYWHERE, layer="all")}
    )


def show(name: str, batch: int, seconds: dict[str, list[float]], console: Console) -> None:
    table = Table(title=f"{name}, batch {batch}, 224×224", title_justify="left")
    for heading in ("", "ms per image", "× plain forward", "× floor"):
        table.add_column(heading, justify="left" if not heading else "right")
    for action, taken in seconds.items():
        table.add_row(
            action,
            f"{median(taken) / batch * 1000:.1f}",
            spread(ratios(taken, seconds["plain forward"])),
            spread(ratios(taken, seconds["floor"])),
        )
    console.print(table)


def main(
    networks: Annotated[list[str], typer.Option(help="torchvision names")] = ["resnet50", "mobilenet_v2"],  # noqa: B006
    batches: Annotated[list[int], typer.Option(help="images at once")] = [1, 16],  # noqa: B006
    rounds: Annotated[int, typer.Option(help="counted rounds after one to warm up")] = 7,
    threads: Annotated[int, typer.Option(help="threads torch may use")] = 2,
) -> None:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    console = Console(width=110)
    console.print(
        f"torch {torch.__version__}, {threads} threads, {platform.machine()}; median (range) of {rounds} rounds"
    )
    torchvision = import_torchvision()
    for name in networks:
        model = getattr(torchvision.models, name)(weights=None).eval().requires_grad_(False)
        for batch in batches:
            show(name, batch, measure(rows(model, torch.randn(batch, 3, 224, 224)), rounds), console)


if __name__ == "__main__":
    typer.run(main)
