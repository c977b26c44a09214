"""Cells at equal steps along the rows and columns of (n, c, h, w), and the same cells on a map of another size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from foveal.engine.positions.axis import AXES, Along
from foveal.engine.positions.where import Where


@dataclass(frozen=True)
class Ruler:
    """Cells along one axis: the first, the step to the next, how many there are, and how many of them are padding."""

    first: float
    step: float
    count: int
    ahead: int = 0
    behind: int = 0

    def at(self, count: int, dim: int) -> Tensor:
        """The positions of a map with so many cells, padding included, along a dimension of (n, c, h, w)."""
        inner = count - self.ahead - self.behind
        line = self.first + self.step * torch.arange(inner, dtype=torch.float64, device="cpu")
        whole = torch.constant_pad_nd(line, (self.ahead, self.behind), torch.nan)
        return whole.view([-1 if d == dim else 1 for d in range(4)])


def ruler(p: Along, k: int) -> Ruler | None:
    """Of positions that change along the rows (k = 0) or columns (k = 1) of (n, c, h, w) only, in equal steps."""
    if p.at.ndim != 4 or p.at.shape[2 + k] != p.at.numel():
        return None
    if k not in p.rulers:
        p.rulers[k] = _ruler(p.at.flatten())
    found: Ruler | None = p.rulers[k]
    return found


def _ruler(at: Tensor) -> Ruler | None:
    known = (~at.isnan()).nonzero()[:, 0]
    count = len(known)
    if count < 2 or int(known[-1] - known[0]) != count - 1:
        return None
    start, stop = int(known[0]), int(known[-1]) + 1
    inner = at[start:stop]
    first, second = inner[:2].tolist()
    made = Ruler(first, second - first, len(at), start, len(at) - stop)
    return made if second != first and torch.equal(made.at(len(at), 0).flatten()[start:stop], inner) else None


def on_one_grid(inputs: Sequence[Where], outputs: Iterable[Where | None]) -> bool:
    """Whether all lie at equal steps or nowhere, and whatever meets does so at one step.

    Grids of one step are as far apart on a map of any size; otherwise what becomes of them depends on the size.
    """
    if not all(where is not None and regular(where) for where in (*inputs, *outputs)):
        return False
    distinct = list({id(where): where for where in inputs}.values())
    for k in AXES if len(distinct) > 1 else ():
        rulers = [found for where in distinct if (found := ruler(where.axes[k], k))]
        if len({found.step for found in rulers}) > 1:
            return False
        if len({(found.ahead, found.behind) for found in rulers}) > 1:
            return False
    return True


def regular(where: Where) -> bool:
    """Whether rows and columns lie at equal steps, or nowhere."""
    if "regular" not in where.known:
        places = zip(AXES, where.axes, strict=True)
        where.known["regular"] = not where.lost and all(_nowhere(p) or ruler(p, k) is not None for k, p in places)
    return where.known["regular"]


def _nowhere(p: Along) -> bool:
    return p.at.numel() == 1 and p.nowhere


def stretched(where: Where, shape: Sequence[int]) -> Where:
    """The same cells on a map of another size; `where` has to be `regular`."""
    y, x = (_stretched(p, k, shape) for k, p in zip(AXES, where.axes, strict=True))
    return replace(where, axes=(y, x))


def _stretched(p: Along, k: int, shape: Sequence[int]) -> Along:
    along = ruler(p, k)
    if along is None:
        return p
    made = replace(p, at=along.at(shape[2 + k], 2 + k))
    if not along.ahead:
        made.lines[2 + k] = made.at.narrow(2 + k, 0, 1), along.step
    return made
