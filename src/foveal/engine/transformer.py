"""Whether a network is a transformer: more layers attend than slide windows over a feature map."""

from __future__ import annotations

from torch import nn

from foveal.engine.guard import every_module

_PROJECTIONS = ("qkv", "query", "to_qkv", "to_q", "q_proj", "q", "in_proj", "c_attn")
"""What libraries call the layer that makes queries."""


def looks_like_transformer(model: nn.Module) -> bool:
    """Whether it has more attention layers than convolutions with windows of more than one position."""
    modules = every_module(model)
    if not any(issubclass(kind, nn.MultiheadAttention) or _named_so(kind) for kind in {*map(type, modules)}):
        return False
    attention = sum(_attends(module) for module in modules)
    windows = sum(isinstance(m, nn.modules.conv._ConvNd) and max(m.kernel_size) > 1 for m in modules)
    return attention > windows


def _attends(module: nn.Module) -> bool:
    return isinstance(module, nn.MultiheadAttention) or (
        _named_so(type(module)) and any(hasattr(module, name) for name in _PROJECTIONS)
    )


def _named_so(kind: type) -> bool:
    return "attention" in kind.__name__.lower()
