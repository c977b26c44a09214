"""Tiles or middles: where is a map of a layer to be laid on the picture?

    python -m benchmarks.placing --model tests/real_networks.py:resnet50 --photos ../shared/data/images/imagenet_boxes

For each stage: the middle of its first cell and the step, as operations have them; how far that is from the tiles it
would have edge to edge, in cells, at most; and the middle of what the cell in the middle responds to, in the trained
network on these photos (center of mass of the squared derivative of its norm), beside where both have it.

Then evidence for the true class on photos whose boxes are known, where the network is right: share of the positive
evidence in the boxes, whether the highest point lies in one, best overlap of the map's box with one (threshold 0.2),
with cells edge to edge, and what changes (mean of the differences ± standard error) when they lie at their middles. The
outermost cells go on to the picture's edges in both; "bare": they end with their tiles.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor

import foveal
from foveal.engine.capture import capture
from foveal.engine.layout import channels_first
from foveal.engine.structure import Stage
from foveal.images import Batch, load_images
from foveal.images.place import laid
from foveal.metrics.placement import Box, box_overlap, energy, pointing

NAMES = ("energy", "hit", "overlap")


def right(network: foveal.Model, folder: Path) -> list[tuple[Batch, int, list[Box]]]:
    """Photos whose class the network finds, and the boxes of the object on its input."""
    found = []
    with (folder / "index.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            batch, own = load_images(folder / row["file"], network.preprocessing), int(row["class_index"])
            with torch.inference_mode():
                if int(network.module(batch.tensor).argmax()) != own:
                    continue
            boxes = batch.photos[0].geometry.boxes_to_input(json.loads(row["boxes"]))
            h, w = batch.tensor.shape[2:]
            clipped = np.clip(boxes, 0, [w, h, w, h]).tolist()
            found.append((batch, own, [(box[0], box[1], box[2], box[3]) for box in clipped]))
    return found


def responds(
    network: foveal.Model, batches: Sequence[Batch], stages: Sequence[Stage]
) -> dict[str, tuple[float, float]]:
    """(y, x) of what the cell in the middle of each stage responds to, over photos."""
    middles: dict[str, tuple[float, float]] = {}
    for stage in stages:
        found = []
        for batch in batches:
            with capture(network.module, ["input", stage.name]) as run:
                run.forward(batch.tensor, stop=True)
                A = channels_first(run.activations[stage.name], stage.layout)
                size = A[:, :, stage.shape[1] // 2, stage.shape[2] // 2].norm(dim=1)
                G = run.gradients(size)["input"].square().sum((0, 1))
            if float(G.sum()) > 0:
                y, x = (float(G.sum(1 - k) @ (torch.arange(G.shape[k]) + 0.5) / G.sum()) for k in (0, 1))
                found.append((y, x))
        y, x = np.mean(found, 0)
        middles[stage.name] = float(y), float(x)
    return middles


def judged(map: Tensor, boxes: Sequence[Box]) -> list[float]:
    inside = torch.zeros(map.shape, dtype=torch.bool)
    for x0, y0, x1, y1 in boxes:
        inside[round(y0) : round(y1), round(x0) : round(x1)] = True
    return [energy(map, inside), pointing(map, inside), box_overlap(map, boxes)]


def main(
    photos: Annotated[Path, typer.Option(help="a folder with index.csv: file, class_index, boxes")],
    model: Annotated[str, typer.Option(help="a classifier, as --model takes it")] = "demo",
    method: Annotated[str, typer.Option(help="what draws")] = "hirescam",
    watched: Annotated[int, typer.Option(help="photos on which it is seen what cells respond to")] = 25,
    threads: int = 2,
) -> None:
    torch.set_num_threads(threads)
    network = foveal.load_model(model)
    cases = right(network, photos)
    stages = [stage for stage in foveal.stages(network, cases[0][0]) if stage.place]
    image = cases[0][0].tensor.shape[2:]
    middles = responds(network, [batch for batch, _, _ in cases[:watched]], stages)
    print(f"{network.name}, {image[0]} × {image[1]}\n")
    print(f"| stage | cells | first, step | astray | responds at | middle | tile |\n|{'---|' * 7}")
    for stage in stages:
        y, cells = stage.shape[1] // 2, stage.shape[1:]
        assert stage.place is not None
        tile = (y + 0.5) * image[0] / cells[0]
        print(
            f"| {stage.name} | {cells[0]} × {cells[1]} | {stage.place.offset[0]:g}, {stage.place.step[0]:g} | "
            f"{stage.place.astray(cells, image):.2f} | {middles[stage.name][0]:.0f}, {middles[stage.name][1]:.0f} | "
            f"{stage.place.points((y, y))[1]:g} | {tile:g} |"
        )
    scores: dict[str, list[Any]] = {stage.name: [] for stage in stages}
    for batch, own, boxes in cases:
        why = foveal.explain(network, batch, foveal.Class(own), method=method, layer=list(scores))
        for stage in stages:
            map = why.maps[stage.name][0]
            ways = [laid(map, image, None), laid(map, image, stage.place, beyond=True), laid(map, image, stage.place)]
            scores[stage.name].append([judged(on, boxes) for on in ways])
    print(f"\n{method}, {len(cases)} photos\n\n| stage | {' | '.join(f'{n} | at middles | bare' for n in NAMES)} |")
    print(f"|{'---|' * (1 + 3 * len(NAMES))}")
    for name, rows in scores.items():
        found = np.array(rows)
        cells_ = []
        for k in range(len(NAMES)):
            cells_.append(f"{np.nanmean(found[:, 0, k]):.3f}")
            for way in (1, 2):
                apart = found[:, way, k] - found[:, 0, k]
                apart = apart[np.isfinite(apart)]
                cells_.append(f"{apart.mean():+.3f} ± {apart.std(ddof=1) / len(apart) ** 0.5:.3f}")
        print(f"| {name} | {' | '.join(cells_)} |")


if __name__ == "__main__":
    typer.run(main)
