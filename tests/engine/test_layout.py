"""Which axes are the map: told by how the cells lie in the image."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.engine.layout import find_layout
from foveal.engine.stages import describe
from foveal.methods import baselines, deeplift


@pytest.mark.parametrize(
    ("shape", "image", "stride", "expected"),
    [
        ((2, 768, 7, 7), (224, 224), None, "nchw"),
        ((2, 7, 7, 768), (224, 224), None, "nhwc"),
        ((2, 512, 7, 10), (224, 320), None, "nchw"),
        ((2, 7, 10, 512), (224, 320), None, "nhwc"),
        ((2, 64, 147, 149), (299, 299), None, "nchw"),
        ((64, 49, 64), (224, 224), None, None),
        ((64, 16, 49, 96), (224, 224), None, None),
        ((2, 512, 1, 26), (32, 100), (32.0, 4.0), "nchw"),  # text recognisers reduce height faster than width
        ((2, 8, 8, 8), (64, 64), None, "nchw"),
        ((2, 56, 56, 64), (224, 224), None, "nhwc"),
        ((2, 56, 56, 48), (224, 224), (4.0, 4.0), "nhwc"),
    ],
)
def test_layouts(shape: Any, image: Any, stride: Any, expected: Any) -> None:
    assert find_layout(shape, image, stride) == expected


INPUT_ONLY = {method.name for method in (*baselines.FAMILY, *deeplift.FAMILY)}


class ChannelsLast(nn.Module):
    """Swin-like: linear layers on (n, h, w, c) between permutations."""

    def __init__(self, *, last: bool) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.to_last = Permute(0, 2, 3, 1) if last else nn.Identity()
        self.mix = nn.Linear(8, 12) if last else nn.Conv2d(8, 12, 1)
        self.act = nn.ReLU()
        self.fc = nn.Linear(12, 3)
        self.last = last

    def forward(self, x: Tensor) -> Any:
        x = self.act(self.mix(self.to_last(self.patches(x))))
        return self.fc(x.mean((1, 2) if self.last else (2, 3)))


class Permute(nn.Module):
    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.order)


@pytest.mark.parametrize(
    "method", [name for name, m in foveal.METHODS.items() if name not in INPUT_ONLY and not m.similarity]
)
def test_channels_last_gives_the_map_of_the_same_network_channels_first(method: str) -> None:
    torch.manual_seed(0)
    first = ChannelsLast(last=False).eval().double()
    last = ChannelsLast(last=True).eval().double()
    state = {key: value.flatten(1) if key == "mix.weight" else value for key, value in first.state_dict().items()}
    last.load_state_dict(state)
    x = torch.randn(2, 3, 32, 48, dtype=torch.float64)  # drops of a score are small differences
    one, other = (foveal.explain(model, x, 1, method=method, layer="act") for model in (first, last))
    assert one.map.shape == other.map.shape == (2, 8, 12)
    assert torch.allclose(one.map, other.map, atol=1e-5 * float(one.map.abs().amax()))


def test_stages_of_a_channels_last_network() -> None:
    stage = describe(ChannelsLast(last=True).eval(), torch.randn(1, 3, 32, 48)).stages[-1]
    assert (stage.name, stage.shape, stage.layout, stage.depth) == ("act", (12, 8, 12), "nhwc", 2)


def test_tokens_are_no_feature_map() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(3, 8, 4, stride=4)
            self.mix = nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Any:
            return self.mix(self.patches(x).flatten(2).mT).mean(1)

    with pytest.raises(foveal.FovealError, match=r"gives \(1, 16, 8\).*nearest feature map is 'patches'"):
        foveal.explain(Tokens().eval(), torch.randn(1, 3, 16, 16), layer="mix")
