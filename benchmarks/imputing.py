"""What ROAD's imputation costs, and how far it is from the exact solution of its equations.

python -m benchmarks.imputing photos/*.jpg --model tests/real_networks.py:resnet50

Ten holes a map: the top and the bottom 10, 30, 50, 70 and 90 % of the pixels of a Grad-CAM map, of noise, and of the
photo's edges.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Annotated

import torch
import typer
from torch import Tensor

import foveal
from foveal.images import load_images
from foveal.metrics import impute
from foveal.metrics.baseline_maps import edge_map, random_map
from foveal.metrics.road import SHARES, removed

EXACT = 1e-9
CHUNK = 4  # copies at once, as the metrics ask


def main(
    photos: Annotated[list[str], typer.Argument(help="files")],
    model: Annotated[str, typer.Option(help="as --model takes it")] = "demo",
) -> None:
    torch.set_num_threads(1)
    network = foveal.load_model(model)
    found: dict[str, list[tuple[float, float, float]]] = {}
    for photo in photos:
        x = load_images(photo, network.preprocessing).tensor
        maps = {
            "gradcam": foveal.explain(network, photo).map[0],
            "random": random_map(x)[0],
            "edges": edge_map(x)[0],
        }
        for name, map in maps.items():
            holes = [removed(sign * map, (x.shape[2], x.shape[3]), share) for sign in (1, -1) for share in SHARES]
            found.setdefault(name, []).append(_tested(x, torch.cat(holes), network.module))
    print(f"{len(photos)} photos; ten copies:")
    for name, each in found.items():
        cost, most, usual = zip(*each, strict=True)
        print(
            f"{name}: {statistics.median(cost):.2f} forward passes; differs from the exact solution by at most "
            f"{100 * max(most):.2g} % of the photo's range (root mean square {100 * statistics.mean(usual):.2g} %)"
        )


def _tested(x: Tensor, holes: Tensor, network: Callable[[Tensor], Tensor]) -> tuple[float, float, float]:
    """Processor time in forward passes of the photo; the largest error, and its root mean square, of the range."""

    def filled() -> Tensor:
        return torch.cat([impute(x, some, noise=0) for some in holes.split(CHUNK)])

    with torch.inference_mode():
        network(x), filled()
        cost = statistics.median(_seconds(filled) / _seconds(lambda: network(x)) for _ in range(3))
    wrong = filled().double() - impute(x.double(), holes, noise=0, tolerance=EXACT)
    span = float(x.max() - x.min())
    hidden = holes.expand_as(wrong)
    return cost, float(wrong.abs().max()) / span, float(wrong[hidden].square().mean().sqrt()) / span


def _seconds(run: Callable[[], object]) -> float:
    begin = time.process_time()
    run()
    return time.process_time() - begin


if __name__ == "__main__":
    typer.run(main)
