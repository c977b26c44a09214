"""Transforms of torchvision and timm by their classes and parameters: which is random, and which are our settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from foveal.images.preprocessing_checks import Interpolation

NO_EFFECT = {"ToTensor", "MaybeToTensor", "ToImage", "ToDtype", "ConvertImageDtype", "PILToTensor", "MaybePILToTensor"}


def parts_of(transform: Any) -> Iterator[Any]:
    """The transform, and all that it is composed of."""
    yield transform
    inside = getattr(transform, "transforms", None)
    for part in inside if isinstance(inside, list | tuple) else ():
        yield from parts_of(part)


def random_part(transform: Any) -> str | None:
    """The name of a part that does not always do the same."""
    for part in parts_of(transform):
        name, chance = type(part).__name__, getattr(part, "p", 1)
        if name.startswith(("Random", "AutoAugment", "RandAugment", "TrivialAugment")):
            return name
        if isinstance(chance, int | float) and 0 < chance < 1:
            return f"{name} (p={chance:g})"
    return None


def read_as_settings(transform: Any) -> dict[str, Any] | None:
    """The fields of a `Preprocessing` of resize, central crop and normalization; None for anything else.

    It is a guess by names: whoever asks has to compare what the two make of a photo.
    """
    found: dict[str, Any] = {}
    leaves = [part for part in parts_of(transform) if not hasattr(part, "transforms")]
    for part in leaves:
        name = type(part).__name__
        if name == "Resize" and not {"resize", "resize_to"} & found.keys() and "crop" not in found:
            found |= _resize(part)
        elif name == "CenterCrop":
            found["crop"] = True
        elif name == "Normalize":
            found |= {"mean": _numbers(part.mean), "std": _numbers(part.std)}
        elif name == "ImageClassification":  # torchvision's own, of its weights
            found |= {"resize_to": part.resize_size[0], "interpolation": _word(part.interpolation),
                      "mean": _numbers(part.mean), "std": _numbers(part.std)}  # fmt: skip
        elif name not in NO_EFFECT:
            return None
    found.pop("crop", None)
    settings: dict[str, Any] = {"mean": (0.0,) * 3, "std": (1.0,) * 3, **found}
    known = settings.get("interpolation", "bilinear") in get_args(Interpolation)
    return settings if known and len(settings["mean"]) == len(settings["std"]) == 3 else None


def _resize(part: Any) -> dict[str, Any]:
    size = getattr(part, "size", None)
    sides = (size,) if isinstance(size, int) else tuple(size or ())
    way: dict[str, Any] = {"resize": "exact"} if len(sides) == 2 else {"resize_to": sides[0]} if sides else {}
    return {**way, "interpolation": _word(getattr(part, "interpolation", "bilinear"))}


def _word(interpolation: Any) -> str:
    return str(getattr(interpolation, "value", interpolation))


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(float(x) for x in values)
