"""Parts of several images that are the same part, told by the channels that they consist of.

    alike(a, b) = Σ_c √(p_a ⊙ p_b)      p: how a part's evidence is spread over channels, scaled to sum 1; 0 to 1

(Bhattacharyya 1943.) Two parts of one image are two parts, so pairs within images show how alike different parts of a
stage are. Groups are joined by average linkage (Sokal & Michener 1958), the most alike first, as long as their parts
are more alike than half of these pairs. Groups with parts of the same image are never joined (Wagstaff & Cardie 2000).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from numpy.typing import NDArray
    from torch import Tensor

UNKNOWN = 0.5  # how alike parts of a stage must be where no image has two


def alike(profiles: Sequence[Float[Tensor, " c"]]) -> Float[NDArray[np.float64], "n n"]:
    """How alike every two profiles are, 0 to 1; a profile without evidence is like no other."""
    roots = torch.stack(list(profiles)).double()
    roots = (roots / roots.sum(1, keepdim=True).clamp(min=1e-300)).sqrt()
    table: NDArray[np.float64] = (roots @ roots.T).clamp(0, 1).numpy()
    return table


def least_alike(table: Float[NDArray[np.float64], "n n"], images: Int[NDArray[np.int64], " n"]) -> float:
    """How alike parts must be to be the same: more than half of the pairs of parts of one image."""
    within = np.triu(images[:, None] == images, k=1)
    return float(np.median(table[within])) if within.any() else UNKNOWN


def grouped(
    table: Float[NDArray[np.float64], "n n"], images: Int[NDArray[np.int64], " n"], least: float
) -> Int[NDArray[np.int64], " n"]:
    """The number of each part's group; a group has one part of an image at most.

    Args:
        table: how alike every two parts are.
        images: which image each part is of.
        least: how alike the parts of two groups must be, on the mean, to become one.
    """
    n = len(images)
    between = np.where(images[:, None] == images, -np.inf, table)  # a mean with −∞ is −∞: what is apart stays apart
    group, size = np.arange(n), np.ones(n)
    while between.max() >= least:
        a, b = divmod(int(between.argmax()), n)
        between[a] = between[:, a] = (size[a] * between[a] + size[b] * between[b]) / (size[a] + size[b])
        between[b] = between[:, b] = -np.inf
        size[a] += size[b]
        group[group == b] = a
    return group
