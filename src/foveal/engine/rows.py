"""Layers with more or fewer rows than there are images, of which nobody knows whose they are."""

from __future__ import annotations

from contextlib import suppress

from torch import Tensor, nn

from foveal.engine.address import INPUT
from foveal.engine.arguments import Arguments
from foveal.engine.stages import describe
from foveal.errors import FovealError, LayerError


class OtherRows(BaseException):
    """A layer has more or fewer rows than there are images. Not an Exception, so no model swallows it."""

    def __init__(self, layer: str, rows: int) -> None:
        super().__init__()
        self.layer, self.rows = layer, rows


def other_rows_error(other: OtherRows, model: nn.Module, module: str, x: Tensor, arguments: Arguments) -> LayerError:
    """What to say of a layer, of this module, whose rows are not the images'."""
    n, rows, layer = len(x), other.rows, other.layer
    remedy = f"choose a layer with one row per image, such as {INPUT!r}"
    with suppress(FovealError):
        structure = describe(model, x, arguments)
        if module in structure.layouts and n > 1:
            remedy = "explain one image at a time, because the network does not run these images as one batch"
        elif nearest := structure.nearest_spatial(module):
            remedy = f"choose a layer with one row per image, such as {nearest!r}"
    return LayerError(
        f"{layer or 'the output'} has {rows} row{'s' * (rows != 1)} for {n} image{'s' * (n != 1)}, so its "
        f"rows cannot be assigned to images: {remedy}"
    )
