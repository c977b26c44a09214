"""What must be hidden of a query until its first match is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from foveal.api.audit import elsewhere
from foveal.images.place import Place, laid
from foveal.metrics.baselines import Fill, hidden
from foveal.metrics.curves import ranks
from foveal.results.rank_flip import RankFlip

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

Ask: TypeAlias = "Callable[[Tensor], Tensor]"
"""Altered copies of a query (k, c, h, w) to their similarities to all references (k, m)."""

STEP, LIMIT = 0.01, 0.5
"""Shares of the image that are hidden: each per cent up to a half."""

AT_ONCE = 10  # shares, between looks at whether the ranking has flipped


def rank_flip(
    ask: Ask,
    x: Float[Tensor, "1 c h w"],
    map: Float[Tensor, "h2 w2"],
    place: Place | None,
    right: Bool[Tensor, " m"],
    compared: Bool[Tensor, " m"],
    wrong: int,
    *,
    fill: Fill = "impute",
    draws: int = 10,
    seed: int = 0,
) -> RankFlip:
    """Hide the query's positions in the order of the margin map, the strongest for the wrong match first.

    Each set is measured by a forward pass, against all references; the first that makes the first match right ends it.

    Args:
        map: the margin map, whose positions lie at `place`.
        right: which references have the query's label.
        compared: which references count.
        wrong: the number of the first match.
        fill: what is put in hidden positions.
        draws: how many areas of the same size and shape elsewhere are tried then.
    """
    order = ranks(laid(map.detach().float().cpu(), x.shape[2:], place), seed=seed)
    counts = [round(k * STEP * order.numel()) for k in range(1, round(LIMIT / STEP) + 1)]
    counts = sorted({count for count in counts if count})
    shares, margins, overtaken = [], [], []
    found: Tensor | None = None
    past_one: Tensor | None = None
    for start in range(0, len(counts), AT_ONCE):
        some = counts[start : start + AT_ONCE]
        where = torch.stack([order < count for count in some])
        similarity = _asked(ask, x, where, fill, seed)
        margin = _margins(similarity, right, compared)
        ahead = similarity[:, right & compared].amax(1) > similarity[:, wrong]
        flipped = torch.nonzero(margin < 0).flatten()
        end = int(flipped[0]) + 1 if len(flipped) else len(some)
        shares += [count / order.numel() for count in some[:end]]
        margins.append(margin[:end])
        overtaken.append(ahead[:end])
        if past_one is None and bool(ahead[:end].any()):
            past_one = where[int(torch.nonzero(ahead)[0])]
        if len(flipped):
            found = where[end - 1]
            break
    hits = 0
    if found is not None and draws:
        similarity = _asked(ask, x, elsewhere(found, draws, seed), fill, seed)
        hits = int((_margins(similarity, right, compared) < 0).sum())
    return RankFlip(
        torch.tensor(shares, dtype=torch.float64), torch.cat(margins), torch.cat(overtaken), found,
        draws if found is not None else 0, hits, past_one,
    )  # fmt: skip


def _asked(ask: Ask, x: Tensor, where: Bool[Tensor, "k h w"], fill: Fill, seed: int) -> Float[Tensor, "k m"]:
    """Similarities of the query without these positions."""
    return ask(hidden(x, where[:, None].to(x.device), fill, seed=seed)).detach().double().cpu()


def _margins(similarity: Tensor, right: Tensor, compared: Tensor) -> Float[Tensor, " k"]:
    """The best wrong reference less the best right one."""
    wrong = similarity.masked_fill(right | ~compared, -torch.inf).amax(1)
    return wrong - similarity.masked_fill(~right | ~compared, -torch.inf).amax(1)
