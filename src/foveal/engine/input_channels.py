"""How many channels a network takes, and of what size its images are, as far as it says so without running."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import nn

from foveal.engine.address import named_modules


class FirstConvolution(NamedTuple):
    """The convolution that is registered first: mostly the one that sees the image."""

    name: str
    channels: int


def first_convolution(module: nn.Module) -> FirstConvolution | None:
    """Its name and the channels it takes; None in a network without convolutions of images."""
    for name, part in named_modules(module).items():
        if isinstance(part, nn.Conv2d) and not isinstance(part, nn.LazyConv2d):
            return FirstConvolution(name, part.in_channels)
    return None


def said_size(module: nn.Module) -> tuple[int, int] | None:
    """(h, w) of the images that the network itself says it takes, in the attributes that common libraries set."""
    stated: Any = module
    for name in ("pretrained_cfg", "default_cfg"):
        config = getattr(stated, name, None)
        if isinstance(config, Mapping) and (size := _size(tuple(config.get("input_size") or ())[-2:])):
            return size
    return next(
        (size for name in ("image_size", "img_size", "input_size") if (size := _size(getattr(stated, name, 0)))), None
    )


def _size(value: object) -> tuple[int, int] | None:
    sides = (value, value) if isinstance(value, int) else value
    if (
        not isinstance(sides, list | tuple)
        or len(sides) != 2
        or not all(type(side) is int and side > 0 for side in sides)
    ):
        return None
    return sides[0], sides[1]
