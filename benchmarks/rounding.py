"""`measure` in bfloat16 beside float32: how far each metric moves, whether methods keep their order, and the time.

python -m benchmarks.rounding photos/*.jpg --model tests/real_networks.py:resnet50
"""

from __future__ import annotations

import time
from itertools import combinations
from typing import Annotated

import numpy as np
import torch
import typer

import foveal

METHODS = ("gradcam", "lrp-gamma", "guidedbackprop")


def main(
    photos: Annotated[list[str], typer.Argument(help="files")],
    model: Annotated[str, typer.Option(help="as --model takes it")] = "demo",
    method: Annotated[list[str] | None, typer.Option(help="of the maps")] = None,
    precision: Annotated[str, typer.Option(help="beside float32")] = "auto",
) -> None:
    torch.set_num_threads(1)
    network = foveal.load_model(model)
    tables: dict[str, list[foveal.Scores]] = {"float32": [], precision: []}
    seconds = dict.fromkeys(tables, 0.0)
    for file in photos:
        for kind, measured in tables.items():
            began = time.process_time()
            measured.append(foveal.measure(
                network, file, explanations=list(method or METHODS), baseline_maps=["random"],
                precision=kind,  # type: ignore[arg-type]
            ))  # fmt: skip
            seconds[kind] += time.process_time() - began
        print(*[note for note in tables[precision][-1].notes if "bfloat16" in note] or ["in float32"], flush=True)
    first = tables["float32"][0]
    share = seconds[precision] / seconds["float32"]
    print(f"{model}: {len(photos)} photos, {len(first.methods)} maps, {share:.2f} of the processor time of float32")
    for metric in first.metrics:
        exact, other = (
            np.array([[table.values[name][metric][0] for name in first.methods] for table in tables[kind]])
            for kind in ("float32", precision)
        )
        off = np.abs(other - exact)
        pairs = [*combinations(range(len(first.methods)), 2)]
        before, after = (np.sign([means[a] - means[b] for a, b in pairs]) for means in (exact.mean(0), other.mean(0)))
        print(f"{metric:24} mean difference {np.nanmean(off):.4f}, at most {np.nanmax(off):.4f}; "
              f"{int((before != after).sum())} of {len(pairs)} pairs change their order")  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
