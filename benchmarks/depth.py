"""Does abandoning neurons help where it is said to: in the inner layers? Every method at every depth.

    python -m benchmarks.depth                                     # drawn birds, margins to the sibling
    python -m benchmarks.depth --model tests/real_networks.py:resnet50 --photos ../shared/data/images/imagenet_boxes

"hit": drawn, the map points at the part that decides; photos, its highest point lies in a box of the object.
"share": of the positive evidence, how much lies there. "deletion", "insertion": area under the curve of the decision's
probability (of the pair, drawn; of the class, photos) on a common grid of 28 × 28 cells, lower and higher is better.
Means; half a 95 % interval behind ±.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor

import foveal
from foveal.engine.capture import capture
from foveal.images import Batch, load_images
from foveal.images.place import laid
from foveal.metrics import deletion, insertion
from foveal.metrics.baseline_maps import baseline_map_of_photo
from foveal.synthetic import CLASS_NAMES, PARTS, Split, sibling
from foveal.synthetic.agreement import hit, share
from foveal.synthetic.ground_truth import decides_visibly, deciding_part, sibling_margin

GRID = 28
BIRD_LAYERS = ("stem.relu1", "stem.relu2", "stage1", "stage2", "stage3")
FLOWS = ("exact", "project", "cascade")
ANY = "any"
CAMS = ("gradcam", "layercam", "hirescam")


@dataclass(frozen=True)
class Case:
    """One picture and one decision about it.

    Attributes:
        judge: (map on the photo) -> (hit, share).
        best: (map on the photo) -> the share of the drawn part that has most of it.
        ask: network inputs -> the decision's probability.
        boxes: of the object on a photo, x0, y0, x1, y1.
    """

    batch: Batch
    target: foveal.Target
    judge: Callable[[Any], tuple[float, float]]
    ask: Callable[[Tensor], Tensor]
    boxes: Sequence[Sequence[float]] = ()
    best: Callable[[Any], float] = lambda map: float("nan")


def drawn(network: foveal.Model, count: int, seed: int) -> Iterator[Case]:
    """Margins between siblings: one part decides."""
    visible = filter(decides_visibly, Split("classes", 4 * count, seed=seed))
    for example, _ in zip(visible, range(count), strict=False):
        class_name = CLASS_NAMES[example.target]
        own, other, part = example.target, CLASS_NAMES.index(sibling(class_name)), deciding_part(class_name)

        def judge(map: Any, labels: Any = example.labels, part: str = part) -> tuple[float, float]:
            return float(hit(map, labels, part)), share(map, labels, [part])

        def best(map: Any, labels: Any = example.labels) -> float:
            return max(share(map, labels, [part]) for part in PARTS)

        def ask(x: Tensor, own: int = own, other: int = other) -> Tensor:
            logits = network.module(x)
            margin: Tensor = logits[:, own] - logits[:, other]
            return margin.sigmoid()

        yield Case(
            load_images(example.image, network.preprocessing), sibling_margin([class_name]), judge, ask, best=best
        )


def photographed(network: foveal.Model, folder: Path, count: int) -> Iterator[Case]:
    """Photos whose boxes are known, where the network is right."""
    with (folder / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = 0
    for row in rows:
        batch = load_images(folder / row["file"], network.preprocessing)
        own = int(row["class_index"])
        with torch.inference_mode():
            right = int(network.module(batch.tensor).argmax()) == own
        if not right or found == count:
            continue
        found += 1
        inside = np.zeros(batch.photos[0].pixels.shape[:2], bool)
        for box in json.loads(row["boxes"]):
            x0, y0, x1, y1 = (round(value) for value in box)
            inside[y0:y1, x0:x1] = True

        def judge(map: Any, inside: Any = inside) -> tuple[float, float]:
            positive = np.clip(map, 0, None)
            return float(inside.flat[int(np.argmax(map))]), float(positive[inside].sum() / max(positive.sum(), 1e-30))

        def ask(x: Tensor, own: int = own) -> Tensor:
            p: Tensor = network.module(x).softmax(1)[:, own]
            return p

        yield Case(batch, foveal.Class(own), judge, ask, json.loads(row["boxes"]))


def maps_of(network: foveal.Model, case: Case, layers: tuple[str, ...]) -> dict[tuple[str, str], Tensor]:
    """(method, layer) -> (h, w)."""
    found: dict[tuple[str, str], Tensor] = {}
    for mode in FLOWS:
        flow = foveal.flow(network, case.batch, case.target, mode=mode, layer=layers, iterations=10)  # type: ignore[arg-type]
        found |= {(f"naflow {mode}", layer): map[0] for layer, map in flow.maps.items()}
    for why in foveal.compare(network, case.batch, case.target, methods=CAMS, layer=layers):
        found |= {(why.method, layer): map[0] for layer, map in why.maps.items()}
    with capture(network.module, layers, gradient=False) as run:
        run.forward(case.batch.tensor, stop=True)
        found |= {("mean activation", layer): A[0].mean(0) for layer, A in run.activations.items()}
    noise = torch.from_numpy(baseline_map_of_photo("random", case.batch.photos[0].pixels)).float()
    return found | {("random", ANY): noise}


def main(
    model: Annotated[str, typer.Option(help="a classifier, as --model takes it")] = "demo",
    photos: Annotated[Path | None, typer.Option(help="a folder with index.csv: file, class_index, boxes")] = None,
    count: Annotated[int, typer.Option(help="pictures")] = 100,
    steps: Annotated[int, typer.Option(help="of the curves")] = 49,
    seed: int = 77,
    threads: int = 2,
) -> None:
    torch.set_num_threads(threads)
    network = foveal.load_model(model)
    cases = list(photographed(network, photos, count) if photos else drawn(network, count, seed))
    layers = BIRD_LAYERS if not photos else tuple(stage.name for stage in foveal.stages(network, cases[0].batch))
    places = foveal.explain(network, cases[0].batch, layer=layers).where
    scores: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    with typer.progressbar(cases, label="pictures") as bar:
        for case in bar:
            for key, map in maps_of(network, case, layers).items():
                place = places.get(key[1])
                on_photo = np.nan_to_num(case.batch.photos[0].geometry.map_to_photo(map, place=place))
                common = laid(map, (GRID, GRID), place, case.batch.tensor.shape[2:])
                curves = [score(case.ask, case.batch.tensor, common, steps=steps) for score in (deletion, insertion)]
                scores.setdefault(key, []).append((*case.judge(on_photo), *(curve.area for curve in curves)))
    print(f"{len(cases)} pictures, {network.name}, {steps} steps")
    methods = list(dict.fromkeys(method for method, _ in scores))
    for k, metric in enumerate(("hit %", "share %", "deletion", "insertion")):
        print(f"\n| {metric} | {' | '.join(layers)} |\n|{'---|' * (len(layers) + 1)}")
        for method in methods:
            found = [scores.get((method, layer)) or scores[method, ANY] for layer in layers]
            cells = [_cell([row[k] for row in rows], percent=k < 2) for rows in found]
            print(f"| {method} | {' | '.join(cells)} |")


def _cell(values: list[float], *, percent: bool) -> str:
    mean, half = float(np.mean(values)), 1.96 * float(np.std(values)) / len(values) ** 0.5
    return f"{100 * mean:.0f} ± {100 * half:.0f}" if percent else f"{mean:.3f} ± {half:.3f}"


if __name__ == "__main__":
    typer.run(main)
