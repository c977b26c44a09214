"""Small networks drawn at random: spelled in as many ways as people spell them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Op = Callable[[Tensor], Tensor]

ACTS: dict[str, Op] = {
    "relu": F.relu, "relu_": lambda t: F.relu(t, inplace=True), "Tensor.relu": lambda t: t.relu(),
    "relu6": F.relu6, "clamp": lambda t: t.clamp(min=0), "maximum": lambda t: torch.maximum(t, torch.zeros_like(t)),
    "mask": lambda t: t * (t > 0), "where": lambda t: torch.where(t > 0, t, 0.0), "silu": F.silu, "gelu": F.gelu,
    "swish": lambda t: t * t.sigmoid(), "leaky": lambda t: F.leaky_relu(t, 0.1), "elu": F.elu, "tanh": torch.tanh,
    "hardswish": F.hardswish, "softplus": F.softplus, "square": lambda t: 0.1 * t**2, "identity": lambda t: t,
}  # fmt: skip


def _even(t: Tensor) -> Tensor:
    return t[:, :, : t.shape[2] // 2 * 2, : t.shape[3] // 2 * 2]


POOLS: dict[str, Op] = {
    "max": lambda t: F.max_pool2d(t, 2), "max, ceil": lambda t: F.max_pool2d(t, 3, 2, 1, ceil_mode=True),
    "average": lambda t: F.avg_pool2d(t, 2), "adaptive": lambda t: F.adaptive_avg_pool2d(t, (5, 4)),
    "slice": lambda t: t[:, :, ::2, ::2], "unshuffle": lambda t: F.pixel_unshuffle(_even(t), 2),
    "none": lambda t: t, "resize": lambda t: F.interpolate(t, scale_factor=0.5, mode="bilinear"),
}  # fmt: skip

HEADS = ("tensor", "logits", "tuple", "named", "squeezed")


@dataclass
class Recipe:
    """What a network is made of; prints itself."""

    number: int
    channels: int
    widths: list[int]
    acts: list[str]
    pools: list[str]
    norms: list[str]
    skips: list[bool]
    gate: bool
    reuse: bool
    flat: str
    head: str
    classes: int
    input: str
    size: tuple[int, int]
    bias: bool = True
    extra: list[str] = field(default_factory=list)


def recipe(number: int) -> Recipe:
    """The network of this number."""
    draw = random.Random(number)
    depth = draw.randint(1, 3)
    return Recipe(
        number, draw.choice([1, 2, 3, 4]), [draw.choice([3, 4, 6]) for _ in range(depth)],
        [draw.choice([*ACTS]) for _ in range(depth)], [draw.choice([*POOLS]) for _ in range(depth)],
        [draw.choice(["none", "batch", "group", "layer", "instance"]) for _ in range(depth)],
        [draw.random() < 0.3 for _ in range(depth)], draw.random() < 0.2, draw.random() < 0.2,
        draw.choice(["mean", "adaptive", "max", "flatten", "sum"]), draw.choice(HEADS), draw.choice([1, 2, 5]),
        draw.choice(["plain", "shift", "in place", "flip", "pad"]), (draw.randint(9, 20), draw.randint(9, 20)),
        draw.random() < 0.8,
    )  # fmt: skip


class Drawn(nn.Module):
    """The network of a recipe."""

    def __init__(self, made: Recipe) -> None:
        super().__init__()
        self.made = made
        self.convs, self.norms, self.skips = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        width = made.channels
        for w, norm, pool in zip(made.widths, made.norms, made.pools, strict=True):
            self.convs.append(nn.Conv2d(width, w, 3, padding=1, bias=made.bias))
            self.norms.append(self._norm(norm, w))
            self.skips.append(nn.Conv2d(width, w, 1))
            width = 4 * w if pool == "unshuffle" else w
        self.gate = nn.Linear(width, width)
        self.again = nn.Conv2d(width, width, 3, padding=1)
        self.fc = nn.LazyLinear(made.classes)

    @staticmethod
    def _norm(kind: str, w: int) -> nn.Module:
        kinds: dict[str, Callable[[], nn.Module]] = {
            "none": nn.Identity, "batch": lambda: nn.BatchNorm2d(w), "group": lambda: nn.GroupNorm(1, w),
            "layer": lambda: nn.GroupNorm(w, w), "instance": lambda: nn.InstanceNorm2d(w, affine=True),
        }  # fmt: skip
        return kinds[kind]()

    def forward(self, x: Tensor) -> Any:
        made = self.made
        x = {
            "plain": lambda: x, "shift": lambda: (x - 0.1) / 0.9, "in place": lambda: x.sub_(0.1),
            "flip": lambda: x.flip(3), "pad": lambda: F.pad(x, (0, 1, 0, 1)),
        }[made.input]()  # fmt: skip
        for i, conv in enumerate(self.convs):
            y = ACTS[made.acts[i]](self.norms[i](conv(x)))
            if made.skips[i]:
                y = y + self.skips[i](x)
            x = POOLS[made.pools[i]](y)
        if made.reuse:
            x = F.relu(self.again(F.relu(self.again(x))))
        if made.gate:
            x = x * self.gate(x.mean((2, 3))).sigmoid()[:, :, None, None]
        v = {
            "mean": lambda: x.mean((2, 3)), "adaptive": lambda: F.adaptive_avg_pool2d(x, 1).flatten(1),
            "max": lambda: x.amax((2, 3)), "flatten": lambda: x.flatten(1), "sum": lambda: 0.1 * x.sum((-1, -2)),
        }[made.flat]()  # fmt: skip
        z = self.fc(v)
        answers: dict[str, Any] = {"tensor": z, "logits": {"logits": z}, "tuple": (z, v), "named": {"aux": v, "out": z}}
        return answers.get(made.head, z[:, 0] if made.classes == 1 else z)


def network(made: Recipe) -> nn.Module:
    """It, with weights of its own and statistics that are not neutral."""
    torch.manual_seed(made.number)
    net = Drawn(made).eval()
    with torch.no_grad():
        net(torch.zeros(1, made.channels, *made.size))
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
                module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
            weight = getattr(module, "weight", None)
            if isinstance(module, nn.BatchNorm2d | nn.GroupNorm | nn.InstanceNorm2d) and weight is not None:
                weight.uniform_(0.5, 1.5)
    return net


def pictures(made: Recipe, n: int = 3) -> Tensor:
    """What it may be shown."""
    seed = torch.Generator().manual_seed(made.number + 1)
    return torch.randn(n, made.channels, *made.size, generator=seed)
