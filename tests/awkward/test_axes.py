"""Signals (n, c, length) and volumes (n, c, d, h, w) as networks take them: maps of the input have their shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.errors import FovealError
from foveal.methods import METHODS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import NoTrace

LAYERLESS = [name for name, method in METHODS.items() if method.place == "input" and name != "gap"]
QUICK = {"rise": "rise:count=40", "occlusion": "occlusion:window=4", "smoothgrad": "smoothgrad:samples=8"}


def signals(channels: int = 2) -> nn.Module:
    torch.manual_seed(0)
    body = nn.Sequential(
        nn.Conv1d(channels, 6, 5, padding=2), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(6, 8, 3), nn.ReLU()
    )
    return nn.Sequential(body, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 3)).eval()


def volumes() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv3d(1, 6, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(6, 3)
    ).eval()


NETS: dict[str, tuple[nn.Module, Tensor]] = {
    "signals": (signals(), torch.randn(3, 2, 40, generator=torch.Generator().manual_seed(1))),
    "as many signals as channels": (signals(), torch.randn(2, 2, 40, generator=torch.Generator().manual_seed(2))),
    "volumes": (volumes(), torch.randn(2, 1, 5, 8, 9, generator=torch.Generator().manual_seed(3))),
}


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("method", LAYERLESS)
def test_maps_have_the_shape_of_the_input(method: str, name: str, no_trace: NoTrace) -> None:
    net, x = NETS[name]
    asked = QUICK.get(method, method)
    with no_trace(net):
        why = foveal.explain(net, x, 1, method=asked)
    assert why.map.shape == (len(x), *x.shape[2:])
    assert torch.allclose(why.score, net(x)[:, 1].detach(), atol=1e-5)
    alone = torch.cat([foveal.explain(net, one[None], 1, method=asked).map for one in x])
    assert torch.allclose(why.map, alone, atol=1e-5 * max(1.0, float(alone.abs().max())))


@pytest.mark.parametrize("name", NETS)
def test_values_that_are_known(name: str) -> None:
    net, x = NETS[name]
    f = lambda x: net(x)[:, 1].detach()  # noqa: E731
    for method in ("integratedgradients:steps=128", "deeplift"):
        sums = foveal.explain(net, x, 1, method=method).map.flatten(1).sum(1)
        assert torch.allclose(sums, f(x) - f(torch.zeros_like(x)), atol=2e-3)
    leaf = x.clone().requires_grad_()
    (G,) = torch.autograd.grad(net(leaf)[:, 1].sum(), leaf)
    assert torch.allclose(foveal.explain(net, x, 1, method="inputxgradient").map, (G * x).sum(1), atol=1e-6)


@pytest.mark.parametrize("name", NETS)
def test_they_are_drawn_saved_and_loaded(name: str, tmp_path: Path) -> None:
    net, x = NETS[name]
    why = foveal.explain(net, x, 1, method="inputxgradient")
    h, w = (1, 1, *x.shape[2:])[-2:]
    assert why.on_photo(1).shape == (h, w) == why.photos[1].geometry.photo_size
    middle = why.map[1][2] if name == "volumes" else why.map[1].view(h, w)
    np.testing.assert_allclose(why.on_photo(1), middle, atol=1e-6)
    assert torch.equal(why.on_input(1), why.map[1])
    assert why.overlay(1).size[0] > w and "evidence" in why.to_html()
    why.save(tmp_path / "why")
    assert torch.equal(foveal.Explanation.load(tmp_path / "why").map, why.map)


def test_one_signal_or_several_in_a_list() -> None:
    net, x = NETS["signals"]
    right = foveal.explain(net, x, 1, method="inputxgradient").map
    assert torch.equal(foveal.explain(net, list(x), 1, method="inputxgradient").map, right)
    assert torch.allclose(foveal.explain(net, x[1], 1, method="inputxgradient").map, right[1:2], atol=1e-6)


class Flat(nn.Module):
    """Takes signals as pictures one pixel high."""

    def __init__(self) -> None:
        super().__init__()
        self.net = signals(12)

    def forward(self, x: Tensor) -> Any:
        return self.net(x[:, :, 0])


def test_pictures_one_pixel_high_stay_pictures() -> None:
    x = torch.randn(12, 1, 40)
    assert foveal.explain(Flat().eval(), x, 1, method="inputxgradient").map.shape == (1, 1, 40)
    assert foveal.explain(Flat().eval(), x[None], 1, method="inputxgradient").map.shape == (1, 1, 40)


@pytest.mark.parametrize("name", NETS)
def test_what_knows_pictures_alone_says_so(name: str) -> None:
    net, x = NETS[name]
    for ask in (
        lambda: foveal.sanity(net, x, 1, methods=["gradient"]),
        lambda: foveal.match(net, x[:1], x),
        lambda: foveal.shortcuts(net, x, [0, 1]),
        lambda: foveal.visualize(net, x, steps=1),
        lambda: foveal.decompose(net, x[:1], 1),
        lambda: foveal.explain(net, x, 1, method="gap"),
        lambda: foveal.flow(net, x, 1, mode="project"),
        lambda: foveal.measure(net, x, 1, explanations="inputxgradient", metrics="road"),
    ):
        with pytest.raises(FovealError, match=r"so far (are|is) of images"):
            ask()
    for options in ({"resolution": 2}, {"scales": (1.0, 2.0)}):
        with pytest.raises(FovealError, match=r"resolution and scales are for images"):
            foveal.explain(net, x, 1, **options)


class Waves(nn.Module):
    """Takes waveforms, and slides over their spectra."""

    def __init__(self) -> None:
        super().__init__()
        self.c, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.c(x.flatten(1).unfold(1, 16, 8)[:, None]).relu().mean((2, 3)))


@pytest.mark.parametrize("shape", [(2, 1, 400), (3, 1, 400), (1, 1, 400)])
def test_three_axes_that_may_be_several_signals_say_what_they_were_taken_for(shape: tuple[int, ...]) -> None:
    taken = f"read as one image of {shape[0]} channels, {shape[1]} × {shape[2]}"
    why = foveal.explain(Waves().eval(), torch.randn(shape), 1, method="gradient")
    assert any(taken in remark for remark in why.notes)
    assert not any(
        "read as one image" in remark
        for remark in foveal.explain(Waves().eval(), torch.randn(1, 1, 20, 20), 1, method="gradient").notes
    )


class Attended(nn.Module):
    """A network of pictures whose first convolution, over channels, has one axis."""

    def __init__(self) -> None:
        super().__init__()
        self.eca, self.c, self.fc = nn.Conv1d(1, 1, 3, padding=1), nn.Conv2d(3, 8, 3), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Any:
        y = self.c(x).relu()
        gate = self.eca(y.mean((2, 3))[:, None]).sigmoid()[:, 0, :, None, None]
        return self.fc((y * gate).mean((2, 3)))


def test_one_picture_for_a_network_that_has_both() -> None:
    x = torch.randn(3, 32, 32)
    alone = foveal.explain(Attended().eval(), x, 1).map
    assert alone.shape == (1, 30, 30)
