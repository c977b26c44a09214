"""Who is it? Maps of a similarity where the answer is known: individuals that differ in three marks and nothing else.

    python -m benchmarks.individuals
    python -m benchmarks.individuals --model embed/embed.safetensors --scenes 240

Unknown individuals before one camera, each with the picture of the same individual before the other (a match), and
against that of another (the margin: why this one and not that). "hit": of all parts of the bird, marks included, the
marks have the highest mean evidence. "share": of the positive evidence, how much lies on the marks, which cover a few
per mille.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import torch
import typer

import foveal
from foveal.metrics.baseline_maps import baseline_map_of_photo
from foveal.synthetic.agreement import hit, share
from foveal.synthetic.individuals import INDIVIDUALS
from foveal.synthetic.splits import Example, Split
from foveal.training.synthetic_individuals import KNOWN, cameras, numbers_of

METHODS = (
    "fam", "fam:oriented=false", "fam:weights=positive", "fam:weights=linear", "fam:weights=margin",
    "gradcam", "layercam", "hirescam", "ablationcam", "eigencam", "mean activation",
)  # fmt: skip


def main(
    model: Annotated[str, typer.Option(help="an embedding network, as --model takes it")] = "embed",
    scenes: Annotated[int, typer.Option(help="drawn pictures, half of them before each camera")] = 240,
    layer: Annotated[list[str] | None, typer.Option(help="stages; the last and the first if left out")] = None,
) -> None:
    torch.set_num_threads(1)
    network = foveal.load_model(model)
    numbers = numbers_of(range(KNOWN, INDIVIDUALS), scenes)
    split = Split("individuals", max(numbers) + 1)
    examples = [split[number] for number in numbers]
    camera = cameras(scenes)
    queries = [example for example, at in zip(examples, camera, strict=True) if at == 0]
    shelf = [example for example, at in zip(examples, camera, strict=True) if at == 1]
    same = [next(other for other in shelf if other.target == one.target) for one in queries]
    another = [next(other for other in shelf if other.target != one.target) for one in queries]
    found = foveal.match(network, [one.image for one in queries], [one.image for one in shelf], lines=0)
    nearest = [shelf[found.ranking(i)[0]].target == one.target for i, one in enumerate(queries)]
    print(f"{len(queries)} queries, {100 * float(np.mean(nearest)):.0f} % found at rank 1 of {len(shelf)}\n")
    stages = [stage.name for stage in foveal.stages(network, queries[0].image)]
    print("| decision | layer | method | hit % | share % |\n|---|---|---|---|---|")
    decisions: dict[str, Callable[[int], Any]] = {
        "match": lambda i: foveal.Similar(same[i].image),
        "margin": lambda i: foveal.Prototypes(
            [same[i].image, another[i].image], ["same", "another"], which="same", margin=True
        ),
    }
    for decision, target in decisions.items():
        for at in layer or [stages[-1], stages[0]]:
            for method in METHODS:
                if method.endswith("=margin") and decision == "match":
                    continue
                maps = [_map(network, one, target(i), method, at) for i, one in enumerate(queries)]
                _say(decision, at, method, maps, queries)
    _say("–", "–", "random", [baseline_map_of_photo("random", one.image) for one in queries], queries)


def _map(network: foveal.Model, one: Example, target: Any, method: str, layer: str) -> np.ndarray[Any, Any]:
    if method == "mean activation":
        # LaFAM: what the layer does, whatever is asked.
        why = foveal.explain(network, one.image, method="eigencam", layer=layer)
        from foveal.engine.capture import capture
        from foveal.images import load_images

        x = load_images(one.image, network.preprocessing).tensor
        with capture(network.module, [layer], gradient=False) as run:
            run.forward(x, stop=True)
            map = run.activations[layer][0].mean(0)
    else:
        why = foveal.explain(network, one.image, target, method=method, layer=layer)
        map = why.map[0]
    return np.nan_to_num(why.photos[0].geometry.map_to_photo(map.numpy()))


def _say(decision: str, layer: str, method: str, maps: list[Any], queries: list[Example]) -> None:
    hits = [hit(map, one.labels, "mark") for map, one in zip(maps, queries, strict=True)]
    shares = [share(map, one.labels, ["mark"]) for map, one in zip(maps, queries, strict=True)]
    half = 196 * float(np.std(hits)) / len(hits) ** 0.5
    shown = f"{100 * float(np.mean(hits)):.0f} ± {half:.0f} | {100 * float(np.mean(shares)):.1f}"
    print(f"| {decision} | {layer} | `{method}` | {shown} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
