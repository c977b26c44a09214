"""Whether row i of a map is about image i: by which rows of it the output about the first image depends on."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from foveal.engine.address import tensor_parts
from foveal.engine.arguments import Arguments
from foveal.engine.box_records import box_records
from foveal.engine.capture import capture
from foveal.errors import WARNINGS

Order: TypeAlias = Literal["own", "others", "all"]
"""The output about an image depends on its own row, on others' only, or on its own and others'."""

NOTHING = 1e-6  # of the largest derivative


def row_orders(
    model: nn.Module, x: Tensor, arguments: Arguments, layers: Sequence[str], known: dict[str, Order]
) -> Mapping[str, Order]:
    """Layer -> how its rows go with the images; what was not `known` is found out by two of them, and added."""
    new = [layer for layer in layers if layer not in known]
    if new and len(x) > 1:
        known |= dict.fromkeys(new, "own")  # also where no derivative says otherwise
        with suppress(Exception), WARNINGS, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the pass itself may warn
            known |= _found(model, x[:2], arguments.rows(0, 2), new)
    return known


def _found(model: nn.Module, x: Tensor, arguments: Arguments, layers: Sequence[str]) -> dict[str, Order]:
    with capture(model, layers) as run:
        output = run.forward(x, arguments)
        about_first = sum(part[0].float().square().sum() for part in _scores(output))
        if not isinstance(about_first, Tensor):
            return {}
        origins = dict(run.origins)
        gradients: tuple[Any, ...] = torch.autograd.grad(about_first, [*origins.values()], allow_unused=True)  # type: ignore[arg-type]
    return {at: _order(G) for at, G in zip(origins, gradients, strict=True) if G is not None and len(G) == len(x)}


def _scores(output: Any) -> list[Tensor]:
    """What of an output has a row an image, and a graph."""
    if records := box_records(output):
        return [part[None] for part in records[0].values() if part.requires_grad]
    parts = [output, *tree_leaves(output), *tensor_parts(output).values()]
    tensors = {id(part): part for part in parts if isinstance(part, Tensor) and part.requires_grad}
    return [part for part in tensors.values() if part.ndim and len(part) == 2 and part.is_floating_point()]


def _order(G: Tensor) -> Order:
    each = G.detach().abs().flatten(1).amax(1)
    own, others = float(each[0]), float(each[1:].amax())
    if others <= NOTHING * own or others == 0:
        return "own"
    return "others" if own <= NOTHING * others else "all"
