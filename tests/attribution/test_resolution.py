"""Finer maps of the same decision: by dilated stages, and by several scales."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import foveal
from foveal.attribution.multiscale import scaled
from foveal.errors import FovealError, MethodError, ModelError
from tests.networks import architecture, tiny

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import NoTrace

GRADIENT = [
    name
    for name, method in foveal.METHODS.items()
    if method.needs != "forwards" and method.place == "last stage" and name != "cam"
]


class Patches(nn.Module):
    """Scores how red, green and blue the picture is, in patches of 4 × 4 pixels that do not overlap."""

    def __init__(self, *, squeeze: bool = False, flat: bool = False) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 3, 4, 4, bias=False)
        self.patches.weight.data = torch.eye(3)[:, :, None, None].expand(3, 3, 4, 4) / 16
        self.relu, self.squeeze, self.flat = nn.ReLU(), squeeze, flat
        self.last = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.patches(x)) ** 2
        x = x * x.mean((2, 3), keepdim=True) if self.squeeze else x
        return self.last(x).mean((2, 3))  # type: ignore[no-any-return]


def red_square(y: int, x: int, side: int = 4) -> Tensor:
    picture = torch.zeros(1, 3, 32, 32)
    picture[0, 0, y : y + side, x : x + side] = 1.0
    return picture


# --- Resolution -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", GRADIENT)
def test_every_method_at_twice_the_resolution(method: str, no_trace: NoTrace) -> None:
    model, x = architecture("resnet18").train(), torch.randn(2, 3, 64, 80, generator=torch.Generator().manual_seed(0))
    target = foveal.Similar(x[:1]) if foveal.METHODS[method].similarity else None
    built = foveal.explain(model, x, target, method=method)
    with no_trace(model):
        finer = foveal.explain(model, x, target, method=method, resolution=2)
    assert built.map.shape == (2, 2, 3) and finer.map.shape == (2, 4, 5)
    assert finer.parameters["resolution"] == 2 and float(finer.map.abs().amax()) > 0
    assert finer.target == built.target
    if built.score is not None:
        assert finer.score is not None and torch.equal(finer.score, built.score)
        assert any("at resolution 2 the scores differ" in note for note in finer.notes)


def test_eigencam_as_built_lies_in_the_finer_one() -> None:
    """What looks at no score and has one channel is the activation itself, and that is exact."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 1, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)
    )
    x = torch.randn(2, 3, 16, 16)
    built = foveal.explain(model, x, method="eigencam", layer="3")
    finer = foveal.explain(model, x, method="eigencam", layer="3", resolution=4)
    assert torch.allclose(finer.map[:, ::4, ::4], built.map, atol=1e-5)


@pytest.mark.parametrize("corner", [(6, 10), (13, 3), (21, 17)])
def test_a_finer_map_says_better_where_the_square_is(corner: tuple[int, int]) -> None:
    x, model = red_square(*corner), Patches().eval()
    away = {}
    for resolution in (1, 2, 4):
        map = foveal.explain(model, x, 0, method="hirescam", layer="relu", resolution=resolution).map[0]
        where, step = divmod(int(map.argmax()), map.shape[1]), 4 / resolution
        away[resolution] = max(abs(step * cell - pixel) for cell, pixel in zip(where, corner, strict=True))
    assert away[1] >= away[2] >= away[4] == 0 and away[1] > 0


def test_layers_that_are_fine_enough_stay_as_they_are() -> None:
    model, x = architecture("resnet18"), torch.randn(1, 3, 64, 64)
    built = foveal.explain(model, x, layer="all")
    finer = foveal.explain(model, x, layer="all", resolution=4)
    shapes = {layer: finer.maps[layer].shape[1] // map.shape[1] for layer, map in built.maps.items()}
    assert shapes == {"relu": 1, "layer1": 1, "layer2": 1, "layer3": 2, "layer4": 4}


def test_a_layer_in_between_is_made_finer_too() -> None:
    model, x = architecture("resnet18"), torch.randn(1, 3, 64, 64)
    assert foveal.explain(model, x, layer="layer2", resolution=2).map.shape == (1, 16, 16)
    assert foveal.explain(model, x, layer="layer3.0.conv1", resolution=2).map.shape == (1, 8, 8)


def test_a_batch_is_its_images_at_any_resolution() -> None:
    model, x = architecture("mobilenet_v2").double(), torch.randn(3, 3, 64, 64).double()
    together = foveal.explain(model, x, [1, 2, 3], resolution=2)
    for i in range(3):
        alone = foveal.explain(model, x[i : i + 1], i + 1, resolution=2)
        assert torch.allclose(together.map[i], alone.map[0], rtol=1e-9, atol=1e-12)


def test_looking_at_the_whole_map_is_noted_with_how_much_it_changes() -> None:
    why = foveal.explain(Patches(squeeze=True).eval(), red_square(6, 10), 0, layer="last", resolution=4)
    (note,) = [note for note in why.notes if "cells of last that both maps have" in note]
    assert "%" in note
    exact = foveal.explain(Patches().eval(), red_square(6, 10), 0, layer="last", resolution=4)
    assert not any("both maps" in note for note in exact.notes)


class PadsBySize(nn.Module):
    """Padding worked out from the size of the map, on one side only where that is odd."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.ModuleList(nn.Conv2d(3, 3, 3, 2) for _ in range(3))
        self.last = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.conv:
            side = x.shape[-1]
            pad = max((-(-side // 2) - 1) * 2 + 3 - side, 0)
            x = conv(F.pad(x, (pad // 2, pad - pad // 2) * 2))
        return self.last(x).mean((2, 3))  # type: ignore[no-any-return]


def test_what_does_not_follow_is_refused() -> None:
    torch.manual_seed(0)
    model = PadsBySize().eval()
    x = torch.randn(1, 3, 40, 40)
    assert foveal.explain(model, x, layer="last", resolution=2).map.shape == (1, 9, 9)
    with pytest.raises(MethodError, match="padding that depends on the"):
        foveal.explain(model, x, layer="last", resolution=4)


@pytest.mark.parametrize("method", ["scorecam", "ablationcam"])
def test_methods_that_ask_again_ask_the_finer_network(method: str, no_trace: NoTrace) -> None:
    if method not in foveal.METHODS:
        pytest.skip(f"there is no {method}")
    model, x = architecture("resnet18"), torch.randn(1, 3, 64, 64)
    with no_trace(model):
        why = foveal.explain(model, x, method=method, resolution=2)
    assert why.map.shape == (1, 4, 4)


# --- Scales ---------------------------------------------------------------------------------------------------------


def test_scales_are_the_mean_of_scaled_maps_of_resized_pictures(no_trace: NoTrace) -> None:
    model, x = tiny().train(), torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    with no_trace(model):
        why = foveal.explain(model, x, [0, 1], method="hirescam", scales=(1, 2))
    small, large = (
        foveal.explain(model, F.interpolate(x, scale_factor=s, mode="bilinear"), [0, 1], method="hirescam").map
        for s in (1.0, 2.0)
    )
    small, large = (map / map.abs().amax((1, 2), keepdim=True) for map in (small, large))
    slow = (F.interpolate(small[:, None], large.shape[1:], mode="bilinear")[:, 0] + large) / 2
    assert why.map.shape == (2, 8, 12) and torch.allclose(why.map, slow, atol=1e-5)
    assert why.parameters["scales"] == [1.0, 2.0] and any("mean over scales 1, 2" in note for note in why.notes)


def test_the_decision_is_the_one_at_scale_one() -> None:
    """A larger picture would be another class: what is explained stays what was decided."""

    class BySize(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1, bias=False)
            self.conv.weight.data = torch.eye(3)[:, :, None, None]

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            return x.mean((2, 3)) * torch.tensor([1.0, x.shape[-1] / 12.0, 0.0])

    x = torch.zeros(2, 3, 8, 8)
    x[:, 0, 1, 2], x[:, 1, 6, 5] = 1.0, 1.0
    x[1, 1] *= 2
    why = foveal.explain(
        BySize().eval(), x, layer="conv", method="hirescam", scales=(1, 3), labels=["red", "green", "blue"]
    )
    assert why.target == ("red (0)", "green (1)")
    assert divmod(int(why.map[0].argmax()) // 3, 8)[0] // 3 == 1
    assert any("at scale 3 the scores differ: " in note for note in why.notes)


def test_the_picture_as_it_is_need_not_be_among_the_scales() -> None:
    model, x = tiny(), torch.randn(1, 3, 8, 8)
    why = foveal.explain(model, x, scales=(0.5, 2))
    assert why.map.shape == (1, 8, 8) and why.target == foveal.explain(model, x).target
    assert torch.equal(why.score, foveal.explain(model, x).score)  # type: ignore[arg-type]


def test_scales_and_resolution_together_and_batches() -> None:
    model, x = architecture("resnet18").double(), torch.randn(2, 3, 48, 48).double()
    why = foveal.explain(model, x, 5, scales=(1, 1.5), resolution=2)
    assert why.map.shape == (2, 5, 5) and why.parameters["resolution"] == 2
    alone = foveal.explain(model, x[1:], 5, scales=(1, 1.5), resolution=2)
    assert torch.allclose(alone.map[0], why.map[1], atol=1e-9)


def test_a_resized_picture_is_what_interpolation_makes_of_it() -> None:
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert torch.equal(scaled(x, 1.0), x)
    assert scaled(x, 1.5).shape == (1, 1, 6, 6) and scaled(x, 0.01).shape == (1, 1, 1, 1)
    assert torch.allclose(scaled(x, 0.5).mean(), x.mean())


# --- What cannot be had ---------------------------------------------------------------------------------------------


class OneSize(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)
        self.fc = nn.Linear(4 * 16, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv(x).relu().flatten(1))  # type: ignore[no-any-return]


def resized(scale: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1),
        nn.Upsample(scale_factor=scale),
        nn.Conv2d(4, 4, 3, 2, 1),
        nn.Flatten(),
        nn.Linear(64, 2),
    )


@pytest.mark.parametrize(
    ("model", "options", "error", "words"),
    [
        (tiny, {"resolution": 3}, MethodError, "cannot be made 3 times finer"),
        (tiny, {"resolution": 0}, MethodError, "whole number"),
        (tiny, {"resolution": 1.5}, MethodError, "whole number"),
        (tiny, {"resolution": 2, "layer": "input"}, MethodError, "one value per pixel"),
        (tiny, {"resolution": 2, "differentiable": True}, MethodError, "its own resolution"),
        (tiny, {"scales": ()}, MethodError, "different numbers"),
        (tiny, {"scales": (1, 0)}, MethodError, "different numbers"),
        (tiny, {"scales": (1, 1)}, MethodError, "different numbers"),
        (OneSize, {"scales": (1, 2), "layer": "conv"}, ModelError, "does not take 16×16 pixels, so leave out scale 2"),
        (tiny, {"scales": (1, 2), "target": foveal.Neuron("relu2", 1, (2, 2))}, MethodError, "another position"),
    ],
)
def test_what_cannot_be_had_is_said_in_a_sentence(
    model: Callable[[], nn.Module], options: dict[str, Any], error: type[FovealError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        foveal.explain(model().eval(), torch.randn(1, 3, 8, 8), **options)
    assert "\n" not in str(caught.value) and not str(caught.value).endswith(".")


def test_a_network_of_one_size_can_be_dilated() -> None:
    """The linear layer behind the flattened map gets the mean of the interleaved maps."""
    model, x = OneSize().eval(), torch.randn(1, 3, 8, 8)
    assert foveal.explain(model, x, layer="conv", resolution=2).map.shape == (1, 8, 8)
