"""The way back through a convolution to the colors of an image.

oneDNN, which computes torch's convolutions on a processor, fills channels up to sixteen, so the way back to three
colors takes it longer than the way there. Two ways are faster, and differ from it by rounding alone:

    matrix product    Wᵀ G for every window, whose overlaps are then summed
    by phases         pixels that lie s apart make up a channel, of which there are s² a color: between these, what has
                      stride s and k×k weights has stride 1 and ⌈k/s⌉×⌈k/s⌉ weights; then the pixels go where they
                      belong (pixel shuffle: Shi et al., CVPR 2016, arXiv:1609.05158)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

FEW = 4
"""Channels, at most."""


def few_channels(x: Tensor) -> bool:
    """Whether the gradient of these images takes less time by the ways of this file."""
    return x.ndim == 4 and x.shape[1] <= FEW and x.device.type == "cpu" and x.dtype == torch.float32


def back_to_colors(G: Tensor, W: Tensor, x: Tensor, stride: Sequence[int], padding: Sequence[int]) -> Tensor:
    """Wᵀ G, shaped like x.

    Args:
        G: (n, out, h', w'), what arrives at the result of the convolution.
        W: (out, c, k, k'); no groups, no dilation.
        x: (n, c, h, w), the images; their numbers do not matter.
    """
    kernel, step = W.shape[2:], stride[0]
    if step == stride[1] > 1 and min(kernel) > 2.5 * step:  # below that a product has fewer overlaps to sum
        return _by_phases(G, W, x, step, padding)
    backward = torch.ops.aten._slow_conv2d_backward.output_mask
    colors: Tensor = backward(G, x, W, kernel, stride, padding, [True, False, False])[0]
    return colors


def _by_phases(G: Tensor, W: Tensor, x: Tensor, stride: int, padding: Sequence[int]) -> Tensor:
    filled = functional.pad(W, (0, -W.shape[3] % stride, 0, -W.shape[2] % stride))
    phases = functional.pixel_unshuffle(filled, stride)  # (out, c s², ⌈k/s⌉, ⌈k/s⌉)
    padded = functional.pixel_shuffle(functional.conv_transpose2d(G, phases), stride)
    (top, left), (h, w) = padding, x.shape[2:]
    # The last rows and columns may be in no window.
    missing = (0, max(0, left + w - padded.shape[3]), 0, max(0, top + h - padded.shape[2]))
    return functional.pad(padded, missing)[..., top : top + h, left : left + w]
