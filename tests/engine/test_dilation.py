"""A dilated network's map holds the network's own, exactly, at every f-th row and column."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from foveal.engine.capture import capture
from foveal.engine.dilation import Dilated, Grid
from foveal.engine.stages import describe
from tests.networks import ARCHITECTURES, architecture, tiny

LOOKS_AT_THE_WHOLE = {"mobilenet_v3_small", "efficientnet_b0", "regnet_y_400mf"}  # squeeze-excite


def aligned(B: Tensor, grid: Grid) -> Tensor:
    return B[:, :, :: grid.factor[0], :: grid.factor[1]]


def apart(A: Tensor, B: Tensor) -> float:
    assert A.shape == B.shape
    return float((A - B).abs().amax() / A.abs().amax())


@pytest.mark.parametrize("resolution", [2, 4])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_own_map_lies_at_every_f_th_cell_of_real_architectures(name: str, resolution: int) -> None:
    model, side = architecture(name).double(), ARCHITECTURES[name]
    x = torch.randn(1, 3, side, side + 16, generator=torch.Generator().manual_seed(0)).double()
    stages = describe(model, x).stages
    y, x_ = stages[-1].stride
    with capture(model, [stage.name for stage in stages], gradient=False) as run:
        run.forward(x)
        built = dict(run.activations)
        run.forward(x, mode=(mode := Dilated((y / resolution, x_ / resolution))))
        grids = {at: mode.grid(B) for at, B in run.activations.items()}
        for at, A in built.items():
            B, grid = run.activations[at], grids[at]
            local = grid.local or grid.factor == (1, 1)
            assert local or name in LOOKS_AT_THE_WHOLE
            assert apart(A, aligned(B, grid)) < (1e-9 if local else 0.05), (at, grid)
            assert grid.stride <= (y / resolution, x_ / resolution)
        assert grids[stages[-1].name].factor == (resolution, resolution)


# --- Any window, one after another ----------------------------------------------------------------------------------


@st.composite
def windows(draw: st.DrawFn) -> dict[str, Any]:
    kernel = draw(st.integers(1, 4))
    return {
        "kind": draw(st.sampled_from(["conv", "depthwise", "same", "max", "average", "pad", "slice"])),
        "kernel": (kernel, draw(st.integers(1, 3))),
        "stride": (draw(st.integers(1, 3)), draw(st.sampled_from([1, 2, 4]))),
        "padding": draw(st.integers(0, kernel // 2)),
        "dilation": draw(st.integers(1, 2)),
        "ceil": draw(st.booleans()),
        "count": draw(st.booleans()),
        "mode": draw(st.sampled_from(["constant", "reflect", "replicate"])),
    }


def apply(x: Tensor, spec: dict[str, Any]) -> Tensor:
    c, kind, padding = x.shape[1], spec["kind"], (spec["padding"], min(spec["padding"], spec["kernel"][1] // 2))
    generator = torch.Generator().manual_seed(0)
    if kind in ("conv", "depthwise", "same"):
        weight = torch.randn(c, 1 if kind == "depthwise" else c, *spec["kernel"], generator=generator).double()
        groups = c if kind == "depthwise" else 1
        if kind == "same":
            return F.conv2d(x, weight, None, 1, "same", spec["dilation"], groups)
        return F.conv2d(x, weight, weight[:, 0, 0, 0], spec["stride"], padding, spec["dilation"], groups).relu()
    if kind == "max":
        return F.max_pool2d(x, spec["kernel"], spec["stride"], padding, spec["dilation"], spec["ceil"])
    if kind == "average":
        return F.avg_pool2d(x, spec["kernel"], spec["stride"], padding, spec["ceil"], spec["count"])
    if kind == "pad":
        return F.pad(x, (spec["padding"], 1, 0, spec["padding"]), spec["mode"])
    return x[:, :, spec["padding"] :: spec["stride"][0], : -1 : spec["stride"][1]]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@settings(max_examples=150, deadline=None)
@given(
    chain=st.lists(windows(), min_size=1, max_size=5),
    size=st.tuples(st.integers(5, 20), st.integers(5, 20)),
    finest=st.sampled_from([1, 2, 4]),
)
def test_any_chain_of_windows_is_followed(chain: list[dict[str, Any]], size: tuple[int, int], finest: int) -> None:
    x = torch.randn(1, 2, *size, generator=torch.Generator().manual_seed(1)).double()
    try:
        built = x
        for spec in chain:
            built = apply(built, spec)
        assume(built.numel() > 0 and bool(built.isfinite().all()))
    except RuntimeError:
        assume(False)
    with Dilated((finest, finest)) as mode:
        finer = x.clone()
        for spec in chain:
            finer = apply(finer, spec)
    grid = mode.grid(finer)
    assert grid.built == tuple(built.shape[2:]) and grid.size == tuple(finer.shape[2:])
    assert torch.allclose(aligned(finer, grid), built, atol=1e-9, rtol=1e-9)
    assert all(stride >= 1 for stride in grid.stride) and grid.local


def test_without_a_limit_nothing_changes() -> None:
    model, x = architecture("googlenet"), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        built = model(x)
        with Dilated():
            assert torch.equal(model(x), built)


# --- What is no window ----------------------------------------------------------------------------------------------


class Head(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.body = kind, nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, 2, 1))
        self.rows, self.cells = nn.Linear(4, 3), nn.Linear(4 * 16, 3)
        self.over = nn.Conv2d(4, 3, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        heads: dict[str, Any] = {
            "mean": lambda: self.rows(x.mean((2, 3))),
            "adaptive": lambda: self.rows(F.adaptive_avg_pool2d(x, 1).flatten(1)),
            "window": lambda: self.rows(F.avg_pool2d(x, 4).flatten(1)),
            "window of its size": lambda: self.rows(F.avg_pool2d(x, x.shape[2:]).squeeze(3).squeeze(2)),
            "squeezed": lambda: self.rows(F.avg_pool2d(x, 4).squeeze(3).squeeze(2)),
            "flat": lambda: self.cells(x.flatten(1)),
            "view": lambda: self.cells(x.view(len(x), -1)),
            "convolution": lambda: self.over(x).flatten(1),
        }
        return heads[self.kind]()  # type: ignore[no-any-return]


HEADS = ["mean", "adaptive", "window", "window of its size", "squeezed", "flat", "view", "convolution"]


@pytest.mark.parametrize("kind", HEADS)
def test_a_head_gets_the_mean_of_the_interleaved_maps(kind: str) -> None:
    """Every head that is linear in its map then gives the mean of what it says to each of them."""
    torch.manual_seed(0)
    model, x = Head(kind).eval().double(), torch.randn(2, 3, 16, 16).double()
    with torch.no_grad():
        with Dilated((1, 1)):
            score, map = model(x), model.body(x)
        assert map.shape[2:] == (16, 16)
        model.body = nn.Identity()
        each = [model(map[:, :, i::4, j::4].contiguous()) for i in range(4) for j in range(4)]
    assert torch.allclose(score, torch.stack(each).mean(0), atol=1e-12)


def test_what_looks_at_the_whole_is_said() -> None:
    x = torch.randn(1, 4, 8, 8)
    with Dilated((1, 1)) as mode:
        y = F.max_pool2d(x, 2)
        excited = y * y.mean((2, 3), keepdim=True).sigmoid()
        last = (y.permute(0, 2, 3, 1) + 1).permute(0, 3, 1, 2).contiguous()
        resized = F.interpolate(y, scale_factor=2.0)
        tokens = y.flatten(2)
        mixed = (tokens @ tokens.mT @ tokens).view(y.shape)
    assert mode.grid(y).local and mode.grid(last) == mode.grid(y)
    assert not mode.grid(excited).local and mode.grid(excited).factor == (2, 2)
    assert resized.shape == (1, 4, 8, 8) and mode.grid(resized) == Grid((8, 8), (1, 1), (1, 1), False)
    assert not mode.grid(mixed).local and mode.grid(mixed).factor == (2, 2)


def test_a_block_and_its_shortcut_meet() -> None:
    """A padded convolution makes 2n cells, the pooled shortcut beside it 2n − 1."""
    x = torch.randn(1, 2, 8, 8).double()
    weight = torch.randn(2, 2, 3, 3).double()

    def block(x: Tensor) -> Tensor:
        y = F.conv2d(x, weight, stride=2, padding=1)
        y += F.avg_pool2d(x, 2)
        return torch.cat([y, F.max_pool2d(x, 2)], 1)

    with Dilated((1, 1)) as mode:
        finer = block(x)
    assert finer.shape == (1, 4, 7, 7)
    assert torch.allclose(aligned(finer, mode.grid(finer)), block(x))


def test_gradients_flow_through_every_cell() -> None:
    model, x = tiny(), torch.randn(1, 3, 8, 8)
    with capture(model, ["relu2"]) as run:
        output = run.forward(x, mode=Dilated((1, 1)))
        G = run.gradients(output[:, 1])["relu2"]
    assert G.shape == (1, 12, 7, 7)
    assert torch.allclose(G, model.fc.weight[1].detach()[None, :, None, None].expand_as(G) / 49, atol=1e-6)
