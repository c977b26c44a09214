"""How large the result of an operation is, for those whose result lies on the same grid whatever the image's size.

The first cell of such a result and its step follow from the operation and from the first cell and the step of what it
is given: convolutions, pooling, padding, whatever treats each cell by itself, and means over a whole map. What
interpolates or reshapes maps is no such operation; of what pools to a given size, the size is known, and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeAlias

from foveal.engine.positions import Call, Where, is_elementwise, tensors_in
from foveal.engine.positions.regular import on_one_grid
from foveal.engine.windows import Window, pair

Shape: TypeAlias = "tuple[int, ...]"
SizeRule: TypeAlias = "Callable[[Call, Sequence[Shape]], Sequence[Shape]]"
"""(an operation that is to run, shapes of its results in another run) -> the shapes of its results."""


def size_rule(call: Call, after: Iterable[Where | None]) -> SizeRule | None:
    """None of an operation whose result may lie elsewhere when sizes change.

    Args:
        after: where its results lie.
    """
    rule = _rule(call)
    outputs = () if rule is to_a_size else after
    return rule if rule and on_one_grid([where for _, where in call.inputs], outputs) else None


def _rule(call: Call) -> SizeRule | None:
    name, out = call.name, call.out
    if name == "convolution":
        return _convolved if out.ndim == 4 and not call["transposed"] else None
    if name in _POOLS:
        return _pooled if out.ndim == 4 else None
    if name in _PADS:
        return _padded if out.ndim == 4 else None
    if name == "cat":
        return _joined if out.ndim == 4 and (call["dim"] or 0) % 4 == 1 else None
    if name in _MEANS or name in _ADAPTIVE:
        if _over_the_map(call):
            return _unchanged
        return to_a_size if name in _ADAPTIVE and out.ndim == 4 else None
    if name in _NORMS:
        return _normed if out.ndim == 4 else None
    return _alike if len(call.outputs) == 1 and is_elementwise(call.func) else None


_POOLS = {"max_pool2d", "max_pool2d_with_indices", "avg_pool2d"}
_PADS = {"constant_pad_nd", "reflection_pad2d", "replication_pad2d"}
_MEANS = {"mean", "sum", "amax", "amin"}
_ADAPTIVE = {"_adaptive_avg_pool2d", "adaptive_max_pool2d"}
_NORMS = {
    "native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm", "_native_batch_norm_legit_no_training",
    "_batch_norm_with_update",
}  # fmt: skip


def _over_the_map(call: Call) -> bool:
    """Whether nothing is left of rows and columns."""
    x = call.first
    if call.name in _ADAPTIVE:
        return tuple(call.out.shape[2:]) == (1, 1)
    return x.ndim == 4 and isinstance(call["dim"], list | tuple) and {dim % 4 for dim in call["dim"]} == {2, 3}


def _convolved(call: Call, before: Sequence[Shape]) -> Sequence[Shape]:
    x, weight, _, stride, padding, dilation = call.args[:6]
    sides = zip(x.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
    return [(len(x), len(weight), *((side + 2 * p - d * (k - 1) - 1) // s + 1 for side, k, s, p, d in sides))]


def _pooled(call: Call, before: Sequence[Shape]) -> Sequence[Shape]:
    x, kernel, border = call.first, pair(call["kernel_size"]), pair(call["padding"] or 0)
    stride, dilation = pair(call["stride"] or kernel), pair(call["dilation"] or 1)
    window = Window(kernel, stride, dilation, border, border, bool(call["ceil_mode"]))
    return [(*x.shape[:2], *window.cells(pair(x.shape[2:])))] * len(before)


def _padded(call: Call, before: Sequence[Shape]) -> Sequence[Shape]:
    pad = [*(call["pad"] or call["padding"]), *[0] * 8]
    return [tuple(side + pad[6 - 2 * dim] + pad[7 - 2 * dim] for dim, side in enumerate(call.first.shape))]


def _joined(call: Call, before: Sequence[Shape]) -> Sequence[Shape]:
    shapes = [tensor.shape for tensor in call["tensors"]]
    if len({(shape[0], *shape[2:]) for shape in shapes}) > 1:
        raise ValueError("maps of several sizes")
    return [(shapes[0][0], sum(shape[1] for shape in shapes), *shapes[0][2:])]


def _alike(call: Call, before: Sequence[Shape]) -> Sequence[Shape]:
    shapes = {tuple(tensor.shape) for tensor in tensors_in((*call.args, *call.kwargs.values()))}
    return [shapes.pop() if len(shapes) == 1 else _broadcast(shapes)]


def _broadcast(shapes: Collection[Shape]) -> Shape:
    """As `torch.broadcast_shapes`, which imports a thousand modules."""
    most = max(map(len, shapes))
    sides = zip(*((1,) * (most - len(shape)) + shape for shape in shapes), strict=True)
    wide = [{*side} - {1} for side in sides]
    if any(len(side) > 1 for side in wide):
        raise ValueError(f"shapes do not go together: {shapes}")
    return tuple(max(side, default=1) for side in wide)


def _normed(call: Call, before: Sequence[Shape]) -> Sequence[Shape]:
    return [tuple(call.first.shape), *before[1:]]


def to_a_size(call: Call, before: Sequence[Shape]) -> Sequence[Shape]:
    """Pooled to the same size as before; its cells lie elsewhere."""
    return before


def _unchanged(call: Call, before: Sequence[Shape]) -> Sequence[Shape]:
    return before
