"""Attention flow on families of networks and four tasks, at three depths.

    python -m benchmarks.families train -o families/            # small networks of up to seven families, on drawn birds
    python -m benchmarks.tasks families/

Tasks: "class", and those of `benchmarks.families` on species the networks never saw: "few-shot", "vote", "retrieval".
Depths: the first stage, the middle one, the last. "kept": share of neurons that take part. "moved": what setting the
others to zero does to the score, in percent of it, median over pictures. "on the bird": share of the evidence that
lies on it, by the flow, by Grad-CAM at the same layer, and by the mean activation, which looks at no decision.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from torch import Tensor

import foveal
from benchmarks.families import FAMILIES, TASKS, embedded_all, stacked
from foveal.engine.capture import capture
from foveal.images import load_images
from foveal.synthetic.dataset import PREPROCESSING
from foveal.synthetic.scene import LABELS
from foveal.synthetic.splits import Example, Split


def main(folder: Path, count: int = 12, threads: int = 2) -> None:
    """Every trained network in a folder, and the bundled one."""
    torch.set_num_threads(threads)
    depths = "first · middle · last"
    heads = [f"kept %, {depths}", "moved %", *(f"on the bird %, {by}" for by in ("NAFlow", "Grad-CAM", "activation"))]
    print("| network | task | " + " | ".join(heads) + " |\n|" + "---|" * (len(heads) + 2), flush=True)
    for network in networks(folder):
        for task, asked in cases(network, count):
            found = [measured(network, example, target) for example, target in asked]
            cells = [" · ".join(f"{value:.0f}" for value in np.median(rows, 0)) for rows in zip(*found, strict=True)]
            print("| " + " | ".join([network.name, task, *cells]) + " |", flush=True)


def networks(folder: Path) -> Iterator[foveal.Model]:
    yield foveal.load_model("demo")
    for name in FAMILIES:
        path = folder / f"{name}.safetensors"
        if path.exists():
            network = foveal.load_model(f"benchmarks.families:{name}", weights=path)
            yield replace(network, name=name, preprocessing=PREPROCESSING)


def cases(network: foveal.Model, count: int) -> Iterator[tuple[str, list[tuple[Example, Any]]]]:
    yield "class", [(example, None) for example in Split("classes", count, seed=3)]
    examples = list(Split("novel", 200, seed=3))
    labels = [Split("novel").classes[example.target] for example in examples]
    v = list(embedded_all(network, [example.image for example in examples]).unbind(0))
    for task, decisions in TASKS.items():
        yield (
            task,
            [
                (examples[query], replace(target, **stacked(target)))  # type: ignore[type-var]
                for query, target in decisions(v, labels, count)
            ],
        )


def measured(network: foveal.Model, example: Example, target: Any) -> Sequence[Sequence[float]]:
    """In percent: kept, moved, and what lies on the bird by three kinds of map; at three depths each."""
    flow = foveal.flow(network, example.image, target)
    layers = [flow.layers[at] for at in (0, len(flow.layers) // 2, -1)]
    moved = {
        one.layer: 100 * float((one.without_abandoned - one.score).abs()[0] / one.score.abs()[0])
        for one in flow.audit()
    }
    gradcam = foveal.explain(network, example.image, target, method="gradcam", layer=layers).maps
    x = load_images(example.image, network.preprocessing).tensor
    with capture(network.module, layers, gradient=False) as run:
        run.forward(x)
        activation = {layer: A.clamp(min=0).mean(1) for layer, A in run.activations.items()}
    kinds: list[Mapping[str, Tensor]] = [flow.maps, gradcam, activation]
    return [
        [100 * flow.number(layer, "kept") for layer in layers],
        [moved[layer] for layer in layers],
        *[[100 * on_bird(flow, maps[layer][0], example) for layer in layers] for maps in kinds],
    ]


def on_bird(flow: foveal.Flow, map: Tensor, example: Example) -> float:
    on_photo = np.nan_to_num(flow.photos[0].geometry.map_to_photo(map.numpy())).clip(0)
    bird = ~np.isin(example.labels, [LABELS[name] for name in ("background", "occluder")])
    return float(on_photo[bird].sum() / max(on_photo.sum(), 1e-30))


if __name__ == "__main__":
    typer.run(main)
