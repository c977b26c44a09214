"""Images with the colors and the texture of other images: their mean color and amplitude spectrum; the phases stay.

What is seen where, lies in the phases of an image's Fourier transform; how much there is of each spatial frequency, in
its amplitudes (Oppenheim and Lim, Proceedings of the IEEE 69, 1981). Images get the appearance of another domain by its
amplitudes (Yang and Soatto, CVPR 2020, who exchange low frequencies of single images) or by its mean colors (Reinhard
et al., IEEE Computer Graphics and Applications 21, 2001). Here both are those of many images S, for each color and
spatial frequency:

    x'  =  F⁻¹( F(x) · A(others) / A(group) )         A²(S) = mean over x in S of |F(x)|²

but the constant coefficient, which is the mean color, is moved by the difference of the means instead, so that images
keep their differences in brightness. A frequency that the group does not have has no phases, and is not made.

A color cast, or a pattern on all images of a group, goes; an object stays where it is. Unlike hidden evidence
(`foveal.runs.hidden_evidence`), it goes everywhere: no image has it in one part and another appearance elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from jaxtyping import Float, Float64
    from torch import Tensor

ROUNDING = 1e-8
"""A frequency with less than this share of the largest amplitude of its color is not there."""


def with_appearance(x: Float[Tensor, "n c h w"], others: Float[Tensor, "m c h w"]) -> Float64[Tensor, "n c h w"]:
    """The images `x` with the mean colors and the amplitude spectrum of `others`, not clamped."""
    own, theirs = (torch.fft.rfft2(images.double()) for images in (x, others))
    amplitude, wanted = (coefficients.abs().square().mean(0).sqrt() for coefficients in (own, theirs))
    there = amplitude > ROUNDING * amplitude.amax((1, 2), keepdim=True)
    altered = own * torch.where(there, wanted / amplitude, 1)
    altered[..., 0, 0] = own[..., 0, 0] + theirs[..., 0, 0].mean(0) - own[..., 0, 0].mean(0)
    images: Tensor = torch.fft.irfft2(altered, s=x.shape[2:])
    return images


def with_appearance_of_others(
    x: Float[Tensor, "n c h w"], inside: int, random: np.random.Generator
) -> Float[Tensor, "n c h w"]:
    """The images of a group with the appearance of the others, and the others with that of each other.

    The others are dealt at random into parts of about the group's size, at least two; each part gets the appearance of
    the other parts. Each color keeps to the range that it has in all images.

    Args:
        x: the first `inside` are those of the group; at least two are not.
    """
    others = np.arange(inside, len(x))
    altered = torch.empty(x.shape, dtype=torch.float64)
    altered[:inside] = with_appearance(x[:inside], x[inside:])
    for part in np.array_split(random.permutation(others), max(2, round(len(others) / inside))):
        altered[part] = with_appearance(x[part], x[np.setdiff1d(others, part)])
    return altered.clamp(x.amin((0, 2, 3), keepdim=True), x.amax((0, 2, 3), keepdim=True)).to(x.dtype)
