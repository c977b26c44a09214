"""Inverting a block for the neurons that are kept: the smallest x with K J x = K t. Specification: NAFlow, section 5.

K keeps the rows of neurons that take part; the others are removed as equations, not set to zero as targets. Where a
closed form is known it is used; else the system is solved without ever being written out, by CGLS (conjugate gradients
on the normal equations; Björck, 1996, section 7.4), all images at once, each with its own steps and its own end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.engine.block import Block

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

SMALL = 2e9  # multiplications that dense least squares may take


@dataclass(frozen=True)
class Solved:
    """A solution, and how good it is.

    Attributes:
        x: (n, …).
        residual: (n,), ‖K (J x − t)‖ / ‖K t‖.
        iterations: (n,), 0 for a closed form.
    """

    x: Float[Tensor, "n ..."]
    residual: Float[Tensor, " n"]
    iterations: Float[Tensor, " n"]


def invert(
    block: Block,
    keep: Bool[Tensor, "n ..."],
    target: Float[Tensor, "n ..."],
    *,
    iterations: int,
    tolerance: float,
    damping: float = 0.0,
) -> Solved:
    """The x of smallest norm that minimizes ‖K (J x − target)‖² + damping ‖x‖².

    Args:
        keep: like y; the rows that count.
        target: like y.
        iterations: at most; few of them regularize.
        tolerance: of ‖Jᵀ K r‖ relative to its start, at which an image is done.
    """
    t = torch.where(keep, target, 0).to(torch.promote_types(target.dtype, torch.float32))
    if not damping and block.module is not None:
        x = closed_form(block.module, block, keep, t)
        if x is not None:
            residual = _norm(torch.where(keep, block.jvp(x) - t, 0)) / _norm(t).clamp(min=_tiny(t))
            return Solved(x, residual, torch.zeros_like(residual))
    return cgls(block, keep, t, iterations=iterations, tolerance=tolerance, damping=damping)


def cgls(
    block: Block,
    keep: Bool[Tensor, "n ..."],
    t: Float[Tensor, "n ..."],
    *,
    iterations: int,
    tolerance: float,
    damping: float = 0.0,
) -> Solved:
    """The same by conjugate gradients from x = 0: one `jvp` and one `vjp` an iteration."""
    x = torch.zeros_like(block.x, dtype=t.dtype)
    r = t
    s = block.vjp(r)
    p, size = s, _square(s)
    start = size.sqrt()
    count = torch.zeros_like(start)
    for _ in range(iterations):
        active = size.sqrt() > tolerance * start
        if not bool(active.any()):
            break
        q = torch.where(keep, block.jvp(p), 0)
        curvature = _square(q) + damping * _square(p)
        step = torch.where(active & (curvature > 0), size / curvature.clamp(min=_tiny(size)), 0)
        x = x + _each(step, x) * p
        r = r - _each(step, r) * q
        s = block.vjp(r) - damping * x
        new = _square(s)
        p = s + _each(torch.where(active, new / size.clamp(min=_tiny(size)), 0), p) * p
        size = torch.where(active, new, size)
        count = count + active.to(count)
    return Solved(x, _norm(r) / _norm(t).clamp(min=_tiny(t)), count)


# --- closed forms ---


def closed_form(
    module: nn.Module, block: Block, keep: Bool[Tensor, "n ..."], t: Float[Tensor, "n ..."]
) -> Tensor | None:
    """The solution for linear modules of which it is known; None for others. `t` is zero where `keep` is not."""
    if is_plain(module, nn.MaxPool2d):
        assert isinstance(module, nn.MaxPool2d)
        return _unpooled(module, block.x, keep, t)
    cells = _averaged(module, block)
    if cells is not None:
        return cells * block.vjp(t)  # J Jᵀ = 1 / cells
    if is_plain(module, *REARRANGING):
        return block.vjp(t)  # J Jᵀ = 1
    weight = _matrix(module)
    if weight is None:
        return None
    rows, flat = _rows(keep, module), _rows(t, module)
    if t.device.type != "cpu" or len(flat) * weight.numel() * min(weight.shape) > SMALL:
        return None
    # Rows that do not count are zero rows: their equations say 0 = 0.
    matrices = rows[:, :, None] * weight.to(t.dtype)
    solution = torch.linalg.lstsq(matrices, flat[:, :, None], driver="gelsd").solution[:, :, 0]
    return _unrowed(solution, block.x, module)


REARRANGING = (nn.Flatten, nn.Unflatten, nn.Identity, nn.Dropout, nn.Dropout2d, nn.PixelShuffle, nn.ChannelShuffle)


def pointwise(module: nn.Module, x: Tensor, y: Tensor, B: Tensor) -> Tensor | None:
    """The x that gives B in a module that works number by number; None for other modules.

    Where the module is not injective (GELU, SiLU, …) the tangent at the forward's x stands for it, with a slope kept
    away from 0; normalizations keep the forward's statistics.
    """
    for kinds, inverse in _POINTWISE.items():
        if is_plain(module, *kinds):
            return inverse(module, x, y, B)
    return None


def is_plain(module: nn.Module, *kinds: type[nn.Module]) -> bool:
    """Whether a module is of one of these kinds and does what they do: subclasses may do more."""
    return any(isinstance(module, kind) and type(module).forward is kind.forward for kind in kinds)


def _same(module: nn.Module, x: Tensor, y: Tensor, B: Tensor) -> Tensor:
    return B


def _leaky(module: nn.LeakyReLU, x: Tensor, y: Tensor, B: Tensor) -> Tensor:
    return torch.where(B < 0, B / module.negative_slope, B) if module.negative_slope else B


def _prelu(module: nn.PReLU, x: Tensor, y: Tensor, B: Tensor) -> Tensor:
    slope = module.weight.view(1, -1, *[1] * (B.ndim - 2)) if module.weight.numel() > 1 else module.weight
    return torch.where((B < 0) & (slope != 0), B / torch.where(slope == 0, 1, slope), B)


def _elu(module: nn.ELU, x: Tensor, y: Tensor, B: Tensor) -> Tensor:
    share = (B / module.alpha).clamp(min=-1 + _step(B))
    return torch.where(B < 0, torch.log1p(share), B)


def _sigmoid(module: nn.Sigmoid, x: Tensor, y: Tensor, B: Tensor) -> Tensor:
    return torch.logit(B, eps=_step(B))


def _tanh(module: nn.Tanh, x: Tensor, y: Tensor, B: Tensor) -> Tensor:
    return torch.atanh(B.clamp(-1 + _step(B), 1 - _step(B)))


def _tangent(module: nn.Module, x: Tensor, y: Tensor, B: Tensor) -> Tensor:
    with torch.enable_grad():
        at = x.detach().clone().requires_grad_()
        # Its hooks are the run's business and must not hear of this; it may work in place.
        (slope,) = torch.autograd.grad(module.forward(at.clone()).sum(), at)
    away = torch.where(slope < 0, slope.clamp(max=-0.1), slope.clamp(min=0.1))
    return x + (B - y) / away


def _batch_norm(module: nn.BatchNorm2d, x: Tensor, y: Tensor, B: Tensor) -> Tensor | None:
    if module.running_mean is None or module.running_var is None:
        return None  # it looks at the whole batch
    shape = (1, -1, *[1] * (B.ndim - 2))
    scale = (module.running_var + module.eps).rsqrt()
    scale = (scale if module.weight is None else scale * module.weight).view(shape)
    offset = 0 if module.bias is None else module.bias.view(shape)
    restored = (B - offset) / torch.where(scale == 0, 1, scale) + module.running_mean.view(shape)
    return torch.where(scale == 0, x, restored)


_POINTWISE: dict[tuple[type[nn.Module], ...], Callable[[Any, Tensor, Tensor, Tensor], Tensor | None]] = {
    (nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Identity, nn.Dropout, nn.Dropout2d): _same,
    (nn.LeakyReLU,): _leaky,
    (nn.PReLU,): _prelu,
    (nn.ELU,): _elu,
    (nn.Sigmoid,): _sigmoid,
    (nn.Tanh,): _tanh,
    (nn.GELU, nn.SiLU, nn.Hardswish, nn.Mish, nn.Softplus, nn.Hardsigmoid): _tangent,
    (nn.BatchNorm2d, nn.BatchNorm1d): _batch_norm,
}


def _unpooled(module: nn.MaxPool2d, x: Tensor, keep: Tensor, t: Tensor) -> Tensor:
    """Each kept value at the place it came from; where windows share a place, the largest kept value."""
    _, index = functional.max_pool2d(
        x, module.kernel_size, module.stride, module.padding, module.dilation, module.ceil_mode, return_indices=True
    )
    flat = torch.full_like(x, -torch.inf).flatten(2)
    source = torch.where(keep, t, -torch.inf).flatten(2)
    flat = flat.scatter_reduce(2, index.flatten(2), source, "amax", include_self=True)
    return torch.where(flat.isfinite(), flat, 0).view_as(x)


def _averaged(module: nn.Module, block: Block) -> int | None:
    """How many cells each mean is over, where no two means share one."""
    if isinstance(module, nn.AdaptiveAvgPool2d) and is_plain(module, nn.AdaptiveAvgPool2d):
        (h, w), (a, b) = block.x.shape[-2:], block.y.shape[-2:]
        return (h // a) * (w // b) if h % a == 0 and w % b == 0 else None
    if isinstance(module, nn.AvgPool2d) and is_plain(module, nn.AvgPool2d):
        size, stride = _pair(module.kernel_size), _pair(module.stride)
        plain = _pair(module.padding) == (0, 0) and not module.ceil_mode and module.divisor_override is None
        return size[0] * size[1] if plain and size == stride else None
    return None


def _matrix(module: nn.Module) -> Tensor | None:
    """(out, in) of a linear layer, or of a convolution that looks at one place."""
    if isinstance(module, nn.Linear) and is_plain(module, nn.Linear):
        weight: Tensor = module.weight
        return weight
    if (
        not isinstance(module, nn.Conv2d)
        or not is_plain(module, nn.Conv2d)
        or module.groups != 1
        or isinstance(module.padding, str)
    ):
        return None
    alone = {module.kernel_size, module.stride} == {(1, 1)} and tuple(module.padding) == (0, 0)
    return module.weight.flatten(1) if alone else None


def _rows(tensor: Tensor, module: nn.Module) -> Tensor:
    """(places of all images, channels)."""
    return tensor.movedim(1, -1).flatten(0, -2) if isinstance(module, nn.Conv2d) else tensor.flatten(0, -2)


def _unrowed(rows: Tensor, like: Tensor, module: nn.Module) -> Tensor:
    if isinstance(module, nn.Conv2d):
        n, c, h, w = like.shape
        return rows.view(n, h, w, c).movedim(-1, 1)
    return rows.view_as(like)


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _each(values: Float[Tensor, " n"], like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.ndim - 1))


def _square(tensor: Tensor) -> Float[Tensor, " n"]:
    return tensor.flatten(1).square().sum(1)


def _norm(tensor: Tensor) -> Float[Tensor, " n"]:
    return _square(tensor).sqrt()


def _tiny(tensor: Tensor) -> float:
    return float(torch.finfo(tensor.dtype).tiny)


def _step(tensor: Tensor) -> float:
    return float(torch.finfo(tensor.dtype).eps)
