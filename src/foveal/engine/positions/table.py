"""Which rule each operation has; there is none for what is not listed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import torch
from torch import Tensor

from foveal.engine.positions import moving, sums, windows
from foveal.engine.positions.axis import Along, UnknownPlaceError, nowhere
from foveal.engine.positions.where import Call, Where, plain_name

Rule: TypeAlias = "Callable[[Call, int], Along | Sequence[Along]]"
"""(call, axis of the image) -> where its output lies, or each of several."""

NAMES: dict[Rule, str] = {
    moving.elementwise: """
        _to_copy alias detach lift_fresh hardswish hardsigmoid hardshrink softshrink softplus threshold _prelu_kernel
        prelu rrelu_with_noise log_sigmoid_forward floor_divide masked_fill tril triu native_dropout
        fake_quantize_per_tensor_affine_cachemask _fake_quantize_learnable_per_tensor_affine""",  # not tagged as such
    moving.kept: """
        _softmax _log_softmax _safe_softmax native_layer_norm native_group_norm _fused_rms_norm batch_norm
        native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training _batch_norm_with_update
        _batch_norm_impl_index cudnn_batch_norm miopen_batch_norm
        _scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_flash_attention
        _scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention _scaled_dot_product_attention_math
        _scaled_dot_product_fused_attention_overrideable""",
    moving.within: "glu sort topk cumsum cumprod logcumsumexp",
    moving.copied: "copy",
    moving.emptied: "fill zero",
    moving.moved: """
        permute transpose t rot90 slice select expand split split_with_sizes unbind flip unfold index index_select
        gather index_put slice_scatter select_scatter""",
    moving.rolled: "roll",
    moving.rearranged: "repeat diagonal pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle",
    moving.padded: """
        constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d
        replication_pad1d replication_pad2d replication_pad3d""",
    moving.reshaped: "view _unsafe_view _reshape_alias reshape squeeze unsqueeze",
    moving.joined: "cat stack",
    windows.convolved: "convolution",
    windows.pooled: """
        max_pool2d max_pool2d_with_indices max_pool3d_with_indices avg_pool1d avg_pool2d avg_pool3d""",
    windows.patched: "im2col",
    windows.resized: """
        max_unpool2d _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d
        upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_linear1d upsample_bilinear2d
        upsample_bicubic2d upsample_trilinear3d _upsample_nearest_exact1d _upsample_nearest_exact2d
        _upsample_nearest_exact3d _upsample_bilinear2d_aa _upsample_bicubic2d_aa""",
    sums.multiplied: " ".join(sums.FACTORS),
    sums.reduced: """
        mean sum nansum amax amin max min var std var_mean std_mean prod norm linalg_vector_norm logsumexp
        any all argmax argmin count_nonzero""",
}
RULES: dict[str, Rule] = {name: rule for rule, names in NAMES.items() for name in names.split()}
FAILURES = (UnknownPlaceError, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""Whatever a rule stumbles over: it is not known then."""

MEETING = {moving.elementwise, moving.joined}
PLAIN = {moving.elementwise, moving.kept, moving.padded, windows.convolved, windows.pooled}


def after(call: Call) -> Sequence[Where]:
    """Where each output of an operation lies."""
    rule = _rule(call.func)
    lost = next((where.lost for tensor, where in call.inputs if where.lost and not _beside(tensor, call)), "")
    if lost or rule is None:
        return _unknown(call, lost or call.name)
    first = call.inputs[0][1]
    if rule is moving.elementwise and all(where is first for _, where in call.inputs) and first.axes[0].fits(call.out):
        return [first] * len(call.outputs)
    by = _by(call, rule)
    try:
        along = [_each(rule(call, k), call.outputs) for k in range(len(first.axes))]
    except FAILURES:
        return _unknown(call, call.name if rule in MEETING else by or call.name)
    if by == first.by and all(len(p) == 1 and p[0] is own for p, own in zip(along, first.axes, strict=True)):
        return [first]
    return [Where(axes, by=by) for axes in zip(*along, strict=True)]


def _by(call: Call, rule: Rule) -> str:
    """The operation to name where no place comes of this one."""
    before = next((where.by for _, where in call.inputs if where.by), "")
    harmless = rule in PLAIN or (rule is moving.reshaped and before) or call.name in ("permute", "transpose")
    return before if harmless else call.name


def _unknown(call: Call, lost: str) -> Sequence[Where]:
    axes = len(call.inputs[0][1].axes)
    return [Where.unknown(output.ndim, lost, axes) for output in call.outputs]


def _each(positions: Along | Sequence[Along], outputs: Sequence[Tensor]) -> Sequence[Along]:
    """What an operation gives beside its result, such as statistics, lies nowhere."""
    if not isinstance(positions, Along):
        if len(positions) != len(outputs):
            raise UnknownPlaceError
        return positions
    if not positions.fits(outputs[0]):
        raise UnknownPlaceError
    return [positions if positions.fits(output) else nowhere(output.ndim) for output in outputs]


def _beside(tensor: Tensor, call: Call) -> bool:
    """Whether it is a gate or a bias, with no cells of its own, of something larger."""
    vector = tensor.numel() == max(tensor.shape, default=1)
    return vector and any(other.numel() > tensor.numel() for other, _ in call.inputs)


def is_elementwise(func: Any) -> bool:
    """Whether it treats each element by itself."""
    return _rule(func) is moving.elementwise


@lru_cache(maxsize=1024)
def _rule(func: Any) -> Rule | None:
    name = plain_name(func)
    if name.endswith("_like") or name.startswith("new_"):
        return moving.emptied
    if name in RULES:
        # `max` of two tensors, and a view of the same bytes as other numbers, are something else.
        other = func._overloadname in ("other", "dtype")
        return RULES[name] if not other else moving.elementwise if torch.Tag.pointwise in func.tags else None
    return moving.elementwise if torch.Tag.pointwise in _tags(func) else None


def _tags(func: Any) -> Sequence[Any]:
    """Also of what writes into its argument."""
    packet = getattr(torch.ops.aten, plain_name(func), None)
    overload = getattr(packet, func._overloadname, None) if packet else None
    return [*func.tags, *(overload.tags if overload else ())]
