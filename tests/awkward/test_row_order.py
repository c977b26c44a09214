"""Networks that have a row an image, but in another order, or whose answers depend on the whole batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import foveal
from foveal.errors import LayerError

if TYPE_CHECKING:
    from tests.conftest import NoTrace

X = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
METHODS = ["gradcam", "hirescam", "scorecam:clusters=3", "eigencam", "ablationcam"]


class Net(nn.Module):
    def __init__(self, before: Callable[[Tensor], Tensor], after: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.trunk, self.fc = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU()), nn.Linear(6, 3)
        self.before, self.after = before, after

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.after(self.trunk(self.before(x)).mean((2, 3))))


def same(x: Tensor) -> Tensor:
    return x


MOVED: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "rolled": (lambda x: x.roll(1, 0), lambda y: y.roll(-1, 0)),
    "flipped": (lambda x: x.flip(0), lambda y: y.flip(0)),
    "indexed": (
        lambda x: x[torch.arange(len(x)).roll(1)],
        lambda y: y[torch.arange(len(y)).roll(-1)],
    ),
    "cat": (lambda x: torch.cat([x[1:], x[:1]]), lambda y: torch.cat([y[-1:], y[:-1]])),
}
MIXED: dict[str, Callable[[Tensor], Tensor]] = {
    "less the mean": lambda y: y - y.mean(0),
    "batch statistics": lambda y: F.batch_norm(y, None, None, training=True),
    "attention": lambda y: (y @ y.T).softmax(0).T @ y,
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("way", MOVED)
def test_rows_in_another_order_are_refused(way: str, method: str, no_trace: NoTrace) -> None:
    net = Net(*MOVED[way]).eval()
    with no_trace(net), pytest.raises(LayerError, match="rows of trunk are in another order"):
        foveal.explain(net, X, 1, method=method)
    plain = foveal.explain(Net(same, same).eval(), X[:1], 1, method=method)
    assert torch.allclose(foveal.explain(net, X[:1], 1, method=method).map, plain.map, atol=1e-6)


@pytest.mark.parametrize("way", MOVED)
def test_at_the_input_there_is_no_doubt(way: str) -> None:
    net = Net(*MOVED[way]).eval()
    right = foveal.explain(Net(same, same).eval(), X, 1, method="inputxgradient").map
    assert torch.allclose(foveal.explain(net, X, 1, method="inputxgradient").map, right, atol=1e-6)
    for ask in (lambda: foveal.flow(net, X, 1), lambda: foveal.parts(net, X, 1)):
        with pytest.raises(LayerError, match="in another order"):
            ask()


@pytest.mark.parametrize("way", MIXED)
def test_what_depends_on_the_batch_says_so(way: str) -> None:
    net = Net(same, MIXED[way]).eval()
    says = lambda net, x: any("depends on the other images" in note for note in foveal.explain(net, x, 1).notes)  # noqa: E731
    assert says(net, X)
    assert not says(Net(same, same).eval(), X) and not says(Net(same, same).eval(), X[:1])


class OneByOne(nn.Module):
    """Runs its images one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Net(same, same)

    def forward(self, x: Tensor) -> Any:
        return torch.cat([self.net(one[None]) for one in x])


@pytest.mark.parametrize("method", ["occlusion:window=4", "integratedgradients", "inputxgradient", "gradient"])
def test_images_that_run_one_by_one_are_explained_at_the_input(method: str) -> None:
    right = foveal.explain(Net(same, same).eval(), X, 1, method=method).map
    assert torch.allclose(foveal.explain(OneByOne().eval(), X, 1, method=method).map, right, atol=1e-6)


@pytest.mark.parametrize("layer", [None, "net.trunk", "net.trunk.1"])
def test_images_that_run_one_by_one_have_no_layers_together(layer: str | None) -> None:
    net = OneByOne().eval()
    with pytest.raises(LayerError, match="explain one image at a time"):
        foveal.explain(net, X, 1, layer=layer)
    right = foveal.explain(Net(same, same).eval(), X[:1], 1).map
    assert torch.allclose(foveal.explain(net, X[:1], 1, layer=layer).map, right, atol=1e-6)
    with pytest.raises(foveal.FovealError, match="cannot be assigned to images"):
        foveal.explain(net, X, 1, method="lrp-epsilon", layer="input")
