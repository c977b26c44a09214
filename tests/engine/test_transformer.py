"""What is said of transformers, and not of convolutional networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import foveal
from foveal.engine.transformer import looks_like_transformer
from foveal.models.extras import import_timm

timm = import_timm()

SMALL = {
    "vit_tiny_patch16_224": {"img_size": 32, "embed_dim": 24, "depth": 4, "num_heads": 2},
    "swin_tiny_patch4_window7_224": {"img_size": 64, "embed_dim": 12, "depths": (1, 1), "num_heads": (1, 2),
                                     "window_size": 4},
}  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
def test_transformers_are_called_so(name: str) -> None:
    net = timm.create_model(name, num_classes=3, **SMALL[name]).eval()
    size = SMALL[name]["img_size"]
    why = foveal.explain(net, torch.rand(1, 3, size, size))
    assert any("looks like a transformer, and foveal explains convolutional networks" in note for note in why.notes)


def test_convolutional_networks_are_not() -> None:
    for name in ("resnet18", "convnext_atto", "seresnet18"):
        assert not looks_like_transformer(timm.create_model(name))
    layer = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2), 2, enable_nested_tensor=False)
    assert looks_like_transformer(nn.Sequential(nn.Conv2d(3, 8, 4, 4), layer))
