"""The largest connected component of a mask, by `scipy.ndimage.label`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Bool

EIGHT = np.ones((3, 3), dtype=bool)  # cells that share a corner are connected, too


def largest_part(mask: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """The largest 8-connected component of the true cells; of equally large ones that whose last cell comes first.

    An empty mask is its own largest component.
    """
    from scipy.ndimage import label

    labels, count = label(mask.detach().cpu().numpy(), EIGHT)
    if not count:
        return mask
    flat = labels.ravel()
    size = np.bincount(flat, minlength=count + 1)[1:]
    last = np.zeros(count + 1, np.intp)
    last[flat] = np.arange(len(flat))  # of repeated indices the last value stays
    best = 1 + np.lexsort((last[1:], -size))[0]
    return torch.from_numpy(labels == best).to(mask.device)
