"""Flow by differences: it keeps its sum at every layer, and its maps have no grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.errors import ImageError, MethodError
from tests.networks import architecture

if TYPE_CHECKING:
    from tests.conftest import NoTrace

NETWORKS = {
    "resnet18": 64,
    "resnet50": 64,
    "vgg11_bn": 64,
    "densenet121": 64,
    "squeezenet1_1": 64,
    "mobilenet_v3_small": 64,
}


def pictures(n: int, side: int) -> Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_the_total_is_the_score_less_the_reference_s_at_every_layer(name: str) -> None:
    model, x = architecture(name).double(), pictures(2, NETWORKS[name])
    other = pictures(3, NETWORKS[name])[2:]
    flow = foveal.flow(model, x, 5, coefficients="difference", reference=other)
    with torch.no_grad():
        rise = model(x)[:, 5] - model(other)[:, 5]
    for layer in flow.layers:
        assert bool((flow.maps[layer] >= 0).all())
        size = float(flow.signed[layer].abs().sum())
        for i in range(2):
            assert flow.number(layer, "total", i) == pytest.approx(float(rise[i]), abs=1e-6 * size)
            assert float(flow.signed[layer][i].sum()) == pytest.approx(float(rise[i]), abs=1e-6 * size)


def test_images_together_are_as_each_alone(no_trace: NoTrace) -> None:
    model, x = architecture("resnet18").double(), pictures(2, 64)
    with no_trace(model):
        both = foveal.flow(model, x, coefficients="difference")
        each = [foveal.flow(model, image, coefficients="difference") for image in x.split(1)]
    for layer in both.layers:
        for i, one in enumerate(each):
            torch.testing.assert_close(both.maps[layer][i], one.maps[layer][0])
    assert both.target == (each[0].target[0], each[1].target[0])


class Strided(nn.Module):
    """A strided 1×1 convolution, which sees every other position only."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.low = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        self.high = nn.Sequential(nn.Conv2d(8, 8, 1, stride=2), nn.ReLU())
        self.fc = nn.Linear(8, 3)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.high(self.low(x)).mean((2, 3)))  # type: ignore[no-any-return]


def test_maps_have_no_grid_and_keep_their_totals() -> None:
    model, x = Strided(), pictures(1, 32)
    dotted = foveal.flow(model, x, 1)
    smooth = foveal.flow(model, x, 1, coefficients="difference", reference="zero")
    grid = dotted.signed["low"][0]
    assert float(grid[1::2].abs().sum() + grid[:, 1::2].abs().sum()) == 0
    map = smooth.signed["low"][0]
    phases = [float(map[a::2, b::2].abs().sum()) for a in (0, 1) for b in (0, 1)]
    assert min(phases) > 0.5 * max(phases)
    assert float(map.sum()) == pytest.approx(float(smooth.signed["high"].sum()), rel=1e-9)


def test_a_similarity_keeps_its_sum_too() -> None:
    model, x = architecture("resnet18").double(), pictures(2, 64)
    flow = foveal.flow(model, x[:1], foveal.Similar(x[1:], embedding="avgpool"), coefficients="difference")
    totals = [flow.number(layer, "total", 0) for layer in flow.layers]
    assert totals == pytest.approx([totals[0]] * len(totals), rel=1e-6)
    assert flow.parameters["coefficients"] == "difference"


def test_what_cannot_be_is_one_sentence() -> None:
    model, x = Strided(), pictures(1, 32)
    with pytest.raises(MethodError, match="inversion"):
        foveal.flow(model, x, 1, coefficients="difference", mode="project")
    with pytest.raises(ImageError, match="image itself"):
        foveal.flow(model, x, 1, coefficients="difference", reference=x)


def test_several_targets_and_an_audit() -> None:
    model, x = Strided(), pictures(1, 32)
    first, second = foveal.flows(model, x, [0, 1], coefficients="difference")
    alone = foveal.flow(model, x, 1, coefficients="difference")
    torch.testing.assert_close(second.maps["low"], alone.maps["low"])
    assert first.target != second.target
    assert alone.audit() is not None
