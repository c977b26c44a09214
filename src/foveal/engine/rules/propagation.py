"""A forward whose backward propagates relevance, through whatever the model does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from foveal.engine.rules.contributions import Operation
from foveal.engine.rules.kept import kept
from foveal.engine.rules.linear import LinearRule, same_sign
from foveal.engine.rules.mode import Handler, RulesMode, carries, plain_name, pulled
from foveal.engine.rules.operation import CONVOLUTIONS, TRANSPOSED, affine, convolution, dense, transposed_convolution
from foveal.engine.rules.vocabulary import BENDS, CONSERVING, CONSTANTS
from foveal.engine.rules.witness import Origin
from foveal.engine.tensor_map import TensorMap
from foveal.errors import MethodError


class Propagation(RulesMode):
    """One forward whose backward propagates relevance, and an account of what is lost."""

    counts = True

    def __init__(self, convolutions: LinearRule, dense: LinearRule, *, same_sign: bool) -> None:
        super().__init__()
        self._convolutions, self._dense, self._same_sign = convolutions, dense, same_sign
        self._ledger = _Ledger()
        self._constants: list[str] = []
        self._weighing_since = 0
        # Convolutions whose output nobody has used yet: a batch normalization may follow and becomes part of them.
        self._open: TensorMap[Any] = TensorMap()

    def rule(self, name: str) -> Handler | None:
        handler = self._HANDLERS.get(name)
        if handler is None and name not in CONSERVING:
            raise _without_rule(name)
        return partial(handler, self) if handler else None

    def lost(self, n: int) -> Tensor | None:
        return self._ledger.total(n)

    def blocked(self) -> str | None:
        if not self._constants:
            return None
        last = self._constants[-1]
        if self._weighing_since:
            return f"relevance has no rule for {last} between layers, which this network uses: {_REMEDY}"
        return f"relevance cannot pass {last}, which computes this network's output: explain the logits before it"

    def notes(self, ends: Sequence[Tensor], origins: Sequence[Origin]) -> list[str]:
        if unmet := self.witness.unmet(ends, origins):
            raise _without_rule(unmet[0])
        names = ", ".join(dict.fromkeys(self._constants))
        return [f"treated as constants, so their inputs get no relevance: {names}"] if names else []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self._constants and plain_name(getattr(func, "__name__", "")) in WEIGHING:
            self._weighing_since += 1
        return super().__torch_function__(func, types, args, kwargs)

    def _convolve(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        return self._weighted(*convolution(*args, **kwargs), self._convolutions)

    def _convolve_transposed(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        return self._weighted(*transposed_convolution(*args, **kwargs), self._convolutions, closed=True)

    def _linear(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        x, op = dense(*args, **kwargs)
        return self._weighted(x, op, self._rule_of(x))

    def _weighted(
        self, x: Tensor, op: Operation, rule: LinearRule, y: Tensor | None = None, *, closed: bool = False
    ) -> Tensor:
        """y = W x + b with the rule for its backward."""
        if op.weight.requires_grad:
            raise _two_features("a layer whose weights are computed from the image")
        before = kept(x)
        value = op.forward(before, op.weight, op.bias) if y is None else y
        after, lose, epsilon = kept(value), self._ledger.lose, rule.stabilizer(value)
        result = pulled(value, lambda G: rule.pullback(op, before, after, G, lose, epsilon), x)
        self.kept.made(result, after)
        if not closed and y is None:
            self._open[result] = (x, op, rule)
        return result

    def _batch_norm(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        names = _TORCH_BATCH_NORM if func is torch.batch_norm else _BATCH_NORM
        given = dict(zip(names, _arguments(names, args, kwargs), strict=True))
        x, mean, variance, weight, bias, training, _, eps = (given[name] for name in _BATCH_NORM)
        if training or mean is None:
            return self._normalized(func, args, kwargs, [0, *range(2, x.ndim)], weight, bias, eps, channel=1)
        scale, shift = affine(mean, variance, weight, bias, eps)
        y = func(x.detach(), *args[1:], **{key: value for key, value in kwargs.items() if key != "input"})
        if x in self._open:
            source, op, rule = self._open[x]
            return self._weighted(source, op.scaled(scale, shift), rule, y)
        return self._scaled(x, y, scale, shift)

    def _scaled(self, x: Tensor, y: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """scale ⊙ x + shift on its own: each output has one input and its offset."""
        shape = [1, -1] + [1] * (x.ndim - 2)
        scale, shift, lose = scale.view(shape), shift.view(shape), self._ledger.lose
        if self._convolutions.kind == "epsilon":
            offset = shift

            def pullback(G: Tensor) -> Tensor:
                lose(G * offset)
                return G * scale

            return pulled(y, pullback, x)
        before, after = kept(x), kept(y)

        def pullback_same_sign(G: Tensor) -> Tensor:
            part, rest = same_sign([before * scale, shift.expand_as(before)], after, G)
            lose(rest * shift)
            return part * scale

        result = pulled(y, pullback_same_sign, x)
        self.kept.made(result, after)
        return result

    def _layer_norm(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        _, shape, weight, bias, eps = _arguments(_LAYER_NORM, args, kwargs)
        return self._normalized(func, args, kwargs, list(range(-len(shape), 0)), weight, bias, eps, channel=None)

    def _normalized(
        self,
        func: Any,
        args: Any,
        kwargs: Any,
        dims: list[int],
        weight: Tensor | None,
        bias: Tensor | None,
        eps: float,
        *,
        channel: int | None,
    ) -> Tensor:
        """(x − mean) / deviation ⊙ w + b with the deviation taken as a constant: then it is linear."""
        x = _arguments(("input",), args[:1], kwargs)[0]
        before, lose = x.detach(), self._ledger.lose
        y = func(
            *(before if value is x else value for value in args), **kwargs | ({"input": before} if not args else {})
        )
        rate = torch.rsqrt(before.var(dims, unbiased=False, keepdim=True) + eps)
        shape = [1, -1] + [1] * (x.ndim - 2) if channel == 1 else None
        w, b = (None if v is None else v if shape is None else v.view(shape) for v in (weight, bias))

        def pullback(G: Tensor) -> Tensor:
            if b is not None:
                lose(G * b)
            scaled = G if w is None else G * w
            return (scaled - scaled.mean(dims, keepdim=True)) * rate

        return pulled(y, pullback, x)

    def _group_norm(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        x, groups, weight, bias, eps = _arguments(_GROUP_NORM, args, kwargs)
        grouped = x.reshape(len(x), groups, -1)
        whole = (grouped - grouped.mean(2, keepdim=True)) * torch.rsqrt(
            grouped.detach().var(2, unbiased=False, keepdim=True) + eps
        )
        return self._affine(whole.view_as(x), weight, bias)

    def _instance_norm(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        x, _, _, weight, bias, use_input, _, eps = _arguments(_INSTANCE_NORM, args, kwargs)
        if not use_input:
            raise MethodError("relevance has no rule for instance_norm with running statistics; use hirescam")
        return self._group_norm(func, (x, x.shape[1], weight, bias, eps), {})

    def _affine(self, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        shape = [1, -1] + [1] * (x.ndim - 2)
        y = x if weight is None else x * weight.view(shape)
        if bias is None:
            return y
        return self._offset(y + bias.view(shape), bias.view(shape))

    def _normalize(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        x, p, dim, eps, _ = _arguments(_NORMALIZE, args, kwargs)
        return x / x.detach().norm(p, dim, keepdim=True).clamp_min(eps)  # type: ignore[no-any-return]

    def _add(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        """Sums and differences: what is constant in them is an offset."""
        a, b = _arguments(("input", "other"), args[:2], kwargs)
        signs = _SIGNS[plain_name(func.__name__)]
        alpha = kwargs.get("alpha", 1)
        both = carries(a) and carries(b)
        if both and self._same_sign and a.shape == b.shape:
            return self._sum(func(a.detach(), b.detach(), **kwargs), a, b, signs[0], signs[1] * alpha)
        result = func(*args, **kwargs)
        if both:
            return result  # type: ignore[no-any-return]
        offset = signs[1] * alpha * b if carries(a) else signs[0] * a
        return self._offset(result, offset)

    def _sum(self, y: Tensor, a: Tensor, b: Tensor, first: float, second: float) -> Tensor:
        after, left, right = kept(y), kept(a), kept(b)

        def pullback(G: Tensor) -> tuple[Tensor, ...]:
            gradients = same_sign([_times(first, left), _times(second, right)], after, G)
            return _times(first, gradients[0]), _times(second, gradients[1])

        result = pulled(y, pullback, a, b)
        self.kept.made(result, after)
        return result

    def _offset(self, y: Tensor, offset: Tensor | float) -> Tensor:
        lose = self._ledger.lose
        y.register_hook(lambda G: lose(G * offset))
        return y

    def _mul(self, func: Any, args: Any, kwargs: Any) -> Any:
        """A product of two features: the smaller one is the gate and counts as a constant."""
        a, b = args[:2]
        if carries(a) and carries(b):
            if a.numel() == b.numel():
                raise _two_features("a product of two features of the same size")
            a, b = (a.detach(), b) if a.numel() < b.numel() else (a, b.detach())
        return func(a, b, *args[2:], **kwargs)

    def _div(self, func: Any, args: Any, kwargs: Any) -> Any:
        a, b = args[:2]
        return func(a, b.detach() if isinstance(b, Tensor) else b, *args[2:], **kwargs)

    def _product(self, func: Any, args: Any, kwargs: Any) -> Any:
        """A linear map in other words: x @ W, W @ x, an Einstein sum of x and a constant, and what is added to it."""
        name = plain_name(func.__name__)
        carrying = [place for place, value in enumerate(args) if carries(value)]
        if len(carrying) + sum(map(carries, kwargs.values())) > 1:
            raise _two_features(f"{name} of two features, as in attention")
        added = name in ("addmm", "baddbmm")
        place, bias = carrying[0] if carrying else -1, args[0] if added else None
        others = [i for i in range(added, len(args)) if i != place and isinstance(args[i], Tensor)]
        readable = len(others) == 1 and not kwargs and place >= added and (bias is None or bias.ndim == 1)
        if not readable or not _images_lead(name, args, place):
            raise _without_rule(f"{name}, with these arguments")
        other = others[0]
        return self._weighted(args[place], _bilinear(func, args, place, other, bias), self._rule_of(args[place]))

    def _rule_of(self, x: Tensor) -> LinearRule:
        """Of a dense layer: on vectors the head's, on maps that of convolutions by 1×1."""
        return self._dense if x.ndim == 2 else self._convolutions

    def _constant(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Gates and statistics scale; what they are computed from gets no relevance."""
        self._constants.append(plain_name(func.__name__))
        self._weighing_since = 0
        with torch.no_grad():
            return func(*args, **kwargs)

    def _bent(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        return _bend(func, args, kwargs)

    # Plain functions: methods bound to this very object would keep it alive until the collector comes.
    _HANDLERS: ClassVar[dict[str, Callable[..., Any]]] = {
        **dict.fromkeys(CONVOLUTIONS, _convolve),
        **dict.fromkeys(TRANSPOSED, _convolve_transposed),
        "linear": _linear,
        "batch_norm": _batch_norm,
        "layer_norm": _layer_norm,
        "group_norm": _group_norm,
        "instance_norm": _instance_norm,
        "normalize": _normalize,
        "add": _add,
        "sub": _add,
        "rsub": _add,
        "mul": _mul,
        "div": _div,
        **dict.fromkeys(("matmul", "mm", "bmm", "addmm", "einsum", "baddbmm"), _product),
        **dict.fromkeys(BENDS, _bent),
        **dict.fromkeys(CONSTANTS, _constant),
    }


def _times(factor: float, values: Tensor) -> Tensor:
    return values if factor == 1 else factor * values


def _images_lead(name: str, args: Any, place: int) -> bool:
    """Whether the first axis of the argument at `place` is the first of the result, too."""
    if name != "einsum":
        return place < 2 and not (place == 1 and name in ("matmul", "mm", "rmatmul") and args[place].ndim < 3)
    given, _, made = str(args[0]).replace(" ", "").partition("->")
    operands = given.split(",")
    return len(operands) == len(args) - 1 and bool(made) and operands[place - 1][:1] == made[:1]


def _bilinear(func: Any, args: Any, place: int, other: int, bias: Tensor | None) -> Operation:
    """An operation that is linear in its argument at `place`, weighed by the one at `other`."""

    def product(x: Tensor, weight: Tensor) -> Tensor:
        given = {place: x, other: weight, **({} if bias is None else {0: torch.zeros_like(bias)})}
        result: Tensor = func(*(given.get(i, value) for i, value in enumerate(args)))
        return result

    def forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return product(x, weight) if bias is None else product(x, weight) + bias

    def transposed(s: Tensor, weight: Tensor, x: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad((product(leaf, weight) * s).sum(), leaf)
        return gradient

    return Operation(args[other], bias, forward, transposed, -1)


class _Ledger:
    """What offsets and stabilizers took, an entry a row."""

    def __init__(self) -> None:
        self._rows: list[Tensor] = []

    def lose(self, relevance: Tensor) -> None:
        self._rows.append(relevance.detach().flatten(1).sum(1))

    def total(self, n: int) -> Tensor:
        """(n,)

        Raises:
            MethodError: where an operation ran on some of the images alone, so that it is not known whose it is.
        """
        if any(len(rows) % n for rows in self._rows):
            raise MethodError(
                f"the relevance that biases take cannot be assigned to images, because the network does not run these "
                f"{n} images as one batch: explain one at a time"
            )
        lost = torch.zeros(n)
        for rows in self._rows:
            lost = lost.to(rows.device) + rows.reshape(n, -1).sum(1)
        return lost


def _bend(func: Any, args: Any, kwargs: Any) -> Tensor:
    """An activation function passes relevance through: G_x = G_y y / x."""
    before = args[0].detach()
    y = func(before, *args[1:], **kwargs)
    slope = torch.where(before == 0, 0, y / torch.where(before == 0, 1, before))
    return pulled(y, lambda G: G * slope, args[0])


def _arguments(names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """Values by name, given by place or by name; None where left out, except for the usual eps."""
    defaults = {"eps": 1e-5, "p": 2.0, "dim": 1, "training": False, "use_input_stats": True}
    if names is _NORMALIZE:
        defaults["eps"] = 1e-12
    given = dict(zip(names, args, strict=False)) | {key: value for key, value in kwargs.items() if key in names}
    return [given.get(name, defaults.get(name)) for name in names]


def _without_rule(operation: str) -> MethodError:
    return MethodError(f"relevance has no rule for the operation {operation!r}, which this network uses: {_REMEDY}")


def _two_features(what: str) -> MethodError:
    return MethodError(f"relevance has no rule for {what}, which this network uses: {_REMEDY}")


_REMEDY = "explain a layer after it, or use a method that follows the derivative, such as hirescam"
WEIGHING = {*CONVOLUTIONS, *TRANSPOSED, "linear", "matmul", "mm", "bmm", "addmm", "einsum", "baddbmm"}
_BATCH_NORM = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
_TORCH_BATCH_NORM = ("input", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps")
_INSTANCE_NORM = ("input", "running_mean", "running_var", "weight", "bias", "use_input_stats", "momentum", "eps")
_LAYER_NORM = ("input", "normalized_shape", "weight", "bias", "eps")
_GROUP_NORM = ("input", "num_groups", "weight", "bias", "eps")
_NORMALIZE = ("input", "p", "dim", "eps", "out")
_SIGNS = {"add": (1, 1), "sub": (1, -1), "rsub": (-1, 1)}
