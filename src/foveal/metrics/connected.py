"""Places that hang together, by runs: rows of true places in one go, joined where they touch runs of the next row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Bool
    from numpy.typing import NDArray


def largest_part(mask: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """The largest set of true places that hang together, corners included; of equal ones that which ends first."""
    cells = mask.detach().cpu().numpy()
    starts, ends, width = _runs(cells)
    if not len(starts):
        return mask
    part = _joined(len(starts), *_touching(starts, ends, width))
    size = np.bincount(part, ends - starts)
    last = np.zeros(len(size), np.intp)
    np.maximum.at(last, part, ends)
    best = np.lexsort((last, -size))[0]  # parts without runs have no size, and come last
    steps = np.zeros(cells.shape[0] * width + 1, np.int8)
    steps[starts[part == best]], steps[ends[part == best]] = 1, -1
    found = steps[:-1].cumsum(dtype=np.int8).reshape(cells.shape[0], width)[:, :-1] > 0
    return torch.from_numpy(np.ascontiguousarray(found)).to(mask.device)


def _runs(cells: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[Any], int]:
    """Where runs start and end, in rows that have one false place more at their end; and how long those are."""
    padded = np.pad(cells, ((0, 0), (0, 1)))
    flat = np.concatenate([[False], padded.ravel(), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return edges[::2], edges[1::2], padded.shape[1]


def _touching(starts: NDArray[Any], ends: NDArray[Any], width: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Pairs of runs in neighbouring rows that share a side or a corner."""
    first = np.searchsorted(ends, starts + width, "left")
    counts = np.maximum(0, np.searchsorted(starts, ends + width, "right") - first)
    above = np.repeat(np.arange(len(starts)), counts)
    within = np.arange(len(above)) - np.repeat(np.cumsum(counts) - counts, counts)
    return above, np.repeat(first, counts) + within


def _joined(count: int, one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """For each run the least number of a run that it hangs together with (union by pointer jumping)."""
    root = np.arange(count)
    while True:
        a, b = root[one], root[other]
        if np.array_equal(a, b):
            return root
        np.minimum.at(root, np.maximum(a, b), np.minimum(a, b))
        while not np.array_equal(root, root[root]):
            root = root[root]
