"""The verbs. Thin: load → engine → formula → result."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from foveal._version import __version__
from foveal.decisions import Decision, Outcome, Target, Verdict, as_decision
from foveal.engine.capture import Run, capture
from foveal.engine.guard import is_compiled, unwrap
from foveal.engine.select import LayerSpec, select_layers
from foveal.engine.stages import Stage, Structure, describe
from foveal.errors import LayerError, MethodError, ModelError, TargetError
from foveal.images import Batch, load_images
from foveal.methods import Method, find_method
from foveal.models import Model
from foveal.results import Explanation

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.images import ImageLike, Preprocessing


def explain(
    model: nn.Module | Model,
    images: ImageLike,
    target: Target = None,
    *,
    method: str = "gradcam",
    layer: LayerSpec = None,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
) -> Explanation:
    """What mattered, at one layer or several: a map for each image, and the decision it explains.

    One forward, and for methods with gradients one backward that ends at the first layer asked for. The model
    is left exactly as it was found.

        why = foveal.explain(model, "bird.jpg")                                  # predicted class, last stage
        why = foveal.explain(model, x, foveal.Class("jay"), method="hirescam", layer="layer3")
        why.map                                                                  # (n, h, w), raw and signed

    Args:
        model: any `nn.Module` that classifies (or whatever `target` can read), or the result of `load_model`.
        images: path, PIL image, HWC uint8 array, CHW or NCHW float tensor (network input as it is), or a list.
        target: the decision; None is the predicted class. See `foveal.Class`, `Margin`, `Neuron`.
        method: a name from `foveal methods`.
        layer: None for the last stage, a name, wildcard, stage number, "all", or a sequence of these.
        preprocessing: how photos become network input; taken from `load_model` when it knows.
        labels: class names; taken from `load_model` when it knows.

    Raises:
        FovealError: one sentence on what does not fit (ImageError, ModelError, LayerError, TargetError, MethodError).
    """
    return compare(model, images, target, methods=[method], layer=layer, preprocessing=preprocessing, labels=labels)[0]


def compare(
    model: nn.Module | Model,
    images: ImageLike,
    target: Target = None,
    *,
    methods: Sequence[str],
    layer: LayerSpec = None,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
) -> list[Explanation]:
    """The same decision explained by several methods, all from one forward and one backward.

    Arguments as for `explain`; `methods` are names from `foveal methods`. Returns one `Explanation` a method.
    """
    started = time.perf_counter()
    subject = as_model(model, preprocessing, labels)
    formulas = [find_method(name) for name in methods]
    if not formulas:
        raise MethodError("no method was given: name one or more of those that `foveal methods` lists")
    batch = _on_device(load_images(images, subject.preprocessing), subject.module)
    decision = as_decision(target)
    structure = _Tracing(subject.module, batch.tensor)
    layers = _default_layers(subject.module, layer, decision, structure)
    blind = target is None and all(formula.needs == "activations" for formula in formulas)
    seen = _look(subject, batch.tensor, layers, None if blind else decision, formulas, structure)
    seconds = time.perf_counter() - started
    return [_explanation(subject, batch, seen, formula, seconds) for formula in formulas]


def stages(model: nn.Module | Model, images: ImageLike | None = None) -> tuple[Stage, ...]:
    """The stages of a network, first next to the input: name, shape, stride, receptive field, sign.

    Args:
        model: any `nn.Module`, or the result of `load_model`.
        images: an example input; may be left out where the model's input size is known.

    Raises:
        ModelError: when no example was given and the input size is not known, or the model fails on it.
    """
    subject = as_model(model)
    if images is not None:
        x = _on_device(load_images(images, subject.preprocessing), subject.module).tensor
    elif subject.preprocessing is not None:
        x = _noise(subject.preprocessing, subject.module)
    else:
        raise ModelError(
            f"cannot describe {subject.name} without knowing what it takes: pass an example, "
            "foveal.stages(model, torch.randn(1, 3, 224, 224))"
        )
    return describe(subject.module, x).stages


def as_model(
    model: nn.Module | Model, preprocessing: Preprocessing | None = None, labels: Sequence[str] | None = None
) -> Model:
    """`model` with what is known about it; what the caller says wins over what the model carries.

    Raises:
        ModelError: when it is neither a module nor the result of `load_model`.
    """
    if isinstance(model, nn.Module):
        return Model(model, type(unwrap(model)).__name__, preprocessing, tuple(labels) if labels else None)
    if not isinstance(model, Model):
        raise ModelError(
            f"cannot explain a {type(model).__name__}: pass an nn.Module, or load one with foveal.load_model({model!r})"
            if isinstance(model, str)
            else f"cannot explain a {type(model).__name__}: pass an nn.Module or the result of foveal.load_model"
        )
    if preprocessing is None and labels is None:
        return model
    return Model(
        model.module,
        model.name,
        preprocessing or model.preprocessing,
        tuple(labels) if labels else model.labels,
        model.card,
    )


class _Tracing:
    """The structure of a model, traced when first asked for."""

    def __init__(self, model: nn.Module, x: Tensor) -> None:
        self._arguments = (model, x)

    def __call__(self) -> Structure:
        return describe(*self._arguments)


@dataclass(frozen=True)
class _Seen:
    """What one forward and one backward showed."""

    maps: Mapping[str, Mapping[str, Tensor]]  # method -> layer -> (n, h, w)
    verdict: Verdict | None
    notes: tuple[str, ...]
    cautions: Mapping[str, Sequence[str]]  # method -> what to know about its maps


def _look(
    subject: Model,
    x: Float[Tensor, "n c h w"],
    layers: Sequence[str],
    decision: Decision | None,
    formulas: Sequence[Method],
    structure: _Tracing,
) -> _Seen:
    gradient = decision is not None and any(formula.needs == "gradients" for formula in formulas)
    asked = decision.layers if decision else ()
    stop = decision is None or bool(asked)
    if stop:
        layers = [_last_call(layer, structure()) for layer in layers]
    notes = list(_state_notes(subject))
    with capture(subject.module, [*dict.fromkeys([*layers, *asked])], gradient=gradient) as run:
        verdict, cotangents = _decide(run, x, decision, subject, stop, gradient, notes)
        activations = {layer: _feature_map(run, layer, structure) for layer in run.activations if layer in layers}
        notes += [_reused(layer, run.calls[layer]) for layer in layers if run.calls[layer] > 1 and "#" not in layer]
        with torch.no_grad():
            return _apply(formulas, activations, cotangents, verdict, tuple(notes))


def _apply(
    formulas: Sequence[Method],
    activations: Mapping[str, Tensor],
    cotangents: Mapping[str, Tensor],
    verdict: Verdict | None,
    notes: tuple[str, ...],
) -> _Seen:
    maps: dict[str, dict[str, Tensor]] = {}
    cautions: dict[str, list[str]] = {}
    for formula in formulas:
        maps[formula.name], cautions[formula.name] = {}, []
        for layer, activation in activations.items():
            A = activation.detach()
            G = cotangents.get(layer, A)
            M = maps[formula.name][layer] = formula(A, G)
            if formula.caution and (words := formula.caution(A, G, M)):
                cautions[formula.name].append(f"{layer}: {words}")
    return _Seen(maps, verdict, notes, cautions)


def _decide(
    run: Run,
    x: Tensor,
    decision: Decision | None,
    subject: Model,
    stop: bool,
    gradient: bool,
    notes: list[str],
) -> tuple[Verdict | None, dict[str, Tensor]]:
    """The verdict, and the cotangents of its score.

    Where the model's own forward turns gradients off, it runs once more with them on.
    """
    for through_no_grad in (False, True):
        output = run.forward(x, stop=stop, through_no_grad=through_no_grad)
        if decision is None:
            return None, {}
        verdict = decision.decide(Outcome(output, run.activations, subject.labels))
        _check(verdict, len(x))
        if not gradient:
            return verdict, {}
        try:
            cotangents = run.gradients(verdict.score)
        except LayerError:
            if through_no_grad:
                raise
            continue
        if through_no_grad:
            notes.append("the model's forward turns gradients off inside; they were kept on for this explanation")
        return verdict, cotangents
    raise AssertionError("unreachable")


def _check(verdict: Verdict, n: int) -> None:
    if len(verdict.score) != n:
        raise TargetError(
            f"the target gave {len(verdict.score)} scores for {n} images: it must give one an image, shape ({n},)"
        )
    if not bool(torch.isfinite(verdict.score).all()):
        raise TargetError(
            f"the score of {verdict.words[0]} is {verdict.score.detach().tolist()[0]}: nothing can be explained; "
            "check the input's scale and the model's weights"
        )


def _default_layers(model: nn.Module, wanted: LayerSpec, decision: Decision, structure: _Tracing) -> list[str]:
    """As `select_layers`; for a unit inside the network the default is the last stage before it."""
    model = unwrap(model)
    if wanted is not None or not decision.layers:
        return select_layers(model, wanted, structure)
    unit = decision.layers[0].split("[")[0].split("#")[0]
    order = list(structure().shapes)
    before = order[: order.index(unit)] if unit in order else order
    earlier = [
        stage.name
        for stage in structure().stages
        if stage.name.split("#")[0] in before and not stage.name.startswith(unit + ".")
    ]
    if not earlier:
        raise LayerError(f"no stage comes before {decision.layers[0]!r}: name the layer to explain it at")
    return earlier[-1:]


def _last_call(layer: str, structure: Structure) -> str:
    # A forward that stops early must know which call of a reused module is the last.
    calls = structure.calls.get(layer, 1)
    return layer if calls == 1 else f"{layer}#{calls - 1}"


def _feature_map(run: Run, layer: str, structure: _Tracing) -> Float[Tensor, "n c h w"]:
    A = run.activations[layer]
    if A.ndim == 4 and A.is_floating_point():
        return A
    nearest = structure().nearest_spatial(layer)
    hint = f"the nearest feature map is {nearest!r}" if nearest else "choose a layer that keeps (n, c, h, w)"
    raise LayerError(f"layer {layer!r} gives {tuple(A.shape)}, which is not a feature map (n, c, h, w): {hint}")


def _reused(layer: str, calls: int) -> str:
    return f"{layer} runs {calls} times in one forward; this is the last call ({layer}#{calls - 1})"


def _state_notes(subject: Model) -> tuple[str, ...]:
    notes = list(subject.notes)
    if subject.module.training:
        notes.append("the model was in training mode; it was explained in evaluation mode and put back")
    if is_compiled(subject.module):
        notes.append("the model is compiled; the original module was run instead, uncompiled")
    return tuple(notes)


def _explanation(subject: Model, batch: Batch, seen: _Seen, method: Method, seconds: float) -> Explanation:
    verdict = seen.verdict
    maps = seen.maps[method.name]
    _check_finite(maps)
    n = len(batch.tensor)
    photo_notes = [note for photo in batch.photos for note in photo.notes]
    return Explanation(
        maps=maps,
        photos=batch.photos,
        score=verdict.score.detach() if verdict else None,
        probability=verdict.probability if verdict else None,
        target=verdict.words if verdict else ("no decision",) * n,
        target_spec=verdict.spec if verdict else {"kind": "none"},
        method=method.name,
        parameters={},
        model=subject.name,
        notes=tuple(dict.fromkeys([*seen.notes, *seen.cautions[method.name], *photo_notes])),
        seconds=seconds,
        versions={"foveal": __version__, "torch": torch.__version__, "python": platform.python_version()},
    )


def _check_finite(maps: Mapping[str, Tensor]) -> None:
    for layer, each in maps.items():
        if not bool(torch.isfinite(each).all()):
            raise MethodError(
                f"the map at {layer} is not finite: activations or gradients overflow there; run the model in float32"
            )


def _on_device(batch: Batch, module: nn.Module) -> Batch:
    """Pictures that foveal read itself go where the model is; tensors stay what and where the caller made them."""
    if all(photo.source == "tensor" for photo in batch.photos):
        return batch
    weight = next((p for p in module.parameters() if p.is_floating_point()), None)
    return batch if weight is None else Batch(batch.tensor.to(weight.device, weight.dtype), batch.photos)


def _noise(preprocessing: Preprocessing, module: nn.Module) -> Tensor:
    channels = 1 if preprocessing.channels == "L" else 3
    noise = torch.randn(1, channels, *preprocessing.size, generator=torch.Generator().manual_seed(0))
    weight: Any = next((p for p in module.parameters() if p.is_floating_point()), noise)
    return noise.to(weight.device, weight.dtype)
