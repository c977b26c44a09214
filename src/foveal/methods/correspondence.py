"""Which place meets which: a similarity taken apart over all pairs of places. Specification: FAM, section 11.

    U_x = A_x · ∂v/∂A_x        what place x adds to the embedding; Σ_x U_x = v where A to v has no offset
    cos(q, s) = Σ_xy ⟨U^q_x, U^s_y⟩ / (|q| |s|) + what no place holds

exactly, for global average and generalized-mean pooling, and for projections behind them up to their biases. Metrics
that compare places have theirs by definition: f_xy u_x·v_y.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.similarity import Cosine, Distance, Dot
from foveal.similarity.local import ByFlow
from foveal.similarity.pooled import length

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from foveal.methods.pairwise import Side

WIDEST = 512  # backward passes through the head that lines are worth, unless someone asks for them
AT_ONCE = 2**24  # pairs of places in memory
NONE = float("nan")


@dataclass(frozen=True)
class Correspondences:
    """The strongest pairs of places.

    Attributes:
        places: (n, m, k, 5): row and column on the query, row and column on the reference, what they add to the
            similarity; strongest first, NaN where there are fewer than k.
        unplaced: (n, m), what of the similarity no pair of places holds.
        notes: what a reader must know.
    """

    places: Float[Tensor, "n m k 5"]
    unplaced: Float[Tensor, "n m"]
    notes: tuple[str, ...] = ()

    @classmethod
    def none(cls, score: Float[Tensor, "n m"], *notes: str) -> Correspondences:
        return cls(score.new_zeros(*score.shape, 0, 5), torch.full_like(score, NONE), notes)


def correspond(queries: Side, references: Side, metric: Distance, k: int | None) -> Correspondences:
    """The k strongest pairs of places for each query and reference; None is 8 where they cost little.

    A place is in one pair at most, so that lines spread over the pictures instead of ending in one place.
    """
    n, m = len(queries.A), len(references.A)
    if k is None and (passes := passes_of(queries)) > WIDEST:
        score = metric.score(queries.v[:, None], references.v[None])
        note = f"lines between positions were left out: they take {passes} backward passes for each image"
        return Correspondences.none(score, f"{note}; lines=8 draws them")
    k = min(k or 8, max(8, *(side.A[0, 0].numel() for side in (queries, references))))
    if not isinstance(metric, Cosine | Dot | ByFlow):
        score = metric.score(queries.v[:, None], references.v[None])
        return Correspondences.none(score, f"{metric.name} is not a sum over pairs of positions, so there are no lines")
    places = queries.A.new_full((n, m, k, 5), NONE)
    unplaced = queries.A.new_zeros(n, m)
    ours, theirs = (None, None) if metric.local else (shares(queries), shares(references))
    for i in range(n):
        for j in range(m):
            if isinstance(metric, ByFlow):
                table = metric.table(queries.A[i], references.A[j])
                values, columns = table.topk(min(k, table.shape[1]), 1)
            else:
                assert ours is not None and theirs is not None
                scale = length(queries.v[i]) * length(references.v[j]) if isinstance(metric, Cosine) else 1
                U, V = ours[i] / scale, theirs[j]
                unplaced[i, j] = metric.score(queries.v[i], references.v[j]) - U.sum(1) @ V.sum(1)
                values, columns = best_partners(U, V, k)
            places[i, j] = strongest(values, columns, queries.A.shape[3], references.A.shape[3], k)
    return Correspondences(places, unplaced)


def shares(side: Side) -> Float[Tensor, "n d x"]:
    """U: what each place adds to the embedding."""
    if side.placed is None:
        side.placed = _shares(side)
    return side.placed


def _shares(side: Side) -> Float[Tensor, "n d x"]:
    if not side.runs:
        A = side.A.flatten(2)
        return A / A.shape[2]
    if channel_by_channel(side):
        return side.shares(torch.ones_like(side.v)[:, None])[:, 0].flatten(2)
    eye = torch.eye(side.v.shape[1], dtype=side.v.dtype, device=side.v.device)
    return side.pulled(eye.expand(len(side.v), -1, -1)).flatten(2)


def passes_of(side: Side) -> int:
    """Backward passes through the head that `shares` takes."""
    return 0 if not side.runs else 1 if channel_by_channel(side) else side.v.shape[1]


def channel_by_channel(side: Side) -> bool:
    """Whether number k of the embedding is made of channel k alone, as in every kind of pooling."""
    if not side.runs:
        return True
    if side.v.shape[1] != side.A.shape[1]:
        return False
    signs = torch.randint(0, 2, side.v.shape, generator=torch.Generator().manual_seed(0), device="cpu") * 2 - 1
    signs = signs.to(side.v)
    whole, mixed = (side.shares(weights[:, None])[:, 0] for weights in (torch.ones_like(signs), signs))
    return torch.allclose(mixed, whole * signs[:, :, None, None], rtol=1e-3, atol=1e-5 * float(whole.abs().amax()))


def best_partners(U: Float[Tensor, "d x"], V: Float[Tensor, "d y"], k: int) -> tuple[Tensor, Tensor]:
    """For each place x the values and the numbers of its k best partners; never more than `AT_ONCE` pairs at a time."""
    few = max(1, AT_ONCE // V.shape[1])
    parts = [(part.mT @ V).topk(min(k, V.shape[1]), 1) for part in U.split(few, 1)]
    return torch.cat([values for values, _ in parts]), torch.cat([columns for _, columns in parts])


def strongest(
    values: Float[Tensor, "x k"], columns: Int[Tensor, "x k"], width: int, other_width: int, k: int
) -> Float[Tensor, "k 5"]:
    """Rows, columns and values of the k largest pairs above 0 of which no two share a place.

    Each pair that is taken rules out one partner of the others, so the k best partners of each place are enough.
    """
    left, rows = values.clone(), values.new_full((k, 5), NONE)
    for row in rows[: len(values)]:
        x, at = divmod(int(left.argmax()), left.shape[1])
        y = int(columns[x, at])
        if not float(left[x, at]) > 0:
            break
        row.copy_(values.new_tensor([x // width, x % width, y // other_width, y % other_width, float(values[x, at])]))
        left[x] = -torch.inf
        left[columns == y] = -torch.inf
    return rows
