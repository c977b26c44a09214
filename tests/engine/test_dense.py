"""The usual layer of networks whose output is a map: the bottleneck, not the output drawn again."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import foveal
from foveal.models.extras import import_torchvision


def block(a: int, b: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.ReLU())


class UNet(nn.Module):
    """Two levels down and up, with skips."""

    def __init__(self) -> None:
        super().__init__()
        self.e1, self.e2, self.bottom = block(3, 4), block(4, 8), block(8, 16)
        self.up2, self.d2 = nn.ConvTranspose2d(16, 8, 2, 2), block(16, 8)
        self.up1, self.d1 = nn.ConvTranspose2d(8, 4, 2, 2), block(8, 4)
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Any:
        e1 = self.e1(x)
        e2 = self.e2(F.max_pool2d(e1, 2))
        d2 = self.d2(torch.cat([self.up2(self.bottom(F.max_pool2d(e2, 2))), e2], 1))
        return self.head(self.d1(torch.cat([self.up1(d2), e1], 1)))


class Tiny(nn.Module):
    """The least there is: one level."""

    def __init__(self) -> None:
        super().__init__()
        self.d1, self.d2 = block(3, 4), nn.Conv2d(8, 2, 3, padding=1)
        self.bottom = block(4, 4)

    def forward(self, x: Tensor) -> Any:
        e = self.d1(x)
        return self.d2(torch.cat([F.interpolate(self.bottom(F.avg_pool2d(e, 2)), scale_factor=2), e], 1))


class Record(UNet):
    def forward(self, x: Tensor) -> Any:
        return {"out": super().forward(x)}


class Convolutional(nn.Module):
    """A classifier slid over the picture, its map enlarged in the forward: no skips."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(block(3, 8), nn.MaxPool2d(2), block(8, 16), nn.MaxPool2d(2), block(16, 16))
        self.classifier = nn.Conv2d(16, 2, 1)

    def forward(self, x: Tensor) -> Any:
        return F.interpolate(self.classifier(self.body(x)), x.shape[2:], mode="bilinear")


class Shuffled(nn.Module):
    """Enlarges by pixel shuffling."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.body, self.last = nn.Conv2d(3, 8, 2, 2), block(8, 16), nn.Conv2d(16, 8, 1)

    def forward(self, x: Tensor) -> Any:
        return F.pixel_shuffle(self.last(self.body(self.down(x))), 2)


def built(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return kind().eval()


def middle(output: Any) -> Tensor:
    return (output["out"] if isinstance(output, dict) else output)[:, 0, 8:16, 8:16].mean((1, 2))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("kind", "layer", "cells"),
    [
        (UNet, "bottom", 8),
        (Record, "bottom", 8),
        (Tiny, "bottom", 16),
        (Convolutional, "body", 8),
        (Shuffled, "body", 16),
    ],
)
def test_the_usual_layer_is_the_bottleneck(kind: type[nn.Module], layer: str, cells: int) -> None:
    net, x = built(kind), torch.randn(2, 3, 32, 32)
    why = foveal.explain(net, x, middle)
    assert why.layer == layer and why.map.shape == (2, cells, cells)
    assert torch.equal(why.map, foveal.explain(net, x, middle, layer=layer).map)
    assert foveal.parts(net, x, middle).layer == layer
    names = [stage.name for stage in foveal.stages(net, x)]
    assert layer in names


def test_the_stages_go_down_and_up() -> None:
    stages = foveal.stages(built(UNet), torch.randn(1, 3, 32, 32))
    assert [stage.stride[0] for stage in stages] == [1, 2, 4, 2, 1]
    why = foveal.explain(built(UNet), torch.randn(1, 3, 32, 32), middle, layer="all")
    assert list(why.layers) == [stage.name for stage in stages]


@pytest.mark.parametrize("method", ["ablationcam", "lrp-epsilon", "occlusion", "scorecam"])
def test_other_methods_work_there(method: str) -> None:
    why = foveal.explain(built(UNet), torch.randn(1, 3, 32, 32), middle, method=method)
    assert bool(why.map.isfinite().all()) and bool(why.map.any())


def test_networks_of_torchvision() -> None:
    torchvision = import_torchvision()
    x = torch.randn(1, 3, 65, 65)
    for name in ("lraspp_mobilenet_v3_large", "fcn_resnet50", "deeplabv3_mobilenet_v3_large"):
        torch.manual_seed(0)
        net = getattr(torchvision.models.segmentation, name)(weights=None, weights_backbone=None).eval()
        why = foveal.explain(net, x, lambda o: o["out"][:, 3].mean((1, 2)))
        assert why.map.shape[-1] < 20 and not why.layer.startswith("aux"), (name, why.layer)


def test_a_network_that_keeps_its_size_has_the_stage_before_its_scores() -> None:
    torch.manual_seed(0)
    flat = nn.Sequential(block(3, 4), block(4, 4), nn.Conv2d(4, 2, 1)).eval()
    assert foveal.explain(flat, torch.randn(1, 3, 16, 16), lambda o: o[:, 0].mean((1, 2))).layer == "1"


@pytest.mark.parametrize(
    "up",
    [
        lambda c: c.repeat_interleave(2, 2).repeat_interleave(2, 3),
        lambda c: c[:, :, :, None, :, None].expand(*c.shape[:3], 2, c.shape[3], 2).flatten(4).flatten(2, 3),
        lambda c: F.interpolate(c, scale_factor=2),
        lambda c: F.pixel_shuffle(c.repeat_interleave(4, 1), 2),
    ],
)
def test_however_cells_are_repeated_the_bottleneck_is_the_default(up: Any) -> None:
    class Repeated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.e1, self.e2 = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1)
            self.d1, self.d2 = nn.Conv2d(16, 8, 3, 1, 1), nn.Conv2d(8, 2, 3, 1, 1)

        def forward(self, x: Tensor) -> Any:
            a = self.e1(x).relu()
            c = self.e2(a).relu()
            return self.d2(up(self.d1(torch.cat([up(c), a], 1)).relu()))

    why = foveal.explain(Repeated().eval(), torch.randn(1, 3, 32, 32), lambda o: o[:, 0, 8:16, 8:16].mean((1, 2)))
    assert why.layers == ("e2",)
