"""What finer maps are worth where the answer is known: drawn birds of two species that differ in one part.

    python -m benchmarks.finer
    python -m benchmarks.finer --method layercam --scenes 100

"hit": the map points at the part that decides. "share": of the positive evidence, how much lies on it. "time": against
the map as built.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import torch
import typer

import foveal
from foveal.demo.truth import on_photo
from foveal.synthetic import CLASS_NAMES, Split
from foveal.synthetic.agreement import hit, share
from foveal.synthetic.ground_truth import decides_visibly, deciding_part, sibling_margin
from foveal.synthetic.splits import Example

WAYS: dict[str, tuple[dict[str, Any], str | None]] = {
    "as built": ({}, None),
    "resolution 2": ({"resolution": 2}, None),
    "resolution 4": ({"resolution": 4}, None),
    "scales 1, 1.5": ({"scales": (1, 1.5)}, None),
    "scales 1, 1.5, 2": ({"scales": (1, 1.5, 2)}, None),
    "resolution 2, scales 1, 1.5": ({"resolution": 2, "scales": (1, 1.5)}, None),
    "last two stages, mean": ({"layer": [-2, -1]}, "mean"),
    "last two stages, product": ({"layer": [-2, -1]}, "product"),
    "last two stages, max": ({"layer": [-2, -1]}, "max"),
    "the stage before": ({"layer": -2}, None),
}


def main(
    method: Annotated[list[str] | None, typer.Option("--method", "-m")] = None, scenes: int = 200, seed: int = 77
) -> None:
    torch.set_num_threads(1)
    model = foveal.load_model("demo")
    visible = filter(decides_visibly, Split("classes", 4 * scenes, seed=seed))
    examples = [example for example, _ in zip(visible, range(scenes), strict=False)]
    print("| method | map | cells | hit % | share % | time |\n|---|---|---|---|---|---|")
    for name in method or ["gradcam", "layercam", "hirescam"]:
        first = None
        for way, (options, rule) in WAYS.items():
            started = time.perf_counter()
            row = _row(model, examples, name, options, rule)
            seconds = time.perf_counter() - started
            first = first or seconds
            print(f"| `{name}` | {way} | {row} | {seconds / first:.1f} |", flush=True)


def _row(model: foveal.Model, examples: Sequence[Example], name: str, options: dict[str, Any], rule: str | None) -> str:
    class_names = [CLASS_NAMES[example.target] for example in examples]
    why = foveal.explain(model, [e.image for e in examples], sibling_margin(class_names), method=name, **options)
    why = why.fused(rule) if rule else why
    maps = [on_photo(why, why.layer, i) for i in range(len(examples))]
    parts = [deciding_part(one) for one in class_names]
    hits = [hit(map, e.labels, part) for map, e, part in zip(maps, examples, parts, strict=True)]
    shares = [share(map, e.labels, [part]) for map, e, part in zip(maps, examples, parts, strict=True)]
    h, w = why.map.shape[1:]
    return f"{h}×{w} | {100 * float(np.mean(hits)):.0f} | {100 * float(np.nanmean(shares)):.0f}"


if __name__ == "__main__":
    typer.run(main)
