"""Which axes are the map: followed from the image, or told by how the cells lie in it."""

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
        ((2, 512, 1, 26), (32, 100), (32.0, 4.0), "nchw"),  # text recognizers reduce height faster than width
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


# --- Followed, not guessed from a shape that both layouts could have ---

SIZES = [(9, 11), (8, 8), (7, 12), (12, 5)]


class Small(nn.Module):
    """A convolution whose channels are as many as its columns, or nearly so; both layouts fit its shape."""

    def __init__(self, channels: int, *, last: bool) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv2d(1, channels, 3), last
        self.body, self.head = nn.Identity(), nn.Linear(channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        A = self.conv(x).relu()
        A = self.body(A.permute(0, 2, 3, 1) if self.last else A)
        return self.head(A.mean((1, 2) if self.last else (2, 3)))  # type: ignore[no-any-return]


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(("h", "w"), SIZES)
def test_every_number_of_channels(h: int, w: int, last: bool) -> None:
    x = torch.randn(2, 1, h, w)
    for channels in range(1, 16):
        torch.manual_seed(channels)
        net = Small(channels, last=last).eval()
        (found,) = {stage.shape for stage in foveal.stages(net, x)}
        assert found == (channels, h - 2, w - 2)
        for layer in ("body", "conv"):
            why = foveal.explain(net, x, 1, method="hirescam", layer=layer)
            with torch.no_grad():
                right = torch.einsum("nchw,c->nhw", net.conv(x).relu(), net.head.weight[1]) / ((h - 2) * (w - 2))
            if layer == "body":
                torch.testing.assert_close(why.map, right, rtol=1e-4, atol=1e-6)
            assert why.map.shape == (2, h - 2, w - 2)


class Turned(nn.Module):
    """Rows and columns change places before the convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 6, 3), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x.transpose(2, 3)).relu().mean((2, 3)))  # type: ignore[no-any-return]


def test_rows_and_columns_may_change_places() -> None:
    x = torch.randn(1, 1, 8, 12)
    assert foveal.explain(Turned().eval(), x, 1, method="hirescam", layer="conv").map.shape == (1, 10, 6)


@pytest.mark.parametrize("kernel", [(1, 3), (3, 1), (5, 1)])
@pytest.mark.parametrize("stride", [(1, 2), (2, 1), (4, 1)])
def test_maps_whose_sides_are_not_the_images(kernel: tuple[int, int], stride: tuple[int, int]) -> None:
    net = nn.Sequential(
        nn.Conv2d(2, 5, kernel, stride), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3)
    ).eval()
    x = torch.randn(1, 2, 12, 12)
    with torch.no_grad():
        h, w = net[0](x).shape[2:]
    assert foveal.stages(net, x)[-1].shape == (5, h, w)
    assert foveal.explain(net, x, 1, method="hirescam").map.shape == (1, h, w)
