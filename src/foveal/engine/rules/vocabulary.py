"""Operations by what relevance does at them: pass a bend, stop at a constant, or need no rule at all."""

from __future__ import annotations

BENDS: tuple[str, ...] = (
    "silu",
    "gelu",
    "hardswish",
    "mish",
    "elu",
    "selu",
    "celu",
    "tanh",
    "softsign",
    "relu6",
    "hardtanh",
    "clamp",
)
BENDS += ("clamp_max", "minimum", "hardshrink", "softshrink", "tanhshrink")
CONSTANTS: tuple[str, ...] = (
    "sigmoid",
    "hardsigmoid",
    "softmax",
    "pow",
    "square",
    "sqrt",
    "rsqrt",
    "var",
    "std",
    "norm",
    "var_mean",
)
CONSTANTS += ("std_mean", "vector_norm", "reciprocal", "rdiv")
CONSERVING = frozenset(
    # piecewise linear, through the origin
    {
        "relu",
        "leaky_relu",
        "prelu",
        "rrelu",
        "clamp_min",
        "neg",
        "mean",
        "sum",
        "max",
        "amax",
        "maximum",
        "where",
        "fmax",
        "threshold",
        "masked_fill",
    }
    | {"avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"}
    | {"max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"}
    | {"lp_pool2d", "max_unpool2d", "fractional_max_pool2d", "max_pool2d_with_indices", "amin", "topk", "sort"}
    | {"interpolate", "upsample", "grid_sample", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "pad", "unfold"}
    | {"fold", "constant_pad_nd", "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout"}
    # the same numbers in another place
    | {"view", "view_as", "reshape", "reshape_as", "flatten", "unflatten", "permute", "transpose", "swapaxes", "t"}
    | {"squeeze", "unsqueeze", "expand", "expand_as", "repeat", "repeat_interleave", "movedim", "moveaxis", "ravel"}
    | {"cat", "concat", "concatenate", "stack", "hstack", "vstack", "split", "chunk", "tensor_split", "unbind"}
    | {"split_with_sizes", "getitem", "select", "narrow", "index_select", "gather", "take_along_dim", "roll", "flip"}
    | {"contiguous", "clone", "detach", "to", "float", "double", "half", "bfloat16", "type", "type_as", "cpu", "cuda"}
    | {"identity", "requires_grad", "retain_grad", "register_hook", "as_strided", "diagonal", "setitem", "copy"}
    # questions
    | {"get", "size", "dim", "numel", "ndimension", "stride", "len", "shape", "is_floating_point", "item", "tolist"}
    | {"is_contiguous", "is_complex", "element_size", "storage_offset", "data_ptr", "argmax", "argmin", "argsort"}
    | {"eq", "ne", "lt", "le", "gt", "ge", "isnan", "isfinite", "isinf", "all", "any", "new_zeros", "new_ones"}
    | {"new_empty", "new_full", "new_tensor", "zeros_like", "ones_like", "empty_like", "full_like", "hash", "format"}
    | {"repr", "is_same_size", "has_names", "get_device", "bool", "set", "zero", "fill"}
)
"""Operations that conserve relevance by themselves, and those that only ask or move things about."""
