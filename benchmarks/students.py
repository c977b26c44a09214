"""Networks that decide by their parts against Grad-CAM on the plain network: the same drawn margins, paired.

    python -m benchmarks.students parts other/brnpa.safetensors --count 1000 --curves 300 --tests 5000 --seed 78

hit, share: of the evidence for the margin between siblings, as in `benchmarks.parts`; deletion: area under the curve of
the first sibling's probability, by the network itself, on a common grid of 20 × 20 cells; correct: species of other
birds. The first table has means, the second has differences from Grad-CAM on the plain network: a network is "ahead" or
"behind" if the whole 95 % interval (bootstrap over images) is on one side of zero; otherwise it is undecided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

import foveal
from benchmarks.parts import GRID, STEPS
from foveal.images import Batch, load_images
from foveal.metrics import deletion
from foveal.metrics.paired import PairedComparison, compare_pairs
from foveal.metrics.retrieval import wilson
from foveal.metrics.statistics import summary
from foveal.synthetic import CLASS_NAMES, Split, sibling
from foveal.synthetic.agreement import hit, share
from foveal.synthetic.dataset import PREPROCESSING, SplitDataset, normalized
from foveal.synthetic.ground_truth import decides_visibly, deciding_part, sibling_margin
from foveal.synthetic.splits import Example

Find = Callable[[Batch, foveal.Target], Tensor]
Values = dict[str, NDArray[np.float64]]  # metric -> a number per image, NaN where not measured
PLAIN = "demo, Grad-CAM"
METRICS = {"hit": 1, "share": 1, "deletion": -1, "correct": 1}  # -1: lower is better
BATCH = 10


def rows(plain: foveal.Model, networks: dict[str, foveal.Model]) -> dict[str, tuple[foveal.Model, Find]]:
    """What is compared: a network, and its map."""

    def by_parts(model: foveal.Model, **about: int) -> Find:
        return lambda x, target: foveal.parts(model, x, target, **about).places

    found: dict[str, tuple[foveal.Model, Find]] = {
        PLAIN: (plain, lambda x, target: foveal.explain(plain, x, target, method="gradcam").map),
        "demo, evidence, resolution 2": (plain, by_parts(plain, resolution=2)),
    }
    return found | {f"{name}, evidence": (model, by_parts(model)) for name, model in networks.items()}


def margins(count: int, seed: int) -> list[Example]:
    """Drawn birds whose deciding part is visible."""
    return list(islice(filter(decides_visibly, Split("classes", 4 * count, seed=seed)), count))


def judged(model: foveal.Model, find: Find, examples: Sequence[Example], curves: int) -> Values:
    """Hit and share of each example's margin; deletion of the first `curves` of them."""
    names = [CLASS_NAMES[example.target] for example in examples]
    x = load_images([example.image for example in examples], PREPROCESSING)
    maps = find(x, sibling_margin(names)).float()
    hits, shares, areas = [], [], []
    for i, (name, example) in enumerate(zip(names, examples, strict=True)):
        part = deciding_part(name)
        on_photo = np.nan_to_num(x.photos[i].geometry.map_to_photo(maps[i].numpy()))
        hits.append(float(hit(on_photo, example.labels, part)))
        shares.append(share(on_photo, example.labels, [part]))
        own, other = example.target, CLASS_NAMES.index(sibling(name))

        def ask(copies: Tensor, own: int = own, other: int = other) -> Tensor:
            logits = model.module(copies)
            return (logits[:, own] - logits[:, other]).sigmoid()

        common = functional.interpolate(maps[i][None, None], (GRID, GRID), mode="area")[0, 0]
        areas.append(deletion(ask, x.tensor[i : i + 1], common, steps=STEPS).area if i < curves else np.nan)
    return {"hit": np.array(hits), "share": np.array(shares), "deletion": np.array(areas)}


def measured(find: dict[str, tuple[foveal.Model, Find]], drawn: Sequence[Example], curves: int) -> dict[str, Values]:
    """Of all rows, on the same margins."""
    parts: dict[str, list[Values]] = {row: [] for row in find}
    with typer.progressbar(range(0, len(drawn), BATCH), label="images") as bar:
        for first in bar:
            for row, (model, map_of) in find.items():
                parts[row].append(judged(model, map_of, drawn[first : first + BATCH], curves - first))
    return {row: {metric: np.concatenate([v[metric] for v in own]) for metric in own[0]} for row, own in parts.items()}


def correct(model: foveal.Model, birds: Sequence[Sequence[Tensor]]) -> NDArray[np.float64]:
    """Whether each bird's species is found."""
    with torch.inference_mode():
        right = [model.module(normalized(images)).argmax(1) == truth for images, truth in birds]
    return torch.cat(right).double().numpy()


def verdict(found: PairedComparison, sign: int) -> str:
    """In one word."""
    low, high = sorted((sign * found.low, sign * found.high))
    return "ahead" if low > 0 else "behind" if high < 0 else "undecided"


def main(
    networks: Annotated[list[str], typer.Argument(help="a bundled network by parts, or weight files")],
    count: Annotated[int, typer.Option(help="margins")] = 1000,
    curves: Annotated[int, typer.Option(help="of them, with deletion curves")] = 300,
    tests: Annotated[int, typer.Option(help="birds to classify")] = 5000,
    seed: Annotated[int, typer.Option(help="of the margins and the birds")] = 78,
    threads: int = 1,
) -> None:
    torch.set_num_threads(threads)
    loaded = {name: foveal.load_model(name) for name in ("demo", *networks)}
    for model in loaded.values():
        model.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    plain = loaded.pop("demo")
    find = rows(plain, loaded)
    drawn = margins(count, seed)
    values = measured(find, drawn, curves)
    birds = list(DataLoader(SplitDataset(Split("classes", tests, seed=seed + 1)), batch_size=50))
    by_model = {id(model): correct(model, birds) for model, _ in find.values()}
    for row, (model, _) in find.items():
        values[row]["correct"] = by_model[id(model)]
    print(f"\n{count} margins, {min(curves, count)} with curves, {tests} birds to classify\n")
    print_means(values)
    print_differences(values)
    print_hits_by_part(values, [deciding_part(CLASS_NAMES[example.target]) for example in drawn])


def print_means(values: dict[str, Values]) -> None:
    """A row each, half a 95 % interval after ±."""
    print("| | hit % | share % | deletion | correct % |\n|---|---|---|---|---|")
    for row, own in values.items():
        print(f"| {row} | {' | '.join(_cell(metric, own[metric]) for metric in METRICS)} |")


def print_differences(values: dict[str, Values]) -> None:
    """From Grad-CAM on the plain network, the interval in brackets."""
    print(f"\nbeside {PLAIN}\n\n| | hit, points | share, points | deletion | correct, points |\n|---|---|---|---|---|")
    for row in [row for row in values if row != PLAIN]:
        cells = [_difference(metric, values[row][metric], values[PLAIN][metric]) for metric in METRICS]
        print(f"| {row} | {' | '.join(cells)} |")


def print_hits_by_part(values: dict[str, Values], deciding: Sequence[str]) -> None:
    """The share of hits, by the part that decides."""
    parts = sorted(set(deciding))
    print(f"\n| hit %, by the deciding part | {' | '.join(parts)} |\n|---|{'---|' * len(parts)}")
    for row, own in values.items():
        hits = [own["hit"][np.array(deciding) == part].mean() for part in parts]
        print(f"| {row} | {' | '.join(f'{100 * each:.0f}' for each in hits)} |")


def _scale(metric: str) -> tuple[float, int]:
    """Factor, and digits behind the point."""
    return (1, 3) if metric == "deletion" else (100, 2 if metric == "correct" else 1)


def _cell(metric: str, values: NDArray[np.float64]) -> str:
    factor, digits = _scale(metric)
    if metric == "correct":  # nearly all: the bootstrap knows no errors beside those it saw
        low, high = wilson(int(values.sum()), len(values))
        return f"{100 * values.mean():.2f} ({100 * low:.2f} to {100 * high:.2f})"
    found = summary(values)
    return f"{factor * found.mean:.{digits}f} ± {factor * found.half:.{digits}f}"


def _difference(metric: str, values: NDArray[np.float64], plain: NDArray[np.float64]) -> str:
    factor, digits = _scale(metric)
    (found,) = compare_pairs({"a": values, "b": plain}, metric, sign=METRICS[metric])
    mean, low, high = (factor * value for value in (found.difference, found.low, found.high))
    return f"{mean:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f}), {verdict(found, METRICS[metric])}"


if __name__ == "__main__":
    typer.run(main)
