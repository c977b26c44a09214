"""What a layer responds to in a set of images: `foveal.visualize`."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from foveal._version import __version__
from foveal.attribution.perturbation import Progress
from foveal.attribution.prepare import check_pictures, read
from foveal.engine.arguments import extra_inputs
from foveal.engine.graph import recording
from foveal.engine.guard import unwrap
from foveal.engine.keywords import checked
from foveal.engine.select import LayerSpec, select_layers
from foveal.errors import LayerError, MethodError
from foveal.featurevis.channels import Rule
from foveal.featurevis.distances import DistanceName
from foveal.featurevis.facet_objectives import FacetTask, tasks_of_facets
from foveal.featurevis.facets import FacetCount, Weighting, find_facets
from foveal.featurevis.image_set import ImageSet, Start, parametrizations
from foveal.featurevis.network import FeatureNetwork, Precision
from foveal.featurevis.normalization import Normalization
from foveal.featurevis.objective_weights import ObjectiveWeights
from foveal.featurevis.objectives import Form
from foveal.featurevis.parametrization import Kind
from foveal.featurevis.run import FeatureVisRun
from foveal.featurevis.schedule import FeatureTask, Octave, Schedule, ScheduleStep
from foveal.featurevis.unit_objectives import unit_task
from foveal.images import Batch, load_images
from foveal.models.model import Model, as_model, placed, weight_of
from foveal.results.facet import Facet
from foveal.results.feature_images import FeatureImages
from foveal.targets import Target, with_layer_names

if TYPE_CHECKING:
    from foveal.engine.task import Task as OutputTask
    from foveal.images import ImageLike, Preprocessing

STEPS = 256


@checked
def visualize(
    model: nn.Module | Model,
    images: ImageLike | Batch | None = None,
    target: Target | Sequence[Target] | None = None,
    *,
    facets: FacetCount = "auto",
    channels: Rule | Sequence[int] = "top_mean",
    count: int | None = None,
    keep: int = 10,
    weighting: Weighting = "softmax",
    activation: Form | None = "dot",
    distance: DistanceName = "l2",
    distance_weight: float = 1.0,
    objective_weights: ObjectiveWeights | None = None,
    start: Start = "mean",
    parametrization: Kind = "fourier",
    steps: int = STEPS,
    schedule: Schedule | None = None,
    seeds: int = 1,
    published: bool = False,
    background: ImageLike | Batch | None = None,
    precision: Precision = "float32",
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    inputs: Sequence[Any] | Tensor = (),
    keywords: Mapping[str, Any] | None = None,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    task: OutputTask | None = None,
    layer: LayerSpec = None,
    seed: int = 0,
) -> FeatureImages:
    """Feature visualization of a layer: a synthetic image for each cluster of an image set, or for single units.

        made = foveal.visualize(model, ["a.jpg", "b.jpg", …], layer="layer4")
        made.figure().save("layer4.png")
        made[0].image, made[0].gain, made[0].fit             # (3, h, w) in 0..1, and the quality
        unit = foveal.visualize(model, target=foveal.Neuron("layer3", 42))

    The set is divided into facets (clusters). For each facet, the mean features of its most typical images are the
    target a, and the largest entries of a are the informative channels S. An image is optimized so that its features u
    are strong in S and otherwise match a (`featurevis.objectives`). Classes are not used, and the classifier does not
    run. (Stergiou, The Mind's Eye, ICIP 2021, arXiv:2101.12447; differences: docs/visualize.md.)

    Ctrl-C ends the optimization early and returns the best images so far.

    Args:
        model: as for `explain`.
        images: the set, as for `explain`; one is enough. Not needed if `target` is given.
        target: units to visualize instead of a set: `Neuron`, `Class`, any target, or several.
        facets: the number of facets, or "auto".
        channels: rule for the informative channels: "top_mean" (published), "contrast", "mass" or "variance"; or the
            channels themselves.
        count: the number of informative channels; None is 50, but at most a quarter of the layer.
        keep: the largest number of images that are averaged for a facet's target.
        weighting: weights of these images, see `find_facets`.
        activation: the form of activation maximization: "dot", "mean", "caricature", None for none.
        distance: the distance to the target.
        distance_weight: its weight λ_d; a lower weight exaggerates more.
        objective_weights: all weights, instead of the five arguments above.
        start: "mean" of the facet's photos (published), its most typical "photo", "noise", or a gray value.
        parametrization: parametrization of the images: "fourier", "pixel", "phase".
        steps: the number of optimization steps.
        schedule: all settings of the optimization, instead of `steps` and `seed`.
        seeds: the number of images per facet.
        published: settings close to the published code, for comparison: see `foveal.featurevis.published_code`.
        background: other images that "contrast" and "variance" compare with.
        precision: "bfloat16" runs the network under autocast.
        checkpoint: a file in which the state is saved regularly; the same call resumes from it.
        progress: called with (what, done, total) after every step.
        inputs: other inputs of the model's forward, as for `explain`.
        keywords: the same by name.
        preprocessing: as for `explain`.
        labels: as for `explain`.
        task: as for `explain`.
        layer: one or several, as for `explain`; None is the last stage. Facets are found at the last one.
        seed: random seed.

    Returns:
        The images, layer by layer, facet by facet, seed by seed; or unit by unit.

    Raises:
        MethodError, LayerError, ImageError, ModelError: for arguments that do not fit.
    """
    optimization = optimize(
        model,
        images,
        target,
        facets=facets,
        objective_weights=objective_weights
        or ObjectiveWeights(_rule(channels), count, activation, distance=distance, distance_weight=distance_weight),
        keep=keep,
        weighting=weighting,
        start=start,
        parametrization=parametrization,
        schedule=schedule or Schedule((Octave(1.0, steps),), seed=seed),
        seeds=seeds,
        published=published,
        background=background,
        precision=precision,
        inputs=inputs,
        keywords=keywords,
        preprocessing=preprocessing,
        labels=labels,
        task=task,
        layer=layer,
    )
    kept = Path(checkpoint) if checkpoint else None
    if kept:
        optimization.resume(kept)

    def report(step: ScheduleStep) -> None:
        if progress:
            progress("optimizing steps", step.done, step.total)

    optimization.run(kept, report)
    return optimization.result()


@recording
def optimize(
    model: nn.Module | Model,
    images: ImageLike | Batch | None = None,
    target: Target | Sequence[Target] | None = None,
    *,
    facets: FacetCount = "auto",
    objective_weights: ObjectiveWeights | None = None,
    keep: int = 10,
    weighting: Weighting = "softmax",
    start: Start = "mean",
    parametrization: Kind = "fourier",
    schedule: Schedule | None = None,
    seeds: int = 1,
    published: bool = False,
    background: ImageLike | Batch | None = None,
    precision: Precision = "float32",
    inputs: Sequence[Any] | Tensor = (),
    keywords: Mapping[str, Any] | None = None,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    task: OutputTask | None = None,
    layer: LayerSpec = None,
) -> FeatureVisRun:
    """The optimization of `visualize`, as an iterator over its steps.

        run = optimize(model, images, layer="layer4")
        for step in run:
            print(step.done, step.losses)
        run.result()                                         # at any time: the best so far

    The arguments and errors are those of `visualize`.
    """
    began = time.perf_counter()
    if seeds < 1:
        raise MethodError(f"seeds={seeds}: at least one seed is needed")
    weights, schedule = objective_weights or ObjectiveWeights(), schedule or Schedule()
    subject = as_model(model, preprocessing, labels, task)
    batch = read(subject, images) if images is not None else None
    if batch:
        check_pictures(batch, "feature images")
    normalization = Normalization.of(subject.preprocessing, batch.tensor if batch else None)
    arguments = extra_inputs(1, inputs, keywords)
    weight = weight_of(subject.module)
    network = FeatureNetwork(subject.module, normalization, weight, subject.labels, precision, arguments, subject.task)
    parameters = {
        "facets": facets, "keep": keep, "weighting": weighting, "start": start, "parametrization": parametrization,
        "seeds": seeds, "published": published, "precision": precision, "objective_weights": asdict(weights),
        "schedule": _plain(schedule),
    }  # fmt: skip
    layers: tuple[str, ...] = ()
    image_set: ImageSet | None = None
    kinds: tuple[Facet, ...] = ()
    facet_tasks: list[FacetTask] = []
    if target is None:
        if batch is None:
            raise MethodError(
                "there is nothing to visualize: give images (in Python also a unit as target, such as "
                "foveal.Neuron('layer4', 42))"
            )
        layers = tuple(select_layers(unwrap(subject.module), layer, lambda: network.structure))
        image_set = _image_set(network, batch, layers, background, subject)
        kinds = find_facets(image_set.features[layers[-1]], facets, keep=keep, weighting=weighting, seed=schedule.seed)
        facet_tasks = tasks_of_facets(image_set, kinds, layers, weights, start)
        if published:
            from foveal.featurevis.published_code import published_schedule, published_tasks

            facet_tasks = published_tasks(facet_tasks, network)
            schedule = published_schedule(schedule, network)
        tasks = [
            FeatureTask(
                facet_task.name,
                facet_task.objective,
                _parametrizations(parametrization, published, image_set, kinds[facet_task.facet], network),
                facet_task.layer,
                facet_task.start,
                tuple(range(seeds)),
            )
            for facet_task in facet_tasks
        ]
    else:
        units = list(target) if isinstance(target, Sequence) else [target]
        targets = [with_layer_names(unit, subject.module) for unit in units]
        tasks = [unit_task(network, unit, weights, parametrization, seeds) for unit in targets]
        schedule = replace(schedule, relu_leak=schedule.relu_leak or schedule.steps // 4)
    made_of = {
        "weights": unwrap(subject.module), "normalization": normalization, "labels": subject.labels,
        "arguments": arguments, "images": batch.tensor if batch else None,
        "background": image_set.background if image_set else None,
        "layers": layers, "target": target, "tasks": [(task.name, str(task.objective)) for task in tasks],
        "parameters": parameters, "schedule": schedule, "foveal": __version__,
    }  # fmt: skip
    return FeatureVisRun(
        network, tasks, schedule, subject, batch, image_set, kinds, tuple(facet_tasks), parameters, made_of, began
    )


def _image_set(
    network: FeatureNetwork, batch: Batch, layers: Sequence[str], background: Any, subject: Model
) -> ImageSet:
    """The set as the network sees it."""
    images = network.normalization.from_input(batch.tensor.detach()).to(network.device, network.dtype)
    image_set = ImageSet(network, images, network.features(images, layers))
    if background is not None:
        others = placed(load_images(background, subject.preprocessing), subject.module)
        shown = network.normalization.from_input(others.tensor).to(network.dtype)
        image_set.background = network.features(shown, layers)
    for at, z in image_set.features.items():
        if not bool(torch.isfinite(z).all()):
            raise LayerError(f"layer {at!r} gives values that are not numbers for these images: choose another layer")
    return image_set


def _rule(channels: Rule | Sequence[int]) -> Rule | tuple[int, ...]:
    return channels if isinstance(channels, str) else tuple(channels)


def _parametrizations(
    kind: Kind, published: bool, image_set: ImageSet | None, facet: Facet, network: FeatureNetwork
) -> Any:
    if published:
        from foveal.featurevis.published_code import Raw

        return lambda size: Raw((network.normalization.channels, *size), network.dtype)
    return parametrizations(kind, image_set, facet, network)


def _plain(schedule: Schedule) -> dict[str, Any]:
    """As plain data."""
    return {**asdict(replace(schedule, mask=None, retouch=None)), "mask": schedule.mask is not None}
