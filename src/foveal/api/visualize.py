"""What a layer responds to in a set of images: `foveal.visualize`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from foveal._version import __version__
from foveal.attribution.prepare import check_pictures, read
from foveal.engine.arguments import extra_inputs
from foveal.engine.graph import recording
from foveal.engine.guard import unwrap
from foveal.engine.keywords import checked
from foveal.engine.select import LayerSpec, select_layers
from foveal.errors import LayerError, MethodError
from foveal.featurevis.channels import Rule
from foveal.featurevis.distances import DistanceName
from foveal.featurevis.facet_objectives import FacetTask, ImageSet, ObjectiveWeights, Start, parametrizations, subjects
from foveal.featurevis.facets import FacetCount, Weighting, find_facets
from foveal.featurevis.network import FeatureNetwork, Precision
from foveal.featurevis.normalization import Normalization
from foveal.featurevis.objectives import Form
from foveal.featurevis.parametrization import Kind
from foveal.featurevis.run import FeatureVisRun
from foveal.featurevis.schedule import FeatureTask, Octave, Schedule, ScheduleStep
from foveal.featurevis.unit_objectives import unit_task
from foveal.images import Batch, load_images
from foveal.models.model import Model, as_model, placed, weight_of
from foveal.results.facet import Facet
from foveal.results.feature_images import FeatureImages
from foveal.targets import Target

if TYPE_CHECKING:
    from foveal.engine.task import Task as OutputTask
    from foveal.images import ImageLike, Preprocessing

STEPS = 256


@checked
def visualize(
    model: nn.Module | Model,
    images: ImageLike | Batch | None = None,
    layer: LayerSpec = None,
    target: Target | Sequence[Target] | None = None,
    *,
    facets: FacetCount = "auto",
    channels: Rule | Sequence[int] = "top_mean",
    count: int | None = None,
    keep: int = 10,
    weighting: Weighting = "softmax",
    pull: Form | None = "dot",
    distance: DistanceName = "l2",
    fidelity: float = 1.0,
    wishes: ObjectiveWeights | None = None,
    start: Start = "mean",
    canvas: Kind = "fourier",
    steps: int = STEPS,
    plan: Schedule | None = None,
    seeds: int = 1,
    seed: int = 0,
    literal: bool = False,
    background: ImageLike | Batch | None = None,
    precision: Precision = "float32",
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Callable[[ScheduleStep], None] | None = None,
    inputs: Sequence[Any] | Tensor = (),
    keywords: Mapping[str, Any] | None = None,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    task: OutputTask | None = None,
) -> FeatureImages:
    """Images of what a layer responds to most in a set of pictures, one for each kind of picture in it.

        faces = foveal.visualize(model, ["a.jpg", "b.jpg", …], layer="layer4")
        faces.figure().save("faces.png")
        faces[0].image, faces[0].gain, faces[0].fit          # (3, h, w) in 0..1, and how well it does
        unit = foveal.visualize(model, target=foveal.Neuron("layer3", 42))

    The set is divided into facets; for each, the features of its most typical pictures, averaged over places, are the
    target a, and its largest entries the informative channels S. An image is sought whose features u are strong there
    and otherwise as in the pictures (`featurevis.objectives`). No class takes part, and the classifier is not run.
    (Stergiou, The Mind's Eye, ICIP 2021, arXiv:2101.12447, in a reading of our own: docs/visualize.md.)

    Ctrl-C ends it early and returns the best so far.

    Args:
        images: the set, as for `explain`; one is enough. May be left out where `target` is given.
        layer: one or several, as for `explain`; None is the last stage. Facets are found at the last one.
        target: units instead: `Neuron`, `Class`, any decision, or several.
        facets: how many, or "auto".
        channels, count: how informative channels are chosen: "top_mean" (published), "contrast", "mass", "variance", or
            the channels; and how many, 50 but no more than a quarter of the layer if left out.
        keep: pictures that make a facet's target, at most. weighting: how they count, see `find_facets`.
        pull: activation maximisation: "dot", "mean", "caricature", None for none.
        distance, fidelity: how the distance to the target is measured, and its weight: less exaggerates more.
        wishes: every weight there is, instead of the five arguments before.
        start: "mean" of the facet's photos (published), its most typical "photo", "noise", or a grey value.
        canvas: how images are written as parameters: "fourier", "pixel", "phase".
        steps, plan: how long, or everything about how.
        seeds: images of each facet. seed: decides everything random.
        literal: near the published code instead, for comparison: see `foveal.featurevis.published_code`.
        background: other pictures that "contrast" and "variance" compare with.
        precision: "bfloat16" runs the network under autocast.
        checkpoint: a file; work is saved there now and then, and taken up from there by the same call.
        progress: called with every `ScheduleStep`.
        inputs, keywords, preprocessing, labels, task: as for `explain`.

    Raises:
        MethodError, LayerError, ImageError, ModelError: for what does not fit, in a sentence.
    """
    sitting = optimize(
        model, images, layer, target, facets=facets,
        wishes=wishes or ObjectiveWeights(_rule(channels), count, pull, distance=distance, fidelity=fidelity),
        keep=keep, weighting=weighting, start=start, canvas=canvas,
        plan=plan or Schedule((Octave(1.0, steps),), seed=seed),
        seeds=seeds, literal=literal, background=background, precision=precision, inputs=inputs, keywords=keywords,
        preprocessing=preprocessing, labels=labels, task=task,
    )  # fmt: skip
    kept = Path(checkpoint) if checkpoint else None
    if kept:
        sitting.take_up(kept)
    sitting.run(kept, progress)
    return sitting.portraits()


@recording
def optimize(
    model: nn.Module | Model,
    images: ImageLike | Batch | None = None,
    layer: LayerSpec = None,
    target: Target | Sequence[Target] | None = None,
    *,
    facets: FacetCount = "auto",
    wishes: ObjectiveWeights | None = None,
    keep: int = 10,
    weighting: Weighting = "softmax",
    start: Start = "mean",
    canvas: Kind = "fourier",
    plan: Schedule | None = None,
    seeds: int = 1,
    literal: bool = False,
    background: ImageLike | Batch | None = None,
    precision: Precision = "float32",
    inputs: Sequence[Any] | Tensor = (),
    keywords: Mapping[str, Any] | None = None,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    task: OutputTask | None = None,
) -> FeatureVisRun:
    """The same, to be watched: iterate over it, and ask for `portraits()` at any time. Arguments of `visualize`."""
    began = time.perf_counter()
    if seeds < 1:
        raise MethodError(f"an image needs a seed at least, not {seeds}")
    wishes, plan = wishes or ObjectiveWeights(), plan or Schedule()
    subject = as_model(model, preprocessing, labels, task)
    batch = read(subject, images) if images is not None else None
    if batch:
        check_pictures(batch, "portraits")
    lens = Normalization.of(subject.preprocessing, batch.tensor if batch else None)
    arguments = extra_inputs(1, inputs, keywords)
    weight = weight_of(subject.module)
    eye = FeatureNetwork(subject.module, lens, weight, subject.labels, precision, arguments, subject.task)
    parameters = {
        "facets": facets, "keep": keep, "weighting": weighting, "start": start, "canvas": canvas, "seeds": seeds,
        "literal": literal, "precision": precision, "wishes": asdict(wishes), "plan": _plain(plan),
    }  # fmt: skip
    layers: tuple[str, ...] = ()
    album: ImageSet | None = None
    kinds: tuple[Facet, ...] = ()
    people: list[FacetTask] = []
    if target is None:
        if batch is None:
            raise MethodError("there is nothing to portray: give images, or a unit as target")
        layers = tuple(select_layers(unwrap(subject.module), layer, lambda: eye.structure))
        album, kinds, people = _set(
            eye, batch, layers, facets, keep, weighting, plan.seed, background, subject, wishes, start
        )
        if literal:
            from foveal.featurevis.published_code import as_released, released_plan

            people, plan = as_released(people, eye, album), released_plan(plan, eye)
            canvas = "pixel"
        tasks = [
            FeatureTask(
                one.name,
                one.objective,
                _brush(canvas, literal, album, kinds[one.facet], eye),
                one.layer,
                one.start,
                tuple(range(seeds)),
            )
            for one in people
        ]
    else:
        decisions = list(target) if isinstance(target, Sequence) else [target]
        tasks = [unit_task(eye, one, wishes, canvas, seeds) for one in decisions]
        plan = replace(plan, leak=plan.leak or plan.steps // 4)
    made_of = {
        "weights": unwrap(subject.module), "lens": lens, "labels": subject.labels, "arguments": arguments,
        "images": batch.tensor if batch else None, "background": album.background if album else None,
        "layers": layers, "target": target, "tasks": [(task.name, str(task.objective)) for task in tasks],
        "parameters": parameters, "plan": plan, "foveal": __version__,
    }  # fmt: skip
    return FeatureVisRun(eye, tasks, plan, subject, batch, album, kinds, tuple(people), parameters, made_of, began)


def _set(
    eye: FeatureNetwork, batch: Batch, layers: Sequence[str], facets: FacetCount, keep: int, weighting: Weighting,
    seed: int,
    background: Any, subject: Model, wishes: ObjectiveWeights, start: Start,
) -> tuple[ImageSet, tuple[Facet, ...], list[FacetTask]]:  # fmt: skip
    """The set as the network sees it, its facets, and what is to be portrayed."""
    images = eye.lens.from_input(batch.tensor.detach()).to(eye.device, eye.dtype)
    album = ImageSet(eye, images, eye.features(images, layers))
    if background is not None:
        others = placed(load_images(background, subject.preprocessing), subject.module)
        album.background = eye.features(eye.lens.from_input(others.tensor).to(eye.dtype), layers)
    for at, z in album.features.items():
        if not bool(torch.isfinite(z).all()):
            raise LayerError(f"layer {at!r} gives values that are not numbers for these pictures: choose another layer")
    kinds = find_facets(album.features[layers[-1]], facets, keep=keep, weighting=weighting, seed=seed)
    return album, kinds, subjects(album, kinds, layers, wishes, start)


def _rule(channels: Rule | Sequence[int]) -> Rule | tuple[int, ...]:
    return channels if isinstance(channels, str) else tuple(channels)


def _brush(kind: Kind, literal: bool, album: ImageSet | None, facet: Facet, eye: FeatureNetwork) -> Any:
    if literal:
        from foveal.featurevis.published_code import Raw

        return lambda size: Raw((eye.lens.channels, *size), eye.dtype)
    return parametrizations(kind, album, facet, eye)


def _plain(plan: Schedule) -> dict[str, Any]:
    """As plain data."""
    return {**asdict(replace(plan, mask=None, retouch=None)), "mask": plan.mask is not None}
