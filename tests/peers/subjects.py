"""What everyone explains: small networks in double precision, so that agreement means rounding and nothing else."""

from __future__ import annotations

from copy import deepcopy
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import foveal
from foveal.engine.capture import capture
from tests.networks import Tiny, architecture

LAYERS = {
    "tiny": ("relu1", "relu2"),
    "resnet18": ("layer2", "layer4"),
    "mobilenet_v2": ("features.6", "features.18"),
}
SIGNED = {"features.6"}
EVERYWHERE = [(name, layer) for name, layers in LAYERS.items() for layer in layers]
TARGETS = [2, 0]
"""One class an image."""


def subject(name: str) -> tuple[nn.Module, Tensor]:
    """A network of its own, which peers may do to what they do, and two images."""
    model = deepcopy(_network(name))
    side = 24 if name == "tiny" else 48
    return model, torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@cache
def _network(name: str) -> nn.Module:
    if name == "tiny":
        torch.manual_seed(0)
        return Tiny().double().eval()
    return architecture(name).double()


class Plain(nn.Module):
    """What every peer can take apart: convolutions, ReLU modules used once, max and average pooling, a dense layer."""

    def __init__(self, *, bias: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1, bias=bias),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 12, 3, padding=1, bias=bias),
            nn.ReLU(),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(12, 3, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.pool(self.body(x)).flatten(1))  # type: ignore[no-any-return]


class Functional(Plain):
    """The same network, written with functions where that is possible."""

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.body[0], self.body[3]
        x = F.max_pool2d(F.relu(first(x)), 2)
        return self.fc(F.relu(second(x)).mean((2, 3)))  # type: ignore[no-any-return]


def plain(kind: type[Plain] = Plain, *, bias: bool = True) -> tuple[Plain, Tensor]:
    torch.manual_seed(0)
    return kind(bias=bias).double().eval(), torch.randn(2, 3, 16, 16, dtype=torch.float64)


def ours(model: nn.Module, x: Tensor, method: str, layer: str = "input", target: foveal.TargetLike = None) -> Tensor:
    """The raw map (n, h, w)."""
    return foveal.explain(model, x, TARGETS if target is None else target, method=method, layer=layer).map


def evidence(name: str, layer: str, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Activations and cotangents for the logits times a factor."""
    model, x = subject(name)
    with capture(model, [layer]) as run:
        output = run.forward(x)
        return run.activations[layer].detach(), run.gradients(scale * output[torch.arange(2), TARGETS])[layer]


def relative(a: Tensor, b: Tensor) -> float:
    """The largest difference after each map is scaled to a largest value of one."""
    a, b = (map / map.abs().amax((1, 2), keepdim=True) for map in (a, b))
    return float((a - b).abs().max())


def difference(a: Tensor, b: Tensor) -> float:
    """The largest difference, over the largest value."""
    return float((a - b).abs().max() / b.abs().max())
