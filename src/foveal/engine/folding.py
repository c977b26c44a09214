"""Batch normalization folded into the convolution before it: fewer walks through memory, the same numbers but for
rounding.

In evaluation, γ (W ∗ x + b − μ) / √(σ² + ε) + β is a convolution itself:

    W' = s W    b' = β + s (b − μ)    s = γ / √(σ² + ε)

The network is not touched: while it runs, its calls of such a convolution are given W' and b', and the normalization
that follows at once returns what it is given. Which ones do is learned by watching one forward.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

LOOKS = {
    Tensor.dim, Tensor.size, Tensor.numel, Tensor.is_contiguous, Tensor.is_floating_point,
    *(getattr(Tensor, name).__get__ for name in ("shape", "ndim", "dtype", "device", "requires_grad", "is_cuda")),
}  # fmt: skip
"""Calls that read no number of a tensor."""


class FoldingError(Exception):
    """The network does not call what it called when it was watched."""


@dataclass(frozen=True, eq=False)
class FoldedPair:
    """A convolution, and the normalization of what it gives, by their own tensors."""

    W: Tensor
    b: Tensor | None
    mean: Tensor
    var: Tensor
    gamma: Tensor | None
    beta: Tensor | None
    eps: float

    def folded(self) -> tuple[Tensor, Tensor]:
        """W' and b', computed in double precision."""
        s = (self.var.double() + self.eps).rsqrt()
        s = s if self.gamma is None else self.gamma.double() * s
        b = -self.mean.double() if self.b is None else self.b.double() - self.mean.double()
        b = s * b if self.beta is None else self.beta.double() + s * b
        W = (s[:, None, None, None] * self.W.double()).to(self.W)
        return W.contiguous(memory_format=torch.channels_last), b.to(self.W)


class Folding:
    """The folded convolutions of a network whose weights stay as they are.

    Args:
        pairs: what `pairs_of` found.
    """

    def __init__(self, pairs: Sequence[FoldedPair]) -> None:
        self._by_weight = {id(pair.W): (pair, *pair.folded()) for pair in pairs}

    @contextmanager
    def used(self) -> Iterator[None]:
        """A forward in here uses them.

        Raises:
            FoldingError: where the forward goes another way than the one that was watched.
        """
        mode = _Folded(self._by_weight)
        with mode:
            yield
        mode.ended()


def pairs_of(forward: Callable[[], object]) -> list[FoldedPair]:
    """The convolutions of a forward whose results go into a normalization at once, and nowhere else."""
    mode = _Watching()
    with mode:
        output = forward()
    return mode.pairs(output)


class _Watching(TorchFunctionMode):
    """Finds convolutions whose result goes into a normalization at once, and nowhere else."""

    def __init__(self) -> None:
        super().__init__()
        self._found: dict[int, FoldedPair | None] = {}
        self._inner: dict[int, tuple[Tensor, int]] = {}  # results that no one else may see
        self._calls: Counter[int] = Counter()
        self._last: tuple[Tensor, Any] | None = None

    def pairs(self, output: object) -> list[FoldedPair]:
        """What was found by a forward that returned this."""
        self._seen(output)
        return [pair for weight, pair in self._found.items() if pair and self._calls[weight] == 1]

    def __torch_function__(self, func: Any, types: Sequence[Any], args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in LOOKS:
            return func(*args, **kwargs)
        last, self._last = self._last, None
        normalized = last is not None and func is functional.batch_norm and args and args[0] is last[0]
        if not normalized:
            self._seen((args, kwargs))
        result = func(*args, **kwargs)
        if func is torch.conv2d and len(args) > 2:
            self._calls[id(args[1])] += 1
            self._last = result, args
        elif normalized and last:
            self._pair(last, named(args, kwargs))
        return result

    def _seen(self, given: object) -> None:
        """Somebody else has these tensors."""
        for leaf in tree_leaves(given):
            if id(leaf) in self._inner:
                self._found[self._inner[id(leaf)][1]] = None

    def _pair(self, last: tuple[Tensor, Any], norm: Mapping[str, Any]) -> None:
        result, conv = last
        weight = conv[1]
        pair = _pair(conv, norm)
        self._found[id(weight)] = pair
        self._inner[id(result)] = result, id(weight)


def named(args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a normalization by name."""
    names = "input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"
    defaults = {"weight": None, "bias": None, "training": False, "eps": 1e-5}
    return defaults | dict(zip(names, args, strict=False)) | dict(kwargs)


def _pair(conv: Sequence[Any], norm: Mapping[str, Any]) -> FoldedPair | None:
    """From the arguments of both, where they are those of modules in evaluation."""
    if norm["training"] or norm["running_mean"] is None or not isinstance(conv[1], nn.Parameter):
        return None
    own = (norm[name] for name in ("running_mean", "running_var", "weight", "bias", "eps"))
    return FoldedPair(conv[1], conv[2], *own)


class _Folded(TorchFunctionMode):
    """Runs folded convolutions."""

    def __init__(self, by_weight: dict[int, tuple[FoldedPair, Tensor, Tensor]]) -> None:
        super().__init__()
        self._by_weight = by_weight
        self._open: tuple[Tensor, FoldedPair] | None = None

    def ended(self) -> None:
        """The forward is over."""
        if self._open:
            raise FoldingError

    def __torch_function__(self, func: Any, types: Sequence[Any], args: Any = (), kwargs: Any = None) -> Any:
        if func in LOOKS:
            return func(*args, **(kwargs or {}))
        if self._open:
            result, pair = self._open
            follows = func is functional.batch_norm and args and args[0] is result
            if not follows or not _same(pair, named(args, kwargs or {})):
                raise FoldingError
            self._open = None
            return result
        if func is not torch.conv2d or len(args) < 3 or id(args[1]) not in self._by_weight:
            return func(*args, **(kwargs or {}))
        pair, W, b = self._by_weight[id(args[1])]
        result = func(args[0], W, b, *args[3:], **(kwargs or {}))
        self._open = result, pair
        return result


def _same(pair: FoldedPair, norm: Mapping[str, Any]) -> bool:
    own = {"running_mean": pair.mean, "running_var": pair.var, "weight": pair.gamma, "bias": pair.beta}
    return not norm["training"] and norm["eps"] == pair.eps and all(norm[name] is own[name] for name in own)
