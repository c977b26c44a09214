"""The video networks of torchvision: their stages, as their definition has them, and Grad-CAM by hand."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.models.extras import import_torchvision

pytestmark = pytest.mark.skipif(find_spec("torchvision") is None, reason="needs torchvision")

STRIDES = {
    "r3d_18": [(1, 2, 2), (2, 4, 4), (4, 8, 8), (8, 16, 16)],
    "mc3_18": [(1, 2, 2), (1, 4, 4), (1, 8, 8), (1, 16, 16)],
    "r2plus1d_18": [(1, 2, 2), (2, 4, 4), (4, 8, 8), (8, 16, 16)],
}
CLIP = torch.randn(1, 3, 8, 32, 48, generator=torch.Generator().manual_seed(0))


@cache
def network(name: str) -> nn.Module:
    """Random weights."""
    import_torchvision()
    from torchvision.models import video

    torch.manual_seed(0)
    net: nn.Module = getattr(video, name)(weights=None).eval()
    return net


@pytest.mark.parametrize("name", STRIDES)
def test_stages_have_the_strides_of_the_definition(name: str) -> None:
    steps = foveal.stages(network(name), CLIP)
    assert [stage.name for stage in steps] == ["layer1", "layer2", "layer3", "layer4"]
    assert [stage.stride for stage in steps] == [tuple(map(float, stride)) for stride in STRIDES[name]]
    for stage in steps:
        expected = [-(-side // int(step)) for side, step in zip(CLIP.shape[2:], stage.stride, strict=True)]
        assert list(stage.shape[1:]) == expected
    # The kernels along time: 3 of the stem and 2 × 2 × 3 of each layer of r3d; 1 in mc3's last layers.
    assert steps[0].receptive_field == (11, 23, 23)
    assert steps[3].receptive_field[0] == (11 if name == "mc3_18" else 109)


@pytest.mark.parametrize("name", STRIDES)
def test_gradcam_by_hand_and_one_forward(name: str) -> None:
    net: Any = network(name)
    foveal.stages(net, CLIP)  # traced once
    calls = []
    hook = net.stem.register_forward_hook(lambda *_: calls.append(1))
    why = foveal.explain(net, CLIP, 7, layer="layer3", method="gradcam", task="classes")
    hook.remove()
    assert len(calls) <= 2  # a hook is another network to trace: one forward for that, one for the map
    A: Tensor = net.layer3(net.layer2(net.layer1(net.stem(CLIP)))).detach().requires_grad_()
    score = net.fc(net.avgpool(net.layer4(A)).flatten(1))[:, 7]
    (G,) = torch.autograd.grad(score.sum(), A)
    by_hand = torch.einsum("nc,ncdhw->ndhw", G.mean((2, 3, 4)), A)
    scale = float(by_hand.detach().abs().max())
    torch.testing.assert_close(why.map, by_hand.detach(), atol=1e-4 * scale, rtol=1e-3)
