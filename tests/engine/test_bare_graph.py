"""A graph without its large tensors shows the same, and networks that follow their own graph back get a whole one."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from foveal.engine import stages
from foveal.engine.bare_graph import in_bare_graph
from foveal.engine.stages import describe
from foveal.errors import ModelError


class Branched(nn.Module):
    """A skip connection, a normalization, a layer that picks images, and an operation that a test chooses."""

    def __init__(self, own: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm, self.second = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, 1, 1)
        self.head, self.own, self.runs = nn.Linear(8, 3), own, 0

    def forward(self, x: Tensor) -> Tensor:
        self.runs += 1
        y = self.norm(self.first(x)).relu()
        y = self.own((y + self.second(y)).relu())[torch.arange(len(x))]
        return self.head(y.mean((2, 3)))


def own_gradient(y: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad((y**2).sum(), y, create_graph=True)
    return y + gradient


def functional_gradient(y: Tensor) -> Tensor:
    made: Tensor = torch.func.grad(lambda t: (t**3).sum())(y)
    return y * made


X = torch.linspace(-1, 1, 3 * 96 * 96).view(1, 3, 96, 96)


@pytest.mark.parametrize(("own", "runs"), [(nn.Identity(), 1), (own_gradient, 2), (functional_gradient, 2)])
def test_what_is_seen_is_the_same(own: Callable[[Tensor], Tensor], runs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    net = Branched(own).eval()
    whole = deepcopy(net)
    bare = describe(net, X)
    assert net.runs == runs
    monkeypatch.setattr(stages, "in_bare_graph", lambda trace: trace())
    other = describe(whole, X)
    assert whole.runs == 1
    assert str(bare.traced) == str(other.traced) and bare.traced
    assert (bare.shapes, bare.calls, bare.layouts) == (other.shapes, other.calls, other.layouts)
    for seen in ("along_images", "own_backwards", "embedding"):
        assert getattr(bare, seen) == getattr(other, seen)


def test_only_weights_and_indices_are_kept() -> None:
    x, weight = torch.ones(3, requires_grad=True), nn.Parameter(torch.tensor([2.0, 3.0, 4.0]), requires_grad=False)
    y, weighted, picked = in_bare_graph(lambda: (x.exp(), x * weight, x[torch.tensor([2])]))
    with pytest.raises(RuntimeError, match="has not kept"):
        y.sum().backward()
    (weighted.sum() + picked.sum()).backward()
    assert x.grad is not None and x.grad.tolist() == [2, 3, 5]


def test_an_error_of_the_network_is_told_once() -> None:
    tries: list[int] = []

    def fails() -> Tensor:
        tries.append(1)
        raise ModelError("no")

    with pytest.raises(ModelError, match="no"):
        in_bare_graph(fails)
    assert len(tries) == 1
