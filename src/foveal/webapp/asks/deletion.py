"""The score while a photo disappears, the strongest positions of its map first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pydantic import Field

from foveal.errors import LayerError
from foveal.metrics.curves import Curve, regrid
from foveal.metrics.curves import deletion as curve_of
from foveal.report.answers.wire import Wire
from foveal.webapp.ask import Progress, ask
from foveal.webapp.asks.decision import DecisionQuery, explained
from foveal.webapp.questions import known, question_of
from foveal.webapp.shapes import FillName, fill_of

if TYPE_CHECKING:
    from torch import Tensor

    from foveal.results import Explanation
    from foveal.webapp.studio import Studio


class DeletionQuery(DecisionQuery):
    """The curve of one map of a decision.

    Attributes:
        at: the layer whose map says what is hidden first.
        steps: at most, spread evenly over the positions.
        fill: what stands there, see `Edit`.
    """

    at: str = Field(max_length=300)
    steps: int = Field(default=16, ge=1, le=200)
    fill: FillName = "blur"


class DeletionAnswer(Wire):
    """Two curves.

    Attributes:
        shares: of positions that are hidden, from 0 to 1.
        scores: with the strongest positions hidden first.
        chance: with as many hidden in a random order.
    """

    shares: list[float]
    scores: list[float | None]
    chance: list[float | None]


@ask("deletion")
def deletion(studio: Studio, query: DeletionQuery, progress: Progress) -> DeletionAnswer:
    """Two forward passes a step."""
    why, question = explained(studio, query, progress), question_of(studio, query)
    if query.at not in why.maps:
        raise LayerError(f"this decision has no map at {query.at!r}: it has {', '.join(why.layers)}")
    map = _tiled(why, query.at, question.geometry.input_size)
    at_random = torch.rand(map.shape, generator=torch.Generator().manual_seed(0))
    steps = min(query.steps, map.numel())
    fill = fill_of(query.fill, question.preprocessing)
    with question.asking() as asked:

        def ask_on(x: Tensor) -> Tensor:
            progress("Hiding the strongest positions first", asked.count, 2 * steps + 2)
            return asked(x)

        def curve(order: Tensor) -> Curve:
            return curve_of(ask_on, question.x, order, steps=steps, fill=fill)

        by_map, chance = curve(map), curve(at_random)
    return DeletionAnswer(shares=by_map.shares.tolist(), scores=known(by_map.scores), chance=known(chance.scores))


def _tiled(why: Explanation, layer: str, size: tuple[int, int]) -> Tensor:
    """The map, its positions tiling the network's input."""
    map, place = why.maps[layer][0].float().cpu(), why.where.get(layer)
    return map if place is None else regrid(map, (map.shape[0], map.shape[1]), place, size)
