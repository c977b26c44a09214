"""What measuring costs beside its forwards: processor time of the metrics, over that of as many plain forwards.

python -m benchmarks.measure
"""

from __future__ import annotations

import statistics
import time
from typing import Annotated

import torch
import typer

import foveal
from foveal.engine.chunks import WHOLE, fitting
from foveal.images import load_images
from foveal.synthetic import Split

GROUPS = {"deletion and insertion": ["deletion", "insertion"], "all usual": ["usual"]}


def main(
    model: Annotated[str, typer.Option(help="as --model takes it")] = "demo",
    rounds: Annotated[int, typer.Option(help="median and range of so many")] = 5,
) -> None:
    torch.set_num_threads(1)
    network = foveal.load_model(model)
    batch = load_images(Split("classes", 1, seed=5)[0].image, network.preprocessing)
    why = foveal.explain(network, batch, method="hirescam")
    size = fitting(batch.tensor, WHOLE)
    for name, metrics in GROUPS.items():
        ratios = []
        for _ in range(rounds):
            begin = time.process_time()
            scores = foveal.measure(network, batch, explanations=why, metrics=metrics, baseline_maps=False)
            measured = time.process_time() - begin
            copies = batch.tensor.expand(size, -1, -1, -1).contiguous()
            with torch.inference_mode():
                begin = time.process_time()
                for _ in range(0, scores.forwards, size):
                    network.module(copies)
            ratios.append(measured / (time.process_time() - begin))
        low, high = min(ratios), max(ratios)
        print(
            f"{name}: {scores.forwards} forwards, {statistics.median(ratios):.2f} ({low:.2f}–{high:.2f}) times as long"
        )


if __name__ == "__main__":
    typer.run(main)
