"""Whether a network has never been trained, as far as its batch norms show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

if TYPE_CHECKING:
    from torch import Tensor

UNTRAINED = (
    "every batch norm of the network is as it was built (mean 0, variance 1, weight 1, bias 0), so it seems that "
    "nothing was learned: load its trained weights, weights=…"
)


def untrained(module: nn.Module) -> tuple[str, ...]:
    """A remark on a network whose batch norms are all as they were built; nothing of one without batch norms.

    Training changes the mean and the variance with the first batch. A stored batch norm that is only an affine map has
    mean 0 and variance 1, too, but other weights.
    """
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm) and part.track_running_stats]
    return (UNTRAINED,) if norms and all(map(_as_built, norms)) else ()


def _as_built(norm: _BatchNorm) -> bool:
    zeros, ones = (norm.running_mean, norm.bias), (norm.running_var, norm.weight)
    return all(_is_filled(tensor, 0) for tensor in zeros) and all(_is_filled(tensor, 1) for tensor in ones)


def _is_filled(tensor: Tensor | None, value: float) -> bool:
    """Also where there is none."""
    return tensor is None or (not tensor.is_meta and bool((tensor == value).all()))
