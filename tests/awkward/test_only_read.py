"""Running statistics that are known to be only read are not copied; where they may be written, they are put back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.engine.guard import every_module
from foveal.engine.weights import STATISTICS, only_read, written_buffers

if TYPE_CHECKING:
    from tests.conftest import NoTrace


X = torch.linspace(-1, 1, 3 * 9 * 9).view(1, 3, 9, 9)


class Own(nn.BatchNorm2d):
    """Writes its statistics whatever its mode."""

    def forward(self, input: Tensor) -> Tensor:
        assert self.running_mean is not None
        self.running_mean.data.add_(1)
        return super().forward(input)


def network(norm: type[nn.BatchNorm2d] = nn.BatchNorm2d) -> nn.Sequential:
    torch.manual_seed(0)
    body = nn.Conv2d(3, 4, 3), norm(4), nn.ReLU()
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()


def own_forward(net: nn.Sequential) -> None:
    plain = net[1].forward

    def forward(x: Tensor) -> Any:
        net[1].running_var.data.mul_(2)
        return plain(x)

    net[1].forward = forward


def counting(net: nn.Sequential) -> Any:
    def count(*_: Any) -> None:
        net[1].running_mean.data.add_(1)

    return count


def hook(net: nn.Sequential) -> None:
    net[0].register_forward_hook(counting(net))


@pytest.mark.parametrize("kind", sorted(STATISTICS, key=str))
def test_statistics_are_read_and_not_written_in_evaluation_mode(kind: type[nn.BatchNorm2d]) -> None:
    dimensions = {nn.BatchNorm1d: 1, nn.BatchNorm3d: 3}.get(kind, 2)
    norm = kind(4).eval()
    before = {name: buffer.clone() for name, buffer in norm.named_buffers()}
    norm(torch.randn(2, 4, *[5] * dimensions))
    assert all(torch.equal(before[name], buffer) for name, buffer in norm.named_buffers())


def test_what_is_only_read_is_not_copied() -> None:
    assert not written_buffers(every_module(network()))
    assert len(written_buffers(every_module(network(Own)))) == 3


@pytest.mark.parametrize("spoil", [own_forward, hook])
def test_what_a_person_put_into_a_known_network_may_write(spoil: Any, no_trace: NoTrace) -> None:
    net = network()
    spoil(net)
    assert not only_read(every_module(net))
    with no_trace(net):
        foveal.explain(net, X, 1)


def test_a_hook_on_every_module_may_write(no_trace: NoTrace) -> None:
    net = network()
    handle = nn.modules.module.register_module_forward_hook(counting(net))
    try:
        with no_trace(net):
            foveal.explain(net, X, 1)
    finally:
        handle.remove()


def test_a_norm_of_ones_own_is_put_back(no_trace: NoTrace) -> None:
    net = network(Own)
    with no_trace(net):
        foveal.explain(net, X, 1)
