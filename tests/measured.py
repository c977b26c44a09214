"""Where a cell lies, measured: the middle of what it depends on, in a network that weighs everything alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foveal.engine.layout import Layout, channels_first, find_layout


def even(model: nn.Module) -> nn.Module:
    """The same network with weights that are all alike and norms that do nothing: its fields are symmetric."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                module.weight.fill_(1 / module.weight[0].numel())
                if module.bias is not None:
                    module.bias.zero_()
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.weight.fill_(1)
                module.bias.zero_()
        for name, parameter in model.named_parameters():
            if name.endswith("layer_scale"):
                parameter.fill_(1)
    return model.double().eval()


@contextmanager
def linear() -> Iterator[None]:
    """No operation picks, gates or normalizes: maxima are means."""

    def mean(x: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
             ceil_mode: bool = False, return_indices: bool = False) -> Tensor:  # fmt: skip
        return F.avg_pool2d(x, kernel_size, stride, padding, ceil_mode)

    def same(x: Tensor, *_: Any, **__: Any) -> Tensor:
        return x

    def open_gate(x: Tensor, *_: Any, **__: Any) -> Tensor:
        return torch.ones_like(x)

    changed: dict[str, Any] = {
        "max_pool2d": mean, "layer_norm": same, "relu": same, "relu6": same, "hardtanh": same, "hardswish": same,
        "silu": same, "gelu": same, "hardsigmoid": open_gate,
    }  # fmt: skip
    with ExitStack() as block:
        for name, function in changed.items():
            block.enter_context(mock.patch.object(F, name, function))
        block.enter_context(mock.patch.object(torch, "sigmoid", open_gate))
        yield


def middle_of(
    model: nn.Module, x: Tensor, layer: str, cell: tuple[int, int], layout: Layout | None = "nchw"
) -> tuple[float, float] | None:
    """(y, x), the center of mass of |∂A[cell]/∂x|; None where it reaches the picture's edge, and so is cut there."""
    kept: list[Tensor] = []
    hook = model.get_submodule(layer).register_forward_hook(lambda _m, _i, output: kept.append(output))
    x = x.detach().double().requires_grad_()
    with linear():
        model(x)
    hook.remove()
    A = channels_first(kept[-1], layout or find_layout(kept[-1].shape, x.shape[2:]) or "nchw")
    (G,) = torch.autograd.grad(A[0, :, cell[0], cell[1]].sum(), x)
    mass = G.abs().sum((0, 1))
    mass = mass / mass.sum()
    border = torch.cat([mass[0], mass[-1], mass[:, 0], mass[:, -1]])
    if not bool(mass.isfinite().all()) or float(border.sum()) > 1e-4:
        return None
    y, x_ = (torch.arange(side).double() + 0.5 for side in mass.shape)
    return float((mass.sum(1) * y).sum()), float((mass.sum(0) * x_).sum())
