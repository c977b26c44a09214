"""Masks as the lengths of their runs, column after column, zeros first: uncompressed masks of the COCO data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool
    from numpy.typing import NDArray


def run_lengths(mask: Bool[NDArray[np.bool_], "h w"]) -> dict[str, list[int]]:
    """The mask as {"size": [h, w], "counts": […]}.

    >>> run_lengths(np.array([[False, True], [True, True]]))
    {'size': [2, 2], 'counts': [1, 3]}
    """
    flat = np.concatenate([[False], mask.reshape(-1, order="F")])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return {"size": [*mask.shape], "counts": np.diff([0, *changes.tolist(), mask.size]).tolist()}


def mask_of_runs(runs: Mapping[str, Any]) -> Bool[NDArray[np.bool_], "h w"]:
    """The mask of which these are the runs."""
    size, counts = tuple(runs["size"]), runs["counts"]
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(size, order="F")
