"""Tensors that hold ordinary numbers in ordinary memory, and a sentence for all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from foveal.errors import ImageError
from foveal.storage.reading import reason

if TYPE_CHECKING:
    from numpy.typing import NDArray


def check_plain(tensor: Tensor) -> None:
    """ImageError for a tensor whose numbers cannot be looked at one by one."""
    problem = _problem(tensor)
    if problem:
        raise ImageError(f"Cannot read an image from {_described(tensor)}: {problem}.")


def values_of(tensor: Tensor) -> NDArray[Any]:
    """Its numbers as an array, wherever and however it holds them; half precision as single."""
    check_plain(tensor)
    try:
        plain = tensor.detach().cpu().resolve_neg()
        return np.asarray(plain.float() if plain.dtype in (torch.bfloat16, torch.float16) else plain)
    except (RuntimeError, NotImplementedError, TypeError) as error:
        raise ImageError(f"Cannot read an image from {_described(tensor)}: {reason(error)}.") from error


def _problem(tensor: Tensor) -> str | None:
    if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        return "it is inside torch.func (vmap, grad, jvp); call foveal outside of it"
    if tensor.is_meta:
        return "it is on the meta device and has no values; make it on a real one"
    if tensor.is_nested:
        return "it is nested; pass a list of tensors, or one that is padded"
    if tensor.is_quantized:
        return "it is quantized; pass tensor.dequantize()"
    if tensor.layout != torch.strided:
        return "it is not stored densely; pass tensor.to_dense()"
    if tensor.is_complex():
        return "it is complex; pass its real part or its absolute value"
    if tensor.is_floating_point() and tensor.element_size() == 1:
        return "its numbers have 8 bits, and networks do not run in 8 bits; pass tensor.float()"
    if _is_hollow(tensor):
        return f"a {type(tensor).__name__} has no values of its own; pass a plain tensor"
    return None


def _is_hollow(tensor: Tensor) -> bool:
    """Subclasses such as FakeTensor stand for values that are elsewhere or nowhere."""
    try:
        return type(tensor) is not Tensor and tensor.untyped_storage().device.type == "meta"
    except (RuntimeError, NotImplementedError):
        return True


def _described(tensor: Tensor) -> str:
    try:
        return f"a tensor of {tensor.dtype} {tuple(tensor.shape)}"
    except RuntimeError:  # nested ones have no shape
        return f"a tensor of {tensor.dtype}"
