"""What `foveal.match` costs beside the forwards it cannot do without: one query against many references.

    python -m benchmarks.match
    python -m benchmarks.match --networks resnet18 --references 20 --rounds 9

"plain forwards" runs all pictures through the network, as many at once as `match` does.
"""

from __future__ import annotations

import platform
from statistics import median
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

import foveal
from benchmarks.timing import Action, measure, plain_forward, ratios, spread
from foveal.attribution.embedding import AT_ONCE
from foveal.models.extras import import_torchvision


def main(
    networks: Annotated[list[str], typer.Option(help="torchvision names")] = ["resnet50"],  # noqa: B006
    references: Annotated[int, typer.Option(help="how many pictures the query is compared with")] = 100,
    rounds: Annotated[int, typer.Option(help="counted rounds after one to warm up")] = 3,
    threads: Annotated[int, typer.Option(help="threads torch may use")] = 2,
) -> None:
    torch.set_num_threads(threads)
    print(f"torch {torch.__version__}, {threads} threads, {platform.machine()}; median (range) of {rounds} rounds")
    for name in networks:
        torch.manual_seed(0)
        model = getattr(import_torchvision().models, name)(weights=None).eval()
        query, shelf = torch.randn(1, 3, 224, 224), torch.randn(references, 3, 224, 224)

        def forwards(model: torch.nn.Module = model, query: torch.Tensor = query, shelf: torch.Tensor = shelf) -> None:
            plain_forward(model, query)
            for few in shelf.split(AT_ONCE):
                plain_forward(model, few)

        def matched(
            lines: int, model: torch.nn.Module = model, q: torch.Tensor = query, s: torch.Tensor = shelf
        ) -> Action:
            return lambda: foveal.match(model, q, s, lines=lines)

        actions: dict[str, Action] = {
            "plain forwards": forwards,
            "match: maps on both sides, channels": matched(0),
            "match: and lines between places": matched(8),
        }
        seconds = measure(actions, rounds)
        table = Table(title=f"{name}, 1 query, {references} references, 224×224", title_justify="left")
        for heading in ("", "s", "× plain forwards"):
            table.add_column(heading, justify="left" if not heading else "right")
        for action, taken in seconds.items():
            table.add_row(action, f"{median(taken):.1f}", spread(ratios(taken, seconds["plain forwards"])))
        Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)
