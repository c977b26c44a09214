"""Deletion and insertion by some of their steps, beside all of their steps: areas, order of the methods, and forwards.

python -m benchmarks.curves photos/*.jpg --model tests/real_networks.py:resnet50
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Annotated, cast

import numpy as np
import torch
import typer
from numpy.typing import NDArray

import foveal
from foveal.api.map_sources import NamedMaps, by_name, collect_baseline_maps, collect_maps
from foveal.api.measure import STEPS, TOLERANCE, default_setting
from foveal.attribution.context import Context
from foveal.attribution.perturbed_score import PerturbedScore, perturbed_scores
from foveal.attribution.prepare import prepare
from foveal.engine.precision import Precision
from foveal.metrics import Evaluation, EvaluationSettings, kendall
from foveal.metrics.asking import Answers
from foveal.metrics.curves import Curve
from foveal.metrics.evaluation import CURVES
from foveal.metrics.together import evaluated_together

METHODS = ("gradcam", "hirescam", "lrp-gamma", "gradient")


@dataclass(frozen=True)
class Photo:
    """One photo: by kind of curve and map, the curve of some steps and that of all; how many copies each took."""

    curves: Mapping[tuple[str, str], tuple[Curve, Curve]]
    some: int
    every: int

    def areas(self, kind: str) -> NDArray[np.float64]:
        """Areas (2, maps): of some steps, of all."""
        return np.array([[curve.area for curve in both] for (k, _), both in self.curves.items() if k == kind]).T


def main(
    photos: Annotated[list[str], typer.Argument(help="files")],
    model: Annotated[str, typer.Option(help="as --model takes it")] = "demo",
    method: Annotated[list[str] | None, typer.Option(help="of the maps")] = None,
    steps: Annotated[int, typer.Option(help="of all")] = STEPS,
    tolerance: Annotated[float, typer.Option(help="of the area")] = TOLERANCE,
    most: Annotated[int, typer.Option(help="photos, spread over those given")] = 10,
    precision: Annotated[str, typer.Option(help="of the forwards: float32 or bfloat16")] = "float32",
) -> None:
    torch.set_num_threads(1)
    network = foveal.load_model(model)
    files = sorted(photos)
    files = files[len(files) // most // 2 :: max(1, len(files) // most)][:most]
    measured: list[Photo] = []
    for file in files:
        context = prepare(network, [file], None)
        maps = collect_maps(context, by_name(list(method or METHODS)), None)
        own = len(maps)
        maps |= collect_baseline_maps(context, maps, True)
        setting = default_setting(context.x, steps=steps)
        with perturbed_scores(context, precision=cast("Precision", precision)) as (question,):
            measured.append(_both(context, question, maps, own, replace(setting, tolerance=tolerance)))
        print(f"{len(measured)} of {len(files)} photos", end="\r", flush=True)
    print(f"{model}: {len(files)} photos, {own} methods and {len(maps) - own} baseline maps, {steps} steps, tolerance "
          f"{tolerance:g}, {precision}")  # fmt: skip
    for line in _lines(measured, own):
        print(line)


def _both(
    context: Context, question: PerturbedScore, maps: Mapping[str, NamedMaps], own: int, setting: EvaluationSettings
) -> Photo:
    """The curves of some steps first; those of all then ask what is left."""
    answers = Answers(question, context.x, whole=question.whole)
    trials: list[list[Evaluation]] = []
    counts = [question.count]
    for each in (setting, replace(setting, tolerance=None)):
        trials.append([Evaluation(context.x, entry.maps[0], answers, setting=each, place=entry.place)
                       for entry in maps.values()])  # fmt: skip
        list(evaluated_together(answers, trials[-1], CURVES, own))
        counts.append(question.count)
    curves = {
        (kind, name): (getattr(some, kind), getattr(every, kind))
        for kind in CURVES
        for name, some, every in zip(maps, *trials, strict=True)
    }
    return Photo(curves, counts[1] - counts[0], counts[2] - counts[0])


def _lines(photos: list[Photo], own: int) -> Iterator[str]:
    curves = [both for photo in photos for both in photo.curves.values()]
    off = np.array([abs(some.area - every.area) for some, every in curves])
    errors = np.array([some.error for some, _ in curves])
    points = np.mean([len(some.scores) for some, _ in curves])
    yield (
        f"areas ({len(off)} curves): at most {off.max():.4f} off, 95 % within {np.quantile(off, 0.95):.4f}, root mean "
        f"square {(off**2).mean() ** 0.5:.4f}, estimated {(errors**2).mean() ** 0.5:.4f}; within the estimate: "
        f"{100 * (off <= errors).mean():.0f} %, within twice: {100 * (off <= 2 * errors).mean():.0f} %"
    )
    every = sum(photo.every for photo in photos)
    yield f"copies: {sum(photo.some for photo in photos)} instead of {every}; {points:.1f} points a curve"
    for kind in CURVES:
        each = np.stack([photo.areas(kind) for photo in photos])  # photos, 2, maps
        kept = pairs = 0
        for some, whole in each:
            for i, j in combinations(range(len(some)), 2):
                if i < own and whole[i] != whole[j]:
                    pairs, kept = pairs + 1, kept + int((some[i] - some[j]) * (whole[i] - whole[j]) > 0)
        some, whole = each.mean(0)
        yield (
            f"{kind}: {kept} of {pairs} pairs of a photo in the same order; means {abs(some - whole).max():.4f} off, "
            f"τ of their order {kendall(some, whole):.2f}"
        )
        by_step = np.array([[c.correlation for c in both] for p in photos for (k, _), both in p.curves.items()
                            if k == kind])  # fmt: skip
        by_step = by_step[np.isfinite(by_step).all(1)]
        yield (
            f"{kind} correlation over every second step, beside all: mean {by_step.mean(0)[0]:.2f} and "
            f"{by_step.mean(0)[1]:.2f}, correlation {np.corrcoef(by_step.T)[0, 1]:.2f} over {len(by_step)} curves"
        )


if __name__ == "__main__":
    typer.run(main)
