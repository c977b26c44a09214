"""Networks of timm, with the preprocessing and classes they were trained with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from foveal.errors import ModelError, UnknownModel
from foveal.images.preprocessing import Preprocessing
from foveal.models.extras import import_timm
from foveal.models.hub import impatient
from foveal.models.model import Model
from foveal.models.own_task import TIMM, Known, own_task
from foveal.models.zoo import building, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

# Names with a source of their own are looked up by timm: on the Hugging Face hub, or in a folder.
ELSEWHERE = ("hf-hub:", "hf_hub:", "local-dir:")


def build(name: str, *, pretrained: bool, arguments: Mapping[str, object]) -> Model:
    """`timm.create_model(name)` as a Model."""
    timm = import_timm()
    _check_name(name, pretrained=pretrained)
    spec = f"timm:{name}"
    with building(spec, arguments, fetching=pretrained), impatient():
        module = timm.create_model(name, pretrained=pretrained, **arguments)
    preprocessing, notes = _preprocessing(module)
    return Model(
        module, spec, preprocessing, _labels(module), _card(module, pretrained, notes), *_task(module, arguments)
    )


def names() -> tuple[str, ...]:
    """Every architecture timm knows."""
    return tuple(import_timm().list_models())


def _check_name(name: str, *, pretrained: bool) -> None:
    timm = import_timm()
    if name.startswith(ELSEWHERE):
        return
    base, _, tag = name.partition(".")
    if not timm.is_model(base):
        raise unknown("timm", name, timm.list_models())
    tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{base}.*")]
    if tag and tag not in tags:
        raise UnknownModel(f"timm has no weights {tag!r} for {base}: the choices are {', '.join(tags) or 'none'}.")
    if pretrained and not tags and not timm.models.is_model_pretrained(base):
        raise ModelError(f"timm has no trained weights for {base}: pass a file (weights=…) or pretrained=False.")


def _preprocessing(module: nn.Module) -> tuple[Preprocessing | None, list[str]]:
    """What timm feeds this network in its own evaluation, and in what ours differs."""
    config = import_timm().data.resolve_model_data_config(module)
    channels, height, width = config["input_size"]
    if channels not in (1, 3) or len(config["mean"]) != channels:
        return None, [f"timm gives no preprocessing for {channels} channels: pass one"]
    mode, crop = config["crop_mode"], config["crop_pct"]
    settings: dict[str, Any] = {
        "size": (height, width),
        "resize": {"squash": "exact", "border": "pad"}.get(mode, "short"),
        "resize_to": math.floor(min(height, width) / crop) if mode == "center" else None,
        "interpolation": config["interpolation"] if config["interpolation"] != "random" else "bicubic",
        "channels": "RGB" if channels == 3 else "L",
        "mean": tuple(config["mean"]),
        "std": tuple(config["std"]),
    }
    exact = crop == 1 or mode == "center"
    return Preprocessing(**settings), [] if exact else [f"timm would crop {crop:.0%} of the photo; foveal shows it all"]


def _task(module: nn.Module, arguments: Mapping[str, object]) -> Known:
    """Networks of timm tell classes apart; what another number of outputs means is not known."""
    task, source = own_task(module)
    if task == "embedding":
        return task, source
    return (None, "") if "num_classes" in arguments else ("classes", TIMM)


def _labels(module: nn.Module) -> tuple[str, ...] | None:
    """Class names: the network's own, or ImageNet's when their number says that it is one of its subsets."""
    data = import_timm().data
    own = _config(module).get("label_names")
    if isinstance(own, (list, tuple)) and len(own) == getattr(module, "num_classes", None):
        return tuple(str(label) for label in own)
    subset = data.infer_imagenet_subset(module)
    return tuple(data.ImageNetInfo(subset).label_descriptions()) if subset else None


def _card(module: nn.Module, pretrained: bool, notes: list[str]) -> dict[str, Any]:
    config = _config(module)
    return {
        "source": f"timm {import_timm().__version__}",
        "weights": config.get("tag") or "default" if pretrained else "random",
        "license": config.get("license") or "unknown",
        "notes": notes,
    }


def _config(module: nn.Module) -> Mapping[str, Any]:
    config: Mapping[str, Any] = getattr(module, "pretrained_cfg", None) or {}
    return config
