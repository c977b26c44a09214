"""What the tests of all perturbation methods share: a small network in double precision, and its scores one by one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import foveal
from tests.networks import Planted, tiny

TARGET = 1


def network() -> nn.Module:
    return tiny().double()


def images(n: int = 1, seed: int = 0) -> Tensor:
    return torch.randn(n, 3, 12, 16, generator=torch.Generator().manual_seed(seed)).double()


def score(model: nn.Module, x: Tensor) -> float:
    """Of one image, on its own."""
    with torch.no_grad():
        return float(model(x[None])[0, TARGET])


def activation(model: nn.Module, x: Tensor, layer: str = "relu2") -> Tensor:
    """(c, h, w) of one image."""
    kept = []
    hook = model.get_submodule(layer).register_forward_hook(lambda m, i, o: kept.append(o.detach().clone()))
    score(model, x)
    hook.remove()
    return kept[0][0]  # type: ignore[no-any-return]


def explained(model: nn.Module, x: Tensor, method: str, layer: str | None = None) -> Tensor:
    """The raw maps (n, h, w)."""
    return foveal.explain(model, x, TARGET, method=method, layer=layer).map


class Linear(nn.Module):
    """score of class k = Σ w_k ⊙ x + b_k."""

    def __init__(self, size: tuple[int, int] = (12, 16)) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.weight = nn.Parameter(torch.randn(2, 3, *size, generator=generator).double())
        self.see = nn.Conv2d(3, 3, 1, bias=False).double()
        self.see.weight.data = torch.eye(3).double()[:, :, None, None]

    def forward(self, x: Tensor) -> Tensor:
        return (self.see(x)[:, None] * self.weight).flatten(2).sum(2) + 0.5

    def contributions(self, x: Tensor) -> Tensor:
        """(h, w), what each pixel of one image adds to the score."""
        return (self.weight[TARGET] * x).sum(0).detach()


def planted() -> tuple[nn.Module, Tensor, tuple[slice, slice]]:
    """A network that looks for green, a picture with a green square (and a red one), and where that is."""
    x = 0.05 * torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    x[0, 0, 3:9, 3:9] += 1.0
    x[0, 1, 14:20, 12:18] += 1.0
    return Planted().eval(), x, (slice(14, 20), slice(12, 18))


def peak(map: Tensor) -> tuple[int, int]:
    row, column = divmod(int(map.argmax()), map.shape[-1])
    return row, column
