"""Deletion and insertion: the score while the picture disappears or appears, most important places first.

    deletion    the top share of places is replaced by the baseline: a true map makes the score fall early
    insertion   … of the baseline by the picture: a true map makes it rise early

(Petsiuk et al., BMVC 2018, arXiv:1806.07421; specification: metrics, section 4.) Only the order of places counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from foveal.errors import MethodError
from foveal.metrics.baselines import BaselineName, baseline

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Ask = Callable[[Tensor], Tensor]
"""Inputs (k, c, h, w) to scores (k,)."""


@dataclass(frozen=True, eq=False)
class Curve:
    """The scores along the way.

    Attributes:
        shares: (k + 1,), of the places changed, from 0 to 1.
        scores: (k + 1,).
        better: whether a small or a large area below the curve is good.
    """

    shares: Float[Tensor, " k"]
    scores: Float[Tensor, " k"]
    better: Literal["lower", "higher"]

    @property
    def area(self) -> float:
        """Under the curve, by trapezia, both ends included."""
        return float(torch.trapezoid(self.scores.double(), self.shares.double()))


def deletion(
    ask: Ask,
    x: Float[Tensor, "1 c h w"],
    map: Float[Tensor, "h2 w2"],
    *,
    steps: int = 196,
    fill: BaselineName | Tensor | Callable[[Tensor], Tensor] = "zero",
    chunk: int = 32,
    seed: int = 0,
) -> Curve:
    """The score while the most important places of the picture are replaced.

    Args:
        ask: the score of altered copies.
        map: of any size; places are its cells. Negative evidence counts as least important.
        steps: at most; shares are spread evenly.
        fill: what replaces them, see `baseline`.
        chunk: copies asked at once; the result does not depend on it.
        seed: of the order among equals.
    """
    return Curve(*_path(ask, x, baseline(x, fill, seed=seed), map, steps, chunk, seed), "lower")


def insertion(
    ask: Ask,
    x: Float[Tensor, "1 c h w"],
    map: Float[Tensor, "h2 w2"],
    *,
    steps: int = 196,
    fill: BaselineName | Tensor | Callable[[Tensor], Tensor] = "blur",
    chunk: int = 32,
    seed: int = 0,
) -> Curve:
    """The score while they are restored, from a picture with nothing in it; arguments as for `deletion`."""
    return Curve(*_path(ask, baseline(x, fill, seed=seed), x, map, steps, chunk, seed), "higher")


def ranks(map: Float[Tensor, "h w"], *, seed: int = 0) -> Int[Tensor, "h w"]:
    """0 for the most important place, h·w − 1 for the least; equals in a random order that the seed decides."""
    flat = map.detach().flatten().cpu()
    shuffled = torch.randperm(len(flat), generator=torch.Generator().manual_seed(seed))
    order = shuffled[flat[shuffled].argsort(descending=True, stable=True)]
    found = torch.empty_like(order)
    found[order] = torch.arange(len(order))
    return found.view_as(map)


def _path(
    ask: Ask, begin: Tensor, end: Tensor, map: Tensor, steps: int, chunk: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Shares and scores on the way from one picture to the other."""
    if len(begin) != 1 or map.ndim != 2 or map.shape[0] > begin.shape[2] or map.shape[1] > begin.shape[3]:
        raise MethodError(
            f"a curve is of one picture (1, c, h, w) and a map (h, w) no larger, but got {tuple(begin.shape)} and "
            f"{tuple(map.shape)}"
        )
    if not bool(torch.isfinite(map).all()):
        raise MethodError("a curve needs a map of finite numbers, but this one has others")
    if steps < 1 or chunk < 1:
        raise MethodError(f"a curve takes a step at least, one copy at once at least, not {steps} and {chunk}")
    cells = map.numel()
    rank = ranks(map, seed=seed).to(begin.device)
    steps = min(steps, cells)
    counts = torch.tensor([round(k * cells / steps) for k in range(steps + 1)])
    grown = torch.nn.functional.interpolate(rank[None, None].float(), begin.shape[2:], mode="nearest")
    scores = []
    with torch.no_grad():
        for few in counts.split(chunk):
            changed = grown < few.to(grown).view(-1, 1, 1, 1)
            found = ask(torch.where(changed, end, begin)).detach().float().cpu()
            if found.shape != few.shape:
                raise MethodError(f"ask gave {tuple(found.shape)} for {len(few)} copies: it must give a score each")
            scores.append(found)
    return counts / cells, torch.cat(scores)
