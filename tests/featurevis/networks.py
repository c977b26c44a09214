"""Tiny networks whose feature images are known, and sets with planted facets."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from foveal.featurevis.network import FeatureNetwork
from foveal.featurevis.normalization import Normalization
from foveal.images import Preprocessing
from foveal.models import Model


class Same(nn.Module):
    """Features are the input itself, a channel a number."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Conv2d(channels, channels, 1, bias=False)
        self.body.weight.data = torch.eye(channels)[:, :, None, None]

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).mean((2, 3))  # type: ignore[no-any-return]


class Bare:
    """The image is the parameters themselves, whatever their values, the same everywhere."""

    rate = 0.1

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        self.channels, self.size = channels, size

    def noise(self, generator: torch.Generator) -> Tensor:
        return torch.randn(self.channels, 1, 1, generator=generator, dtype=torch.float64)

    def image(self, parameters: Tensor) -> Tensor:
        return parameters.expand(-1, -1, *self.size)

    def parameters(self, image: Tensor) -> Tensor:
        return image[..., :1, :1]


class Small(nn.Module):
    """Two stages and a head that counts how often it runs."""

    def __init__(self, scale: float = 1.0, classes: int = 3) -> None:
        super().__init__()
        self.conv1, self.relu1 = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2)
        self.conv2, self.relu2 = nn.Conv2d(8, 16, 3, padding=1), nn.ReLU()
        self.fc = nn.Linear(16, classes)
        self.scale, self.heads = scale, 0

    def forward(self, x: Tensor) -> Tensor:
        body = self.relu2(self.conv2(self.pool(self.relu1(self.conv1(x))))).mean((2, 3))
        self.heads += 1
        return self.fc(body)  # type: ignore[no-any-return]


def small(seed: int = 0, dtype: torch.dtype = torch.float32) -> Small:
    torch.manual_seed(seed)
    return Small().eval().to(dtype)


PREPROCESSING = Preprocessing(size=(16, 16), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def known(module: nn.Module) -> Model:
    return Model(module, "small", PREPROCESSING, ("a", "b", "c"))


def network_of(
    module: nn.Module, size: tuple[int, int] = (16, 16), channels: int = 3, **options: Any
) -> FeatureNetwork:
    weight = next(module.parameters(), None)
    normalization = Normalization(size, torch.zeros(channels), torch.ones(channels))
    return FeatureNetwork(
        module, normalization, weight if weight is not None else torch.zeros((), dtype=torch.float64), **options
    )


def colored(count: int = 6, seed: int = 0, side: int = 16) -> Tensor:
    """As many red, green and blue noisy pictures as network input: three facets."""
    random = torch.Generator().manual_seed(seed)
    x = 0.3 * torch.randn(3 * count, 3, side, side, generator=random)
    for k in range(3):
        x[k * count : (k + 1) * count, k] += 2.0
    return x
