"""DeepLIFT's rescale rule at the level of operations: differences to a reference instead of derivatives.

Two images go through the network as one batch, x and its reference b. Where an operation is not linear, the backward
pass takes the slope between the two, Δy / Δx, instead of the derivative at x; what is linear keeps its derivative.
The differences at the input then sum to the difference of the scores, operation by operation:

    relu, gelu, …      Δy / Δx of each number; the derivative where Δx is no more than rounding
    a · b              Δ(ab) = b̄ Δa + ā Δb, with means over the two (squeeze-excite, gates)
    max pooling        Δy goes to the place of the larger maximum, as in DeepLIFT's own implementation
    layer norm         its parts: mean, square, inverse root, product
    norm, normalize    their parts: square, root, quotient; of Euclidean lengths

Functions, reused modules and in-place operations are seen like everything else, because no module is looked at.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from foveal.engine.rules.kept import kept
from foveal.engine.rules.mode import Handler, RulesMode, carries, pulled

# The first half of every batch is x, the second its reference.


class Rescale(RulesMode):
    """In which a forward of [x, b] has to run; the gradient of the score of x then is DeepLIFT's multiplier."""

    def rule(self, name: str) -> Handler | None:
        return _RULES.get(name)


def elementwise(func: Any, args: Any, kwargs: Any) -> Any:
    """The slope Δy / Δx of an activation function, number by number, in place of its derivative.

    Where other arguments carry a graph too, the derivative stays.
    """
    x, rest = args[0], args[1:]
    if carries(rest):
        return func(*args, **kwargs)

    def again(x: Tensor) -> Tensor:
        return func(x, *rest, **kwargs)  # type: ignore[no-any-return]

    before, y = kept(x), again(x.detach())
    after = kept(y)
    steepness = cache(lambda: slope(again, before, after))  # the same for every backward pass
    return pulled(y, lambda G: torch.cat([G_ * steepness() for G_ in G.chunk(2)]), x)


def slope(func: Any, x: Tensor, y: Tensor) -> Tensor:
    """Δy / Δx, shaped like one half, or the derivative where Δx is no more than rounding."""
    (x1, x0), (y1, y0) = x.chunk(2), y.chunk(2)
    step = x1 - x0
    rounding = 32 * torch.finfo(x.dtype).eps * (x1.abs() + x0.abs())
    with torch.enable_grad():
        leaf = x1.clone().requires_grad_()
        (derivative,) = torch.autograd.grad(func(leaf).sum(), leaf)
    return torch.where(step.abs() > rounding, (y1 - y0) / torch.where(step == 0, 1, step), derivative)


def as_it_is(func: Any, args: Any, kwargs: Any) -> Any:
    """A linear operation, whose derivative already is its multiplier."""
    return func(*args, **kwargs)


def convolution(func: Any, args: Any, kwargs: Any) -> Any:
    """A linear operation whose backward pass is not spent on the reference, to which nothing is attributed."""
    x, weight, *rest = args
    if carries((weight, *rest)) or carries([*kwargs.values()]) or x.ndim != weight.ndim or len(x) % 2:
        return func(*args, **kwargs)
    x1, x0 = x[: len(x) // 2], x[len(x) // 2 :]  # what `chunk` gives may not be written into
    return torch.cat([func(x1, weight, *rest, **kwargs), func(x0.detach(), weight, *rest, **kwargs)])


def product(func: Any, args: Any, kwargs: Any) -> Any:
    """a · b with Δ(ab) = b̄ Δa + ā Δb; linear where only one of the two depends on the image."""
    a, b = args[:2]
    if not (carries(a) and carries(b)):
        return func(*args, **kwargs)

    a_, b_ = kept(a), kept(b)

    def pullback(G: Tensor) -> tuple[Tensor, Tensor]:
        return (G * middle(b_)).sum_to_size(a_.shape), (G * middle(a_)).sum_to_size(b_.shape)

    return pulled(a.detach() * b.detach(), pullback, a, b)


def middle(x: Tensor) -> Tensor:
    """The mean of x and its reference, for both halves."""
    x1, x0 = x.chunk(2)
    mean = (x1 + x0) / 2
    return torch.cat([mean, mean])


def quotient(func: Any, args: Any, kwargs: Any) -> Any:
    """a / b as a · (1 / b); linear where b does not depend on the image."""
    a, b = args[:2]
    if not carries(b):
        return func(*args, **kwargs)
    return product(torch.mul, (a, elementwise(torch.reciprocal, (b,), {})), {})


def inverse_quotient(func: Any, args: Any, kwargs: Any) -> Any:
    """The quotient whose arguments come in the other order: `Tensor.__rdiv__`."""
    return quotient(torch.div, (args[1], args[0]), kwargs)


def softmax(func: Any, args: Any, kwargs: Any) -> Any:
    """Softmax in its parts: exponentials, number by number, over their sum."""
    x = args[0]
    axis = kwargs.get("dim", args[1] if len(args) > 1 else None)
    if axis is None:
        return func(*args, **kwargs)
    x1, x0 = x.detach().chunk(2)
    top = torch.maximum(x1, x0).amax(axis, keepdim=True)  # the same for both, so it changes neither
    e = elementwise(torch.exp, (x - torch.cat([top, top]),), {})
    return quotient(torch.div, (e, e.sum(axis, keepdim=True)), {})


def logsumexp(func: Any, args: Any, kwargs: Any) -> Any:
    """log Σ exp in its parts: exponentials and logarithm, number by number."""
    x, axis, keepdim = _logsumexp_arguments(*args, **kwargs)
    x1, x0 = x.detach().chunk(2)
    top = torch.maximum(x1, x0).amax(axis, keepdim=True)  # the same for both, so it changes neither
    e = elementwise(torch.exp, (x - torch.cat([top, top]),), {}).sum(axis, keepdim=True)
    y = elementwise(torch.log, (e,), {}) + torch.cat([top, top])
    return y if keepdim else y.sum(axis)  # over the one that is left


def layer_norm(func: Any, args: Any, kwargs: Any) -> Any:
    """Layer normalization in its parts: mean, square, inverse root and product."""
    return _normalized(*args, **kwargs)


def _normalized(
    input: Tensor, normalized_shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    axes = tuple(range(-len(normalized_shape), 0))
    centered = input - input.mean(axes, keepdim=True)
    variance = product(torch.mul, (centered, centered), {}).mean(axes, keepdim=True)
    y = product(torch.mul, (centered, elementwise(torch.rsqrt, (variance + eps,), {})), {})
    y = y if weight is None else y * weight
    return y if bias is None else y + bias  # type: ignore[no-any-return]


def length(func: Any, args: Any, kwargs: Any) -> Any:
    """A Euclidean norm in its parts: squares, number by number, and the root of their sum."""
    x, order, dim, keepdim = _norm_arguments(*args, **kwargs)
    if order not in (None, 2, "fro") or not carries(x):
        return func(*args, **kwargs)
    squares = product(torch.mul, (x, x), {})
    total = squares.sum() if dim is None else squares.sum(dim, keepdim=keepdim)
    return elementwise(torch.sqrt, (total,), {}) if dim is not None else func(*args, **kwargs)


def normalize(func: Any, args: Any, kwargs: Any) -> Any:
    """x / max(|x|, eps) in its parts."""
    x, order, dim, eps = _normalize_arguments(*args, **kwargs)
    if order != 2:
        return func(*args, **kwargs)
    norm = length(torch.linalg.vector_norm, (x,), {"dim": dim, "keepdim": True})
    return quotient(torch.div, (x, elementwise(torch.clamp, (norm, eps), {})), {})


def _norm_arguments(
    input: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, p: Any = None, **_rest: Any
) -> tuple[Tensor, Any, Any, bool]:
    return input, ord if p is None else p, dim, keepdim


def _logsumexp_arguments(input: Tensor, dim: Any, keepdim: bool = False) -> tuple[Tensor, Any, bool]:
    return input, dim, keepdim


def _normalize_arguments(
    input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, **_rest: Any
) -> tuple[Tensor, float, int, float]:
    return input, p, dim, eps


def max_pool(func: Any, args: Any, kwargs: Any) -> Any:
    """Max pooling: all of Δy goes to the place of the larger of the two maxima, and is divided by Δx there."""
    x = args[0]
    kwargs = {key: value for key, value in kwargs.items() if key != "return_indices"}
    pool = {3: F.max_pool1d_with_indices, 4: F.max_pool2d_with_indices, 5: F.max_pool3d_with_indices}[x.ndim]
    with torch.no_grad():
        y, places = pool(x, *args[1:], **kwargs)
    before, after, (p1, p0) = kept(x), kept(y), places.chunk(2)

    def put(values: Tensor, places: Tensor) -> Tensor:
        empty = torch.zeros_like(before.chunk(2)[0])
        return empty.flatten(2).scatter_add(2, places.flatten(2), values.flatten(2)).view_as(empty)

    def pullback(G: Tensor) -> Tensor:
        (x1, x0), (y1, y0) = before.chunk(2), after.chunk(2)
        top, step = torch.maximum(y1, y0), x1 - x0
        g = G.chunk(2)[0]
        shares = put(g * (top - y0), p1) + put(g * (y1 - top), p0)
        multiplier = torch.where(step == 0, put(g, p1), shares / torch.where(step == 0, 1, step))
        return torch.cat([multiplier, multiplier])

    return pulled(y, pullback, x)


_ELEMENTWISE = (
    "relu", "relu6", "hardtanh", "leaky_relu", "prelu", "elu", "selu", "celu", "gelu", "silu", "mish", "sigmoid",
    "tanh", "softplus", "hardswish", "hardsigmoid", "clamp", "clamp_min", "clamp_max", "exp", "log", "sqrt", "rsqrt",
    "reciprocal", "pow", "square", "abs", "threshold", "softsign", "logsigmoid",
)  # fmt: skip
_RULES: dict[str, Handler] = {
    **dict.fromkeys(_ELEMENTWISE, elementwise),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), convolution),
    **dict.fromkeys(("add", "sub"), as_it_is),  # out of place, so that nothing kept here is overwritten
    "mul": product,
    "div": quotient,
    "rdiv": inverse_quotient,
    "softmax": softmax,
    "logsumexp": logsumexp,
    **dict.fromkeys(("norm", "linalg_vector_norm", "linalg_norm"), length),
    "normalize": normalize,
    "layer_norm": layer_norm,
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool3d"), max_pool),
}
