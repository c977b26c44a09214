"""The `no_trace` fixture sees every trace there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import NoTrace


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.ReLU())


@torch.no_grad()
def nudge(module: nn.Module) -> None:
    module[0].weight[0] *= 1 + 1e-6


TRACES: dict[str, Callable[[nn.Module], object]] = {
    "mode of one part": lambda m: m[1].eval(),
    "a weight, barely": nudge,
    "a buffer": lambda m: m[1].running_mean.add_(1),
    "requires_grad": lambda m: m[0].weight.requires_grad_(False),
    "a gradient": lambda m: m(torch.ones(2, 1, 2, 2)).sum().backward(),
    "a forward hook": lambda m: m[2].register_forward_hook(lambda *_: None),
    "a backward hook": lambda m: m[2].register_full_backward_hook(lambda *_: None),
    "a module replaced": lambda m: m.__setitem__(2, nn.ReLU()),
    "a forward replaced": lambda m: setattr(m[2], "forward", torch.relu),
    "a parameter replaced": lambda m: setattr(m[0], "weight", nn.Parameter(m[0].weight.detach().clone())),
    "another module": lambda m: m.append(nn.Identity()),
    "the random state": lambda _: torch.rand(1),
}


@pytest.mark.parametrize("trace", TRACES)
def test_sees(no_trace: NoTrace, trace: str) -> None:
    module = network()
    with pytest.raises(AssertionError), no_trace(module):
        TRACES[trace](module)


def test_accepts_what_was_put_back(no_trace: NoTrace) -> None:
    module = network()
    module[1].running_mean[0] = float("nan")
    with no_trace(module):
        module[0].weight.grad = torch.ones_like(module[0].weight)
        module[0].weight.grad = None
        module.eval()
        with torch.no_grad():
            module(torch.ones(1, 1, 2, 2))
        module.train()
        module[2].register_forward_hook(lambda *_: None).remove()
