"""Pictures compared part by part: rank against rank, or each part against whichever is most like it.

by rank       Σ_k cos(v^q_k, v^s_k): the first part with the first, as the network ranked them
order-free    the same, maximized over the order of one picture's parts, by SciPy's linear sum assignment (Crouse 2016):
              shows where ranks were swapped
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from foveal.errors import TargetError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from foveal.results.parts import Parts


@dataclass(frozen=True, eq=False)
class PartMatch:
    """How alike the parts of two pictures are.

    Attributes:
        table: (k, k), cosine of each part of the first with each of the second; 0 for empty slots.
        order: (k,), which part of the second each part of the first goes with, so that the sum is the largest.
    """

    table: Float[Tensor, "k k"]
    order: Int[Tensor, " k"]

    @property
    def by_rank(self) -> Float[Tensor, " k"]:
        """Part k with part k."""
        return self.table.diagonal()

    @property
    def best(self) -> Float[Tensor, " k"]:
        """Each part with the one it goes with."""
        return self.table.gather(1, self.order[:, None])[:, 0]

    @property
    def swapped(self) -> bool:
        """Ranks differ between the pictures."""
        return not torch.equal(self.order, torch.arange(len(self.order)))

    def __str__(self) -> str:
        pairs = zip(self.order.tolist(), self.best.tolist(), strict=True)
        said = ", ".join(f"{k + 1} with {other + 1}: {value:.2f}" for k, (other, value) in enumerate(pairs))
        return f"by rank {float(self.by_rank.sum()):.3g}, in the best order {float(self.best.sum()):.3g} ({said})"


def similarities(queries: Float[Tensor, "n k c"], references: Float[Tensor, "m k c"]) -> Float[Tensor, "n m k"]:
    """cos of the vectors of each rank; the sum over ranks is the similarity of two pictures.

    A slot that is empty in either picture gives 0.
    """
    _alike(queries, references)
    q, s = (functional.normalize(v.float(), dim=2) for v in (queries, references))
    return torch.einsum("nkc,mkc->nmk", q, s)


def order_free(queries: Float[Tensor, "n k c"], references: Float[Tensor, "m k c"]) -> Float[Tensor, "n m"]:
    """The largest Σ_k cos over all orders of the references' parts."""
    _alike(queries, references)
    q, s = (functional.normalize(v.detach().cpu().double(), dim=2) for v in (queries, references))
    best = torch.empty(len(q), len(s), dtype=torch.float64)
    for i, parts in enumerate(q):
        tables = torch.einsum("kc,mlc->mkl", parts, s)
        best[i] = torch.stack([table[_best_order(table)].sum() for table in tables])
    return best.to(queries.device, torch.float32)


def match_parts(a: Parts, b: Parts, i: int = 0, j: int = 0) -> PartMatch:
    """The parts of picture i of `a` beside those of picture j of `b`, both of one network and layer.

        foveal.results.part_similarity.match_parts(foveal.parts(model, "a.jpg"), foveal.parts(model, "b.jpg"))

    Raises:
        TargetError: for parts of different count or width.
    """
    first, second = a.groups.vectors[i], b.groups.vectors[j]
    if first.shape != second.shape:
        raise TargetError(
            f"cannot match parts {tuple(first.shape)} with {tuple(second.shape)}: find as many, at the same layer of "
            "the same network"
        )
    u, v = (functional.normalize(vectors.detach().cpu().double(), dim=1) for vectors in (first, second))
    table = u @ v.T
    rows, order = _best_order(table)
    # Empty slots go with one another in any order; as ranked, where that is no worse.
    ranked = table.diagonal().sum() >= table[rows, order].sum()
    return PartMatch(table, rows if ranked else order)


def _alike(queries: Tensor, references: Tensor) -> None:
    if queries.ndim != 3 or queries.shape[1:] != references.shape[1:]:
        raise TargetError(
            f"parts are compared rank by rank: (n, k, c) with (m, k, c), but got {tuple(queries.shape)} and "
            f"{tuple(references.shape)}"
        )


def _best_order(table: Float[Tensor, "k k"]) -> tuple[Int[Tensor, " k"], Int[Tensor, " k"]]:
    """Rows and the columns they go with, so that the sum of the table there is the largest."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(table.numpy(), maximize=True)
    return torch.from_numpy(rows), torch.from_numpy(columns)
