"""Near the published code, for comparison: `foveal.visualize(…, published=True)`.

    L_b = −Σ_{b'} Σ_{c∈S_b'} z_c a_{b,c} + K² · mean_c ρ(z_c − a_{b,c}) + K² λ₁ ‖p‖₁

Every image is also pushed along the other facets' channels, distance and sparsity count K² times, steps have no
momentum (the optimizer is made anew each time: a step of 1.9 · rate · gradient); blur, total variation, brightness and
a mask about the center are applied to the image itself. Kept out: the farthest images, swapped colors,
rounding to 8 bits. (Stergiou, arXiv:2101.12447; numbers of the author's code: specification minds_eye, 3.5 to 3.8.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from foveal.featurevis.distances import pseudo_huber
from foveal.featurevis.facet_objectives import FacetTask
from foveal.featurevis.network import FeatureNetwork
from foveal.featurevis.objective import Objective
from foveal.featurevis.schedule import Octave, Schedule
from foveal.featurevis.seen import Seen
from foveal.featurevis.transforms import Views

if TYPE_CHECKING:
    from jaxtyping import Float

PUBLISHED = 512  # side in pixels for which widths are given
RATE, SIGMA, BLUR, VARIATION, SPARSITY = (0.5, 0.08), (420.0, 340.0), (0.9, 0.2), (2.0, 8.0), (1e-4, 5e-4)
STEPS = 2001
MOMENTUM = 1.9  # 1 + 0.9: the first step of Nesterov's momentum, again and again


def scheduled(ends: tuple[float, float], i: int, total: int) -> float:
    """start + (end − start)(i − 1)/(T − 1) for i = 1 … T."""
    start, end = ends
    return start + (end - start) * (i - 1) / max(1, total - 1)


def center_mask(size: tuple[int, int], sigma: float) -> Float[Tensor, "h w"]:
    """ε^(((d − 1)/σ)²/2), ε the rounding error of doubles, d pixels from the center, brought to 0..1.

    As −ln ε = 36.04, a Gaussian with a deviation of σ/6.00.
    """
    h, w = size
    y, x = torch.arange(h, dtype=torch.float64) - (h - 1) / 2, torch.arange(w, dtype=torch.float64) - (w - 1) / 2
    d = (y[:, None].square() + x[None].square()).sqrt()
    m = torch.finfo(torch.float64).eps ** (0.5 * ((d - 1) / sigma).square())
    return (m - m.min()) / (m.max() - m.min())


class Raw:
    """Values of the image as they are, kept in 0..1."""

    # In the network's input, whose unit is about a quarter of the range: 0.5 · 1.9 · 0.25².
    rate = RATE[0] * MOMENTUM * 0.0625

    def __init__(self, shape: tuple[int, int, int], dtype: torch.dtype = torch.float32) -> None:
        self.shape, self.dtype = shape, dtype

    def noise(self, generator: torch.Generator) -> Tensor:
        """Parameters of an image to begin with."""
        return torch.full(self.shape, 117 / 255, dtype=self.dtype)

    def image(self, parameters: Tensor) -> Float[Tensor, "k c h w"]:
        """The images of these parameters."""
        return parameters

    def parameters(self, image: Float[Tensor, "k c h w"]) -> Tensor:
        """The parameters of these images."""
        return image.clamp(0, 1)


def published_tasks(facet_tasks: Sequence[FacetTask], network: FeatureNetwork) -> list[FacetTask]:
    """The same facets with the published loss."""
    return [
        replace(
            task,
            objective=_loss(
                task, [other for other in facet_tasks if other.layer == task.layer], network.penalty_layer(task.layer)
            ),
        )
        for task in facet_tasks
    ]


def published_schedule(schedule: Schedule, network: FeatureNetwork) -> Schedule:
    """Schedules, mask, blur, total variation and brightness; as many steps as the schedule has."""
    scale = max(network.normalization.size) / PUBLISHED
    mean = sum(SIGMA) / 2
    return replace(
        schedule,
        octaves=(Octave(1.0, schedule.steps),),
        optimizer="plain",
        rate=1.0,
        views=Views(0.2, (1.0, 1.0), 0.0),
        mask=lambda size: center_mask(size, mean * scale),
        retouch=lambda images, done, total: retouched(images, done, total, scale),
        patience=0,
    )


def retouched(images: Float[Tensor, "k c h w"], done: int, total: int, scale: float) -> Float[Tensor, "k c h w"]:
    """What the published code does to the images every 10, and every 50 steps."""
    x = images.clamp(0, 1)
    if done % 50 == 0:
        x = (x + 5 / 255).clamp(0, 1)
    if done % 10 == 0:
        m = center_mask((x.shape[2], x.shape[3]), scheduled(SIGMA, done, total) * scale).to(x)
        x = m * blurred(x, scheduled(BLUR, done, total)) + (1 - m) * x
        x = m * denoised(x, 1 / scheduled(VARIATION, done, total)) + (1 - m) * x
    return x


def blurred(x: Float[Tensor, "k c h w"], sigma: float) -> Float[Tensor, "k c h w"]:
    """Through a Gaussian."""
    reach = max(1, math.ceil(3 * sigma))
    at = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    weights = (-at.square() / (2 * sigma**2)).exp()
    kernel = (weights / weights.sum()).repeat(x.shape[1], 1, 1, 1)
    wide = functional.pad(x, (reach, reach, 0, 0), mode="replicate")
    x = functional.conv2d(wide, kernel, groups=x.shape[1])
    tall = functional.pad(x, (0, 0, reach, reach), mode="replicate")
    return functional.conv2d(tall, kernel.mT, groups=x.shape[1])


def denoised(x: Float[Tensor, "k c h w"], weight: float, steps: int = 30) -> Float[Tensor, "k c h w"]:
    """The nearest image with little total variation: min ‖u − x‖²/2 + weight · 0.1 · TV(u) (Chambolle, 2004)."""
    weight = 0.1 * weight
    p = x.new_zeros(2, *x.shape)
    for _ in range(steps):
        u = _divergence(p) - x / weight
        g = torch.stack([functional.pad(u.diff(dim=2), (0, 0, 0, 1)), functional.pad(u.diff(dim=3), (0, 1))])
        p = (p + 0.25 * g) / (1 + 0.25 * g.square().sum(0).sqrt())
    return x - weight * _divergence(p)


def _divergence(p: Float[Tensor, "2 k c h w"]) -> Float[Tensor, "k c h w"]:
    y = torch.cat([p[0, :, :, :1], p[0, :, :, 1:-1].diff(dim=2, prepend=p[0, :, :, :1]), -p[0, :, :, -2:-1]], 2)
    x = torch.cat(
        [p[1, :, :, :, :1], p[1, :, :, :, 1:-1].diff(dim=3, prepend=p[1, :, :, :, :1]), -p[1, :, :, :, -2:-1]], 3
    )
    return y + x


def _loss(task: FacetTask, everyone: Sequence[FacetTask], penalty: str) -> Objective:
    K, a = len(everyone), task.target

    def loss(seen: Seen) -> Tensor:
        z = seen.features(task.layer)
        activation = sum(((z * a)[:, other.channels].sum(1) for other in everyone), z.new_zeros(len(z)))
        sparsity = seen.maps[penalty].abs().flatten(1).sum(1)
        return -activation + K**2 * pseudo_huber(z - a).mean(1) + K**2 * SPARSITY[0] * sparsity

    return Objective(loss, f"published loss at {task.layer}", (task.layer, penalty))
