"""The verbs. Thin: load → engine → formula → result."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from foveal.attribution.attribute import Attributions, MethodRequest
from foveal.attribution.context import Context
from foveal.attribution.levels import joined_levels
from foveal.attribution.prepare import prepare, read
from foveal.attribution.resolution import attribute_at, settings
from foveal.engine.address import INPUT
from foveal.engine.arguments import extra_inputs
from foveal.engine.guard import unwrap
from foveal.engine.keywords import checked
from foveal.engine.select import LayerSpec
from foveal.engine.stages import Structure, describe
from foveal.errors import FovealError, MethodError, ModelError, UnknownMethod
from foveal.images import Batch
from foveal.methods import Method, MethodLike, MethodsLike, find_methods, optional
from foveal.methods.known import WHOLE_CHANNELS
from foveal.models.black_box import ENOUGH, BlackBox, Scorer
from foveal.models.model import Model, as_model, weight_of
from foveal.results import Explanation
from foveal.results.explanations import Explanations
from foveal.results.provenance import versions
from foveal.results.stages import Stages
from foveal.targets import TargetLike, Task

if TYPE_CHECKING:
    from foveal.attribution.perturbation import Progress
    from foveal.images import ImageLike, Preprocessing


@checked
def explain(
    model: nn.Module | Model | Scorer,
    images: ImageLike | Batch,
    target: TargetLike = None,
    *,
    method: MethodLike = "gradcam",
    progress: Progress | None = None,
    layer: LayerSpec = None,
    resolution: int = 1,
    scales: Sequence[float] = (1.0,),
    inputs: Sequence[Any] | Tensor = (),
    keywords: Mapping[str, Any] | None = None,
    differentiable: bool = False,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    task: Task | None = None,
) -> Explanation:
    """What mattered, at one layer or several: a map for each image, and the decision it explains.

    One forward pass, and for methods with gradients one backward pass that ends at the first layer asked for. The model
    is left exactly as it was found.

        why = foveal.explain(model, "bird.jpg")                                  # predicted class, last stage
        why = foveal.explain(model, x, foveal.Class("jay"), method="hirescam", layer="layer3")
        why.map                                                                  # (n, h, w), raw and signed

    Args:
        model: any `nn.Module` that classifies (or whatever `target` can read), or the result of `load_model`; for
            methods that need scores alone, such as rise and occlusion, also any function of images (n, c, h, w) that
            gives scores (n, k), see `foveal.BlackBox`.
        images: path, PIL image, HWC uint8 array, CHW or NCHW float tensor (network input as it is), or a list;
            or the `Batch` that `load_images` made of them.
        target: the decision; None is the predicted class. See `foveal.Class`, `Margin`, `Neuron`.
        method: a name from `foveal methods`, options after a colon: "scorecam:clusters=64". Or your own: a function
            `f(A, G) -> (n, h, w)` of the activations and gradients of the layer, both (n, c, h, w), or `f(A)` of the
            activations alone; a `foveal.Method`; "my.py:mine" or "package.module:mine".
        progress: hears (what, done, total) from methods that take their time.
        layer: None for the last stage, a name, a module of the model (`model.layer4`), wildcard, stage number, "all",
            or a list of these.
        resolution: how many times finer to make the map of the (deepest) layer, mostly 2 or 4: strides before it
            become dilations, so the weights see what they were trained on.
        scales: sizes of the image, such as (1, 1.5, 2), over whose maps the mean is taken, at the largest one's
            resolution.
        inputs: what else the model's forward takes, after the image: `model(image, *inputs, **keywords)`. Tensors with
            one row per image follow the images; the rest is passed unchanged. Where the image is not first, `...`
            stands in its place: `inputs=(metadata, ...)`, `inputs=([..., other],)` for a model that takes a list, or
            `keywords={"pixel_values": ...}`.
        keywords: the same by name.
        differentiable: maps keep their graph, back to the weights and the images, for use in a loss. `.grad` is left to
            your own backward; the network is in evaluation mode as always. For methods of activations and gradients.
        preprocessing: how photos become network input; taken from `load_model` when it knows.
        labels: class names; taken from `load_model` when it knows.
        task: what the network's output means: "classes" of which one holds, "labels" of which several may, a "value"
            that is predicted, an "embedding", scores of "regions" at each pixel, "boxes" around objects;
            taken from `load_model` when it knows. Where it is not known, classes are
            assumed, and the result says so.

    Raises:
        FovealError: one sentence on what does not fit (ImageError, ModelError, LayerError, TargetError, MethodError).
    """
    (why,) = compare(
        model,
        images,
        target,
        methods=[method],
        layer=layer,
        resolution=resolution,
        scales=scales,
        inputs=inputs,
        keywords=keywords,
        differentiable=differentiable,
        preprocessing=preprocessing,
        labels=labels,
        task=task,
        progress=progress,
    )
    return why


@checked
def compare(
    model: nn.Module | Model | Scorer,
    images: ImageLike | Batch,
    target: TargetLike = None,
    *,
    methods: MethodsLike = "usual",
    progress: Progress | None = None,
    layer: LayerSpec = None,
    resolution: int = 1,
    scales: Sequence[float] = (1.0,),
    inputs: Sequence[Any] | Tensor = (),
    keywords: Mapping[str, Any] | None = None,
    differentiable: bool = False,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    task: Task | None = None,
) -> Explanations:
    """Explain the same target with several methods: methods of activations and gradients share the passes.

        for why in foveal.compare(model, "bird.jpg", methods=["gradcam", "hirescam", mine]):
            print(why.method, why.map.shape)

    Args:
        methods: each as in `explain`. "usual" is a small set of different methods, "fast" all that need no more than a
            forward and a backward pass, "all" those, too, that run the network hundreds of times; what does not apply
            is left out of these three.

    The other arguments are those of `explain`, and so are the errors. Returns `Explanations`: one per method, by
    number or name.
    """
    started = time.perf_counter()
    chosen = find_methods(methods)
    if not chosen:
        raise UnknownMethod("no method was given: name one or more of those that `foveal methods` lists")
    context = prepare(
        model,
        images,
        target,
        blind=target is None and all(method.needs == "activations" for method in chosen.values()),
        inputs=inputs,
        keywords=keywords,
        differentiable=differentiable,
        preprocessing=preprocessing,
        labels=labels,
        task=task,
    )
    return explanations(
        context, chosen, layer, progress,
        resolution=resolution, scales=scales, leave_out=optional(methods), started=started,
    )  # fmt: skip


def explanations(
    context: Context,
    methods: Mapping[str, Method],
    layer: LayerSpec = None,
    progress: Progress | None = None,
    *,
    resolution: int = 1,
    scales: Sequence[float] = (1.0,),
    leave_out: Collection[str] = (),
    started: float | None = None,
) -> Explanations:
    """`compare` of what is prepared: what verbs call that explain by the way.

    Args:
        methods: what `find_methods` gives.
        leave_out: names of methods that are left out where they do not apply, as long as one does.
        started: when the clock began; None is now.

    Raises:
        FovealError: as `compare`.
    """
    refused: dict[str, FovealError] = {}
    whys = explanations_or_reasons(
        context, methods, layer, progress, refused, resolution=resolution, scales=scales, started=started
    )
    faults = [error for name, error in refused.items() if name not in leave_out or not whys]
    if faults:
        raise faults[0]
    return Explanations(whys)


def explanations_or_reasons(
    context: Context,
    methods: Mapping[str, Method],
    layer: LayerSpec,
    progress: Progress | None,
    refused: dict[str, FovealError],
    *,
    resolution: int = 1,
    scales: Sequence[float] = (1.0,),
    started: float | None = None,
) -> tuple[Explanation, ...]:
    """The same, where methods that do not apply are left out; why they do not is put into `refused`."""
    started = time.perf_counter() if started is None else started
    if isinstance(unwrap(context.model), BlackBox):
        refused.update({name: _needs_more(name) for name, method in methods.items() if not _by_scores(method, layer)})
        methods = {name: method for name, method in methods.items() if name not in refused}
        if not methods:
            return ()
    asked = [MethodRequest(name, method, _layers(context, layer, method)) for name, method in methods.items()]
    evidence = attribute_at(context, asked, progress, resolution=resolution, scales=scales)
    refused.update(evidence.refused)
    evidence.notes[:0] = context.remarks()
    reads_layers = context.target is not None and context.target.layers
    if layer is None and not reads_layers and any(method.place == "last stage" for method in methods.values()):
        evidence.notes += _far_from_the_score(context.tracing())
    seconds, made = time.perf_counter() - started, settings(resolution, scales)
    return tuple(
        _explanation(context, evidence, request, made, seconds) for request in asked if request.name in evidence.maps
    )


@checked
def stages(
    model: nn.Module | Model,
    images: ImageLike | Batch | None = None,
    *,
    inputs: Sequence[Any] | Tensor = (),
    keywords: Mapping[str, Any] | None = None,
) -> Stages:
    """The stages of a network, first next to the input: name, shape, stride, receptive field, sign.

    Args:
        model: any `nn.Module`, or the result of `load_model`.
        images: an example input; may be left out where the model's input size is known.
        inputs, keywords: what else the model takes, as in `explain`.

    Raises:
        ModelError: when no example was given and the input size is not known, or the model fails on it.
    """
    subject = as_model(model)
    if isinstance(subject.module, BlackBox):
        raise ModelError(f"{subject.name} gives scores alone and has no stages: explain it at the input, by {ENOUGH}")
    if images is not None:
        x = read(subject, images).tensor
    elif subject.preprocessing is not None:
        x = _noise(subject.preprocessing, subject.module)
    else:
        raise ModelError(
            f"cannot describe {subject.name} without knowing what it takes: pass an example, "
            "foveal.stages(model, torch.randn(1, 3, 224, 224))"
        )
    return Stages(describe(subject.module, x, extra_inputs(len(x), inputs, keywords)).stages)


def _layers(context: Context, wanted: LayerSpec, method: Method) -> tuple[str, ...]:
    """The layers a person means; where none is named, the place of the method."""
    if wanted is None and method.place == "input":
        return (INPUT,)
    return joined_levels(context, wanted, method) or context.layers(wanted)


def _by_scores(method: Method, layer: LayerSpec) -> bool:
    """Whether the method needs scores alone there."""
    return method.scores_alone and (layer == INPUT or (layer is None and method.place == "input"))


def _needs_more(name: str) -> MethodError:
    return MethodError(
        f"{name} needs layers or gradients, and here only scores are given: use a method that needs scores alone, "
        f"{ENOUGH}, at the input"
    )


def _far_from_the_score(structure: Structure) -> list[str]:
    """What to say of transformers, and of networks whose last feature map is far from the score."""
    last = structure.usual
    far = not structure.default and last.depth < structure.depth / 3
    after = f"{structure.depth - last.depth} of {structure.depth} layers come after the last feature map, {last.name}"
    little = "so this map says little about the decision"
    if structure.transformer:
        why = f"{after}, {little}" if far else "its maps are computed in the same way, but were not tested"
        return [f"this looks like a transformer, and foveal explains convolutional networks: {why}"]
    return [f"{after}, {little}: name another layer, or use a method of the input"] if far else []


def _explanation(
    context: Context, evidence: Attributions, asked: MethodRequest, made: Mapping[str, Any], seconds: float
) -> Explanation:
    verdict = evidence.verdict
    return Explanation(
        maps=evidence.maps[asked.name],
        where={layer: evidence.where[layer] for layer in evidence.maps[asked.name] if layer in evidence.where},
        photos=context.photos,
        score=verdict.score.detach() if verdict else None,
        probability=verdict.probability if verdict else None,
        target=verdict.label if verdict else ("no decision",) * len(context.photos),
        target_spec=verdict.spec if verdict else {"kind": "none"},
        method=asked.name,
        parameters={**asked.method.options, **made},
        measured=evidence.measured[asked.name],
        model=context.subject.name,
        notes=tuple(dict.fromkeys([*evidence.notes, *evidence.cautions[asked.name], *_everywhere(evidence, asked)])),
        seconds=seconds,
        versions=versions(),
    )


def _everywhere(evidence: Attributions, asked: MethodRequest) -> list[str]:
    """What to say of whole channels, where the target is one object or region of the image."""
    local = evidence.verdict is not None and evidence.verdict.spec.get("kind") in ("box", "region")
    if not local or asked.method.name not in WHOLE_CHANNELS or asked.layers == (INPUT,):
        return []
    name = asked.name
    return [
        f"{name} gives whole channels one weight, so it also marks other objects that look alike; hirescam does not"
    ]


def _noise(preprocessing: Preprocessing, module: nn.Module) -> Tensor:
    noise = torch.randn(
        1, len(preprocessing.mean), *preprocessing.size, generator=torch.Generator().manual_seed(0), device="cpu"
    )
    weight = weight_of(module)
    return noise if weight is None else noise.to(weight.device, weight.dtype)
