"""How much images are like photos, without any network. Specification: minds_eye, section 6."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from foveal.featurevis.parametrization import frequencies

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


@dataclass(frozen=True)
class Naturalness:
    """Of one image.

    Attributes:
        slope: of log power against log frequency, about −2 for photos: less steep is noisier.
        saturated: share of values at the ends of the range.
        variation: mean length of the gradient, in values a pixel.
    """

    slope: float
    saturated: float
    variation: float


def naturalness(image: Float[Tensor, "c h w"]) -> Naturalness:
    """Of an image in 0..1."""
    x = image.detach().double().cpu()
    gray = x.mean(0)
    power = torch.fft.rfft2(gray - gray.mean()).abs().square()
    f = frequencies(x.shape[1], x.shape[2], torch.float64)
    inside = (f >= 2 / min(x.shape[1:])) & (f <= 0.5)
    log_f, log_p = f[inside].log(), power[inside].clamp(min=1e-20).log()
    centered = log_f - log_f.mean()
    slope = float((centered * (log_p - log_p.mean())).sum() / centered.square().sum())
    saturated = float(((x < 0.01) | (x > 0.99)).double().mean())
    dy, dx = x.diff(dim=1)[..., :-1], x.diff(dim=2)[..., :-1, :]
    return Naturalness(slope, saturated, float((dy.square() + dx.square()).sqrt().mean()))
