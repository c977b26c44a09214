"""Networks of torchvision, with the preprocessing and classes of their weights."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from foveal.errors import ModelError, UnknownModel
from foveal.images.preprocessing import Preprocessing
from foveal.models.extras import import_torchvision
from foveal.models.model import Model
from foveal.models.own_task import TORCHVISION
from foveal.models.zoo import building, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from foveal.engine.task import Task


def build(name: str, *, pretrained: bool, arguments: Mapping[str, object]) -> Model:
    """`torchvision.models.get_model(name)` as a Model; "resnet50.IMAGENET1K_V1" picks among its weights."""
    models = import_torchvision().models
    base, _, tag = name.partition(".")
    if base not in models.list_models():
        raise unknown("torchvision", name, models.list_models())
    weights, spec = _weights(base, tag), f"torchvision:{name}"
    if pretrained and weights is None:
        raise ModelError(f"torchvision has no trained weights for {base}: pass a file (weights=…) or pretrained=False.")
    with building(spec, arguments, fetching=pretrained):
        module = models.get_model(base, **_options(base, weights, pretrained), **arguments)
    labels = _labels(weights)
    if labels and arguments.get("num_classes", len(labels)) != len(labels):
        labels = None
    task: Task | None = "classes" if base in names() and "num_classes" not in arguments else None
    return Model(module, spec, _preprocessing(weights), labels, _card(weights, pretrained)).with_task(task, TORCHVISION)


def names() -> tuple[str, ...]:
    """Every image classifier torchvision knows."""
    models = import_torchvision().models
    return tuple(models.list_models(module=models))


def _options(name: str, weights: Any, pretrained: bool) -> dict[str, Any]:
    """What a builder is given besides the arguments that shape the network."""
    if pretrained:
        return {"weights": weights, "progress": sys.stderr.isatty()}
    family = import_torchvision().models.get_model_builder(name).__module__
    if ".detection." in family or ".segmentation." in family:
        return {"weights": None, "weights_backbone": None}  # else they fetch a trained trunk
    if name in ("googlenet", "inception_v3"):
        return {"weights": None, "init_weights": True}  # else they warn that this may change
    return {"weights": None}


def _weights(name: str, tag: str) -> Any:
    """The weights a name stands for: an entry of torchvision's own enumeration, or None."""
    choices = import_torchvision().models.get_model_weights(name)
    if not tag:
        return getattr(choices, "DEFAULT", None)
    if tag not in choices.__members__:
        known = ", ".join(choices.__members__) or "none"
        raise UnknownModel(f"torchvision has no weights {tag!r} for {name}: the choices are {known}.")
    return choices[tag]


def _preprocessing(weights: Any) -> Preprocessing | None:
    """The evaluation transform that goes with the weights, if it is the usual resize, crop and normalize."""
    transform: Any = weights.transforms() if weights is not None else None
    if not hasattr(transform, "crop_size") or not hasattr(transform, "antialias"):
        return None
    crop, short = transform.crop_size, transform.resize_size
    return Preprocessing(
        size=(crop[0], crop[-1]),
        resize_to=short[0],
        interpolation=transform.interpolation.value,
        mean=tuple(transform.mean),
        std=tuple(transform.std),
    )


def _labels(weights: Any) -> tuple[str, ...] | None:
    labels = weights.meta.get("categories") if weights is not None else None
    return tuple(labels) if labels else None


def _card(weights: Any, pretrained: bool) -> dict[str, Any]:
    card: dict[str, Any] = {
        "source": f"torchvision {import_torchvision().__version__}",
        "weights": "random",
        "notes": [],
    }
    if pretrained:
        card |= {
            "weights": weights.name,
            "accuracy": weights.meta.get("_metrics", {}),
            "license": "BSD-3-Clause",
        }
    return card
