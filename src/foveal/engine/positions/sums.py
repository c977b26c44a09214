"""Operations that sum over a whole dimension: reductions and matrix products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from foveal.engine.positions.axis import Along, met, summed
from foveal.engine.positions.where import Call

FACTORS: Mapping[str, tuple[str, str]] = {
    "mm": ("self", "mat2"), "bmm": ("self", "mat2"), "addmm": ("mat1", "mat2"), "baddbmm": ("batch1", "batch2"),
    "mv": ("self", "vec"), "addmv": ("mat", "vec"),
}  # fmt: skip


def multiplied(call: Call, k: int) -> Along:
    """A row lies where the first matrix has it; a column where the second has it, if the rows lie nowhere."""
    left, right = (call[name] for name in FACTORS[call.name])
    vector = right.ndim == 1
    p = summed(call.of(left, k), [left.ndim - 1])
    if vector:
        p = replace(p, at=p.at.squeeze(-1))
    if p.nowhere and not vector:
        p = summed(call.of(right, k), [right.ndim - 2])
    return met(p, call.of(call["self"], k).lifted(call.out.ndim)) if "self" not in FACTORS[call.name] else p


def reduced(call: Call, k: int) -> Along:
    """Means, norms, extremes over dimensions: the middle."""
    x, dims = call.first, call["dim"]
    dims = range(x.ndim) if dims is None or dims == [] else [dims] if isinstance(dims, int) else dims
    dims = sorted(dim % x.ndim for dim in dims)
    p = summed(call.of(x, k), dims)
    if call.out.ndim == x.ndim:
        return p
    at = p.at
    for dim in reversed(dims):
        at = at.narrow(dim, 0, 1).squeeze(dim)
    return replace(p, at=at)
