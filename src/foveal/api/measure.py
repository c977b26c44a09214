"""Is the explanation true? `foveal.measure`: maps of any decision by every metric, beside baseline maps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from foveal.api.map_sources import (
    MapSource,
    NamedMaps,
    by_name,
    collect_baseline_maps,
    collect_maps,
    target_of,
    words_of,
)
from foveal.api.objects import Objects, find_objects
from foveal.attribution.context import Context
from foveal.attribution.perturbation import Progress
from foveal.attribution.perturbed_score import SAID, Of, PerturbedScore, perturbed_scores
from foveal.attribution.prepare import prepare
from foveal.engine.keywords import checked
from foveal.engine.precision import Precision
from foveal.engine.select import LayerName
from foveal.errors import MethodError
from foveal.images import Batch
from foveal.metrics.asking import Answers
from foveal.metrics.baselines import black
from foveal.metrics.evaluation import CURVES, Evaluation, EvaluationSettings
from foveal.metrics.metric import CLOSE, Metric, find_metrics
from foveal.metrics.placement import Box
from foveal.metrics.together import FEW, evaluated_first, evaluated_together, least_copies
from foveal.models.black_box import Scorer
from foveal.models.model import Model
from foveal.results.provenance import versions
from foveal.results.scores import Scores, row_of
from foveal.targets import TargetLike, Task
from foveal.targets.labels import LabelRows

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from numpy.typing import NDArray

    from foveal.images import ImageLike, Preprocessing

GRID = 28
SETS = ("usual", "object", "all")
IN_SPACE = ("deletion", "insertion", "masked")
"""Experiments that take signals and volumes, too."""
STEPS = 49
TOLERANCE = 0.005


@checked
def measure(
    model: nn.Module | Model | Scorer,
    images: ImageLike | Batch,
    target: TargetLike = None,
    *,
    explanations: MapSource | Sequence[MapSource] | Mapping[str, MapSource],
    metrics: str | Sequence[str] = "usual",
    layer: LayerName | None = None,
    of: Of = "auto",
    baseline_maps: Sequence[str] | bool = True,
    masks: Sequence[Bool[NDArray[np.bool_], "H W"]] | None = None,
    boxes: Sequence[Sequence[Box]] | None = None,
    setting: EvaluationSettings | None = None,
    precision: Precision = "auto",
    progress: Progress | None = None,
    on_row: Callable[[Mapping[str, Any]], None] | None = None,
    on_first: Callable[[Mapping[str, Any]], None] | None = None,
    inputs: Sequence[Any] | Tensor = (),
    keywords: Mapping[str, Any] | None = None,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    task: Task | None = None,
) -> Scores:
    """How faithful explanations are: each by every metric, image by image, beside baseline maps.

    The class of the unchanged image (or whatever the decision is) is asked of all altered copies. All metrics and maps
    of one image share their forward passes.

        why = foveal.explain(model, "bird.jpg", method="hirescam")
        table = foveal.measure(model, "bird.jpg", explanations=[why, "gradcam", "lrp-gamma"])
        print(table); table.summary("hirescam", "deletion"); table.values["hirescam"]["road"]
        table.to_markdown(), table.to_latex(), table.to_pandas(), table.pairwise("deletion")

    Args:
        explanations: results of `explain`, `flow`, `parts` (its evidence map), `decompose` (the tree as one map),
            `match` (with one reference), names of methods, maps (n, h, w), or several of these, by name in a mapping.
        target: the decision; default: that of the results, or the predicted class.
        metrics: names, see `foveal.metrics.METRICS`; "usual", "object", "all".
        layer: of results with several; None for the deepest, "all" for each.
        of: the score: "auto" is a probability where the decision has one, see `attribution.perturbed_score`.
        baseline_maps: which of "random", "center", "edges", "constant", "activation" are measured too; True for all.
        masks: one per image, true on the object, in the photo's pixels; for metrics of localization.
        boxes: several per image, (x0, y0, x1, y1) in the photo's pixels.
        setting: steps, fill values, samples, seed. The default compares all maps on one grid of 28 × 28 positions in 49
            steps, of which it asks every second, and others until the estimated errors of the areas are at most 0.005
            and the maps in order; `foveal.metrics.EvaluationSettings()` asks all of 196 steps on each map's own grid.
        precision: of the forward passes on altered copies. "auto" is bfloat16 if the device has units for it, if it is
            faster and as long as the scores agree with those in "float32", and a note gives the differences; else it is
            "float32", also for metrics of signs and ranks. "bfloat16" does not depend on speed and agreement.
        progress: hears (what, done, total).
        on_row: hears each row as soon as it is measured: image, target, score, method and the metrics, as in
            `Scores.rows`.
        on_first: hears rows of fewer metrics before the others are asked: those that look at the map alone or at two
            copies. A copy in bfloat16 is not compared with float32 yet, so that `on_row` may tell another number.

    The other arguments are those of `explain`. A map with values that are not finite is undefined in every metric, and
    counted.

    Raises:
        FovealError: one sentence on what does not fit.
    """
    started = time.perf_counter()
    chosen = find_metrics(metrics)
    many = by_name(explanations)
    of_results = target is None
    target = target_of(many.values()) if of_results else target
    context = prepare(
        model, images, target, inputs=inputs, keywords=keywords, preprocessing=preprocessing, labels=labels, task=task
    )
    wanted = chosen
    chosen = _in_space(context.x, wanted, named=metrics not in SETS, objects=not (masks is None and boxes is None))
    maps = collect_maps(context, many, cast("str | None", layer))
    explained = set(maps)
    maps |= collect_baseline_maps(context, maps, baseline_maps)
    known = find_objects(context.batch, masks, boxes)
    chosen = _askable(chosen, known, maps)
    if precision == "auto" and CLOSE & chosen.keys():
        precision = "float32"
    setting = _black(setting or default_setting(context.x), context.subject)
    values: dict[str, dict[str, list[float]]] = {name: {metric: [] for metric in chosen} for name in maps}
    words = words_of(many.values(), context) if of_results else ()
    with perturbed_scores(context, of, words=words, precision=precision) as asked:
        for i, question in enumerate(asked):
            row = partial(row_of, context.photos[i].source, question.label, question.whole)
            first = (lambda name, measured: on_first(row(name, measured))) if on_first else None  # noqa: B023
            rows = partial(
                _measured, context, i, maps, len(explained), question, known, setting, chosen, progress, first
            )
            for name, measured in question.settled(rows):
                for metric, value in measured.items():
                    values[name][metric].append(value)
                if on_row:
                    on_row(row(name, measured))
        return Scores(
            values={name: {m: tuple(v) for m, v in by_metric.items()} for name, by_metric in values.items()},
            pictures=tuple(photo.source for photo in context.photos),
            target=tuple(question.label for question in asked),
            whole=tuple(question.whole for question in asked),
            of=SAID[asked[0].of],
            baseline_maps=tuple(name for name in maps if name not in explained),
            model=context.subject.name,
            setting=setting.to_dict(),
            forwards=sum(question.count for question in asked),
            notes=(*_notes(context, asked, setting, chosen), *_left_out(context.x, wanted)),
            seconds=time.perf_counter() - started,
            versions=versions(),
        )


def _notes(
    context: Context, asked: Sequence[PerturbedScore], setting: EvaluationSettings, metrics: Mapping[str, Metric]
) -> tuple[str, ...]:
    """Each remark once, in order."""
    remarks = context.remarks(photos=True)
    own = [note for question in asked for note in question.notes]
    if isinstance(context.target, LabelRows) and len(context.target.index) > 1:
        own.append(
            "means, intervals and tests of pairs count labels, not images: those of one image are not independent"
        )
    if setting.tolerance is not None and any(metric.experiment in CURVES for metric in metrics.values()):
        own.append(
            f"deletion and insertion ask every second of {setting.steps} steps, and others where the score moves: "
            f"areas are estimated to be within {setting.tolerance:g} of those of all steps, and correlations are over "
            "every second step"
        )
    return tuple(dict.fromkeys([*remarks, *own]))


def default_setting(
    x: Float[Tensor, "n c h w"], *, steps: int = STEPS, tolerance: float | None = TOLERANCE
) -> EvaluationSettings:
    """All maps on one grid, as fine as 28 × 28 where the image has so many pixels; areas within a tolerance.

    Signals and volumes have about as many positions: 784 of a signal, 9 × 9 × 9 of a volume.
    """
    finest = round((GRID * GRID) ** (1 / (x.ndim - 2)))
    grid = tuple(min(finest, side) for side in x.shape[2:])
    return EvaluationSettings(steps=steps, tolerance=tolerance, grid=grid)


def _measured(
    context: Context, i: int, maps: Mapping[str, NamedMaps], own: int, question: PerturbedScore, known: Objects,
    setting: EvaluationSettings, metrics: Mapping[str, Metric], progress: Progress | None,
    first: Callable[[str, dict[str, float]], None] | None,
) -> Iterator[tuple[str, dict[str, float]]]:  # fmt: skip
    """Every metric of the maps of image i, map by map; NaN for maps that are not finite. The first `own` are no
    baseline maps; of these `first` hears the metrics that are soon there."""
    experiments = [*dict.fromkeys(metric.experiment for metric in metrics.values() if metric.experiment)]
    before, done, expected = question.count, 0, max(1, least_copies(setting, experiments, len(maps)))

    def tell() -> None:
        if progress:
            share = min(len(maps) - 1, len(maps) * (question.count - before) // expected)
            progress("measuring maps", i * len(maps) + max(done, share), len(context.photos) * len(maps))

    x = context.x[i : i + 1]
    finite = [name for name, entry in maps.items() if bool(torch.isfinite(entry.maps[i]).all())]
    trials: dict[str, Evaluation] = {}
    rounds: list[Iterator[int]] = []
    soon = {name: metric for name, metric in metrics.items() if _is_soon(metric)} if first else {}
    soon = soon if len(soon) < len(metrics) else {}
    for names in [finite] if setting.together else [[name] for name in finite]:
        answers = Answers(question, x, whole=question.whole, chunk=setting.chunk, tick=tell)
        group = {name: _trial(context, i, maps[name], answers, question, known, setting) for name in names}
        methods = sum(name in group for name in [*maps][:own])
        if first and soon:
            evaluated_first(answers, [*group.values()][:methods], experiments)
            for name in names[:methods]:
                first(name, {metric: kind(group[name]) for metric, kind in soon.items()})
        rounds.append(evaluated_together(answers, [*group.values()], experiments, methods))
        trials |= group
    ended = chain.from_iterable(rounds)
    for name in maps:
        if name in trials:
            next(ended)
        measured = {metric: kind(trials[name]) if name in trials else float("nan") for metric, kind in metrics.items()}
        yield name, measured
        done += 1
        tell()


def _is_soon(metric: Metric) -> bool:
    """Whether it looks at the map alone, or at few copies."""
    return metric.needs == "map" or (metric.needs == "network" and metric.experiment in FEW)


def _trial(
    context: Context, i: int, entry: NamedMaps, answers: Answers, question: PerturbedScore, known: Objects,
    setting: EvaluationSettings,
) -> Evaluation:  # fmt: skip
    """One map of image i."""
    return Evaluation(
        context.x[i : i + 1],
        entry.maps[i],
        answers,
        None if known.inside is None else known.inside[i],
        () if known.boxes is None else known.boxes[i],
        partial(entry.again, i, question.decision) if entry.again else None,
        setting=setting,
        place=entry.place,
    )


def _in_space(
    x: Float[Tensor, "n c *space"], metrics: Mapping[str, Metric], *, named: bool, objects: bool
) -> dict[str, Metric]:
    """Those of the metrics that there are for inputs of such a size; all for images."""
    if x.ndim == 4:
        return {**metrics}
    kind, asked = f"inputs {tuple(x.shape)}", "masks= and boxes=" if objects else ""
    known = {name: metric for name, metric in metrics.items() if metric.experiment in IN_SPACE or metric.needs == "map"}
    others = [name for name in metrics if name not in known]
    if objects or (named and others) or not known:
        raise MethodError(
            f"{asked or ', '.join(others)} so far are of images (n, c, h, w), not of {kind}: leave them out"
        )
    return known


def _left_out(x: Float[Tensor, "n c *space"], wanted: Mapping[str, Metric]) -> tuple[str, ...]:
    """What of a set of metrics there is for images alone, where these are none."""
    left = [name for name, metric in wanted.items() if metric.needs == "network" and metric.experiment not in IN_SPACE]
    return (f"{', '.join(left)} so far are of images alone, and were left out",) if left and x.ndim != 4 else ()


def _askable(metrics: Mapping[str, Metric], known: Objects, maps: Mapping[str, NamedMaps]) -> dict[str, Metric]:
    """Those of the metrics that can be measured with what is given."""
    there = {
        "map": True,
        "network": True,
        "object": known.inside is not None,
        "boxes": known.boxes is not None,
        "explainer": all(entry.again for entry in maps.values()),
    }
    askable = {name: metric for name, metric in metrics.items() if there[metric.needs]}
    if not askable:
        raise MethodError(f"cannot measure {', '.join(metrics)}: {_lacking(metrics)}")
    return askable


def _lacking(metrics: Mapping[str, Metric]) -> str:
    needs = {metric.needs for metric in metrics.values()}
    ways = ["pass masks= or boxes= of the objects"] if needs & {"object", "boxes"} else []
    if "explainer" in needs:
        ways.append(
            "this metric explains altered images again: give methods by name instead of maps, with baseline_maps=False"
        )
    return "; ".join(ways)


def _black(setting: EvaluationSettings, subject: Model) -> EvaluationSettings:
    """What "black" is for this model."""
    own: dict[str, Any] = {name: getattr(setting, name) for name in ("delete", "insert", "mask")}
    if not any(isinstance(fill, str) and fill == "black" for fill in own.values()):
        return setting
    if subject.preprocessing is None:
        raise MethodError("black depends on the preprocessing, which is not known for this model: pass preprocessing=")
    color = black(subject.preprocessing.mean, subject.preprocessing.std)
    fills: dict[str, Any] = {
        name: color if isinstance(fill, str) and fill == "black" else fill for name, fill in own.items()
    }
    return replace(setting, **fills)
