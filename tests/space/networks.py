"""Small networks of signals, pictures and volumes, and the same network seen along more axes than it needs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

CONV: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORM: dict[int, type[nn.Module]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
MAX: dict[int, type[nn.Module]] = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
MEAN: dict[int, type[nn.Module]] = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
GLOBAL: dict[int, type[nn.Module]] = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
SIZES: dict[int, tuple[int, ...]] = {1: (40,), 2: (20, 24), 3: (8, 12, 16)}


class Net(nn.Module):
    """Three stages, strides 1, 2 and 4, global pooling and one linear layer; along so many axes.

    `thin` gives it further axes before its own, along which every window is one cell long.
    """

    def __init__(self, axes: int, *, thin: int = 0, channels: int = 2, classes: int = 4, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        space = axes + thin

        def sides(value: int, along: int = 1) -> tuple[int, ...]:
            return (along,) * thin + (value,) * axes

        def conv(given: int, made: int) -> nn.Module:
            return CONV[space](given, made, sides(3), padding=sides(1, 0))

        self.stem = nn.Sequential(conv(channels, 8), NORM[space](8), nn.ReLU())
        self.mid = nn.Sequential(MAX[space](sides(2)), conv(8, 12), nn.ReLU())
        self.end = nn.Sequential(MEAN[space](sides(2)), conv(12, 16), nn.ReLU(inplace=True))
        self.pool = GLOBAL[space](1)
        self.fc = nn.Linear(16, classes)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes)."""
        logits: Tensor = self.fc(self.pool(self.end(self.mid(self.stem(x)))).flatten(1))
        return logits


def pair(axes: int) -> tuple[Net, Net]:
    """The same network along its axes, and along one more, of which every window sees one cell."""
    plain, thin = Net(axes), Net(axes, thin=1)
    thin.load_state_dict({
        name: value[:, :, None] if value.ndim == axes + 2 else value for name, value in plain.state_dict().items()
    })  # fmt: skip
    return plain, thin


def images(axes: int, n: int = 2, channels: int = 2) -> Tensor:
    """Noise (n, channels, *space)."""
    return torch.randn(n, channels, *SIZES[axes], generator=torch.Generator().manual_seed(axes))
