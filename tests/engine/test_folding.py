"""Normalization that is folded into convolutions gives the same numbers, or is not folded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from foveal.engine.folding import Folding, FoldingError, pairs_of


class Net(nn.Module):
    """One convolution and its normalization, and what a subclass makes of them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)
        self.double()
        for number, tensor in enumerate((self.bn.running_mean, self.bn.running_var, self.bn.weight, self.bn.bias)):
            tensor.data = torch.rand(4, generator=torch.Generator().manual_seed(number)).double() + 0.5
        self.eval()

    def forward(self, x: Tensor) -> Any:
        return torch.relu_(self.bn(self.conv(x)))


class Added(Net):
    def forward(self, x: Tensor) -> Any:
        y = self.conv(x)
        return self.bn(y) + y


class Returned(Net):
    def forward(self, x: Tensor) -> Any:
        y = self.conv(x)
        return {"deep": self.bn(y), "shallow": y}


class Later(Net):
    def forward(self, x: Tensor) -> Any:
        return self.bn(self.conv(x).clone())


class Twice(Net):
    def forward(self, x: Tensor) -> Any:
        return self.bn(self.conv(x)) + self.conv(x)


@pytest.fixture
def x() -> Tensor:
    return torch.rand(2, 3, 9, 8, generator=torch.Generator().manual_seed(9)).double()


@torch.no_grad()
def test_a_folded_forward_gives_the_same(x: Tensor) -> None:
    net = Net()
    pairs = pairs_of(lambda: net(x))
    assert [pair.W is net.conv.weight for pair in pairs] == [True]
    with Folding(pairs).used():
        folded = net(x)
    torch.testing.assert_close(folded, net(x), rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_the_folded_convolution_is_the_formula(x: Tensor) -> None:
    net = Net()
    W, b = pairs_of(lambda: net(x))[0].folded()
    s = net.bn.weight / (net.bn.running_var + net.bn.eps).sqrt()
    torch.testing.assert_close(W, net.conv.weight * s[:, None, None, None])
    torch.testing.assert_close(b, net.bn.bias - s * net.bn.running_mean)


@pytest.mark.parametrize("kind", [Added, Returned, Later, Twice])
@torch.no_grad()
def test_what_somebody_else_sees_is_not_folded(kind: Callable[[], Net], x: Tensor) -> None:
    net = kind()
    assert not pairs_of(lambda: net(x))


@torch.no_grad()
def test_a_forward_in_training_is_not_folded(x: Tensor) -> None:
    net = Net().train()
    assert not pairs_of(lambda: net(x))


@pytest.mark.parametrize("change", ["path", "statistics", "eps", "training"])
@torch.no_grad()
def test_a_forward_that_goes_another_way_is_refused(change: str, x: Tensor) -> None:
    net = Net()
    folding = Folding(pairs_of(lambda: net(x)))
    if change == "path":
        net.forward = lambda x: net.conv(x).relu()  # type: ignore[method-assign]
    elif change == "statistics":
        net.bn.running_mean = torch.zeros(4).double()
    elif change == "eps":
        net.bn.eps = 0.1
    else:
        net.bn.train()
    with pytest.raises(FoldingError), folding.used():
        net(x)


@torch.no_grad()
def test_a_forward_that_ends_in_a_folded_convolution_is_refused(x: Tensor) -> None:
    net = Net()
    folding = Folding(pairs_of(lambda: net(x)))
    net.forward = net.conv.forward  # type: ignore[method-assign]
    with pytest.raises(FoldingError), folding.used():
        net(x)
