"""Whether the numbers in a file of weights are of the kind a network computes with.

torch casts whatever a file holds: kernels kept as whole numbers, as truth values or as complex ones load without a
word, and the network decides otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from foveal.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn


def check_kinds(state: Mapping[str, Tensor], own: Mapping[str, Tensor], path: Path) -> None:
    """ModelError naming the first tensor whose numbers would become others when they are poured into the network."""
    for name, tensor in state.items():
        problem = _problem(tensor, own[name]) if name in own and own[name].shape == tensor.shape else None
        if problem:
            raise ModelError(f"The weights in {path} cannot be used: {name} {problem}.")


def soundness(module: nn.Module) -> tuple[str, ...]:
    """A remark on weights that are no numbers, of which nothing sensible can come."""
    if any(parameter.is_meta for parameter in module.parameters()):
        return ("the weights are on the meta device and have no values",)
    broken = [name for name, tensor in module.state_dict().items() if not _finite(tensor)]
    more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
    return (f"{broken[0]}{more} has values that are infinite or NaN",) if broken else ()


def _problem(stored: Tensor, own: Tensor) -> str | None:
    """What is wrong with numbers for a place in the network."""
    if stored.is_meta or stored.is_quantized or stored.layout != torch.strided:
        return f"is {_form(stored)} in the file; save ordinary tensors"
    if own.is_floating_point() and (not stored.is_floating_point() or stored.element_size() == 1):
        return f"is {_kind(stored)} in the file and {_kind(own)} in the network, which would give other decisions"
    if stored.is_complex() and not own.is_complex():
        return f"is {_kind(stored)} in the file and {_kind(own)} in the network, which would lose the imaginary part"
    if stored.dtype != own.dtype and not _survives(stored, own):
        return f"has values in the file ({_kind(stored)}) that {_kind(own)} of the network cannot hold"
    return None


def _survives(stored: Tensor, own: Tensor) -> bool:
    """Whether the values stay what they are but for rounding: nothing overflows, no fraction is cut off."""
    if own.device.type == "meta":
        return True
    cast = stored.to(own.dtype)
    if own.is_floating_point() or own.is_complex():
        return bool((torch.isfinite(cast) == torch.isfinite(stored)).all())
    return bool((cast.to(stored.dtype) == stored).all())


def _form(tensor: Tensor) -> str:
    return "without values" if tensor.is_meta else "quantized" if tensor.is_quantized else "sparse"


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _finite(tensor: Tensor) -> bool:
    plain = tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_meta
    return not plain or not tensor.is_floating_point() or bool(torch.isfinite(tensor.float()).all())
