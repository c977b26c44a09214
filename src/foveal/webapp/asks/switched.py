"""What the network says with channels of a layer switched off, and which channels bring most to a place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pydantic import Field

from foveal.report.answers.wire import Wire
from foveal.webapp.ask import Progress, TargetQuery, ask
from foveal.webapp.questions import HighestClasses, known, question_of
from foveal.webapp.shapes import Run
from foveal.webapp.switchboard import Switch, Switchboard, switchboard_of

if TYPE_CHECKING:
    from foveal.webapp.studio import Studio


class SwitchedQuery(TargetQuery):
    """Channels that are switched off or scaled."""

    switch: Switch


class SwitchedAnswer(Wire):
    """What that does.

    Attributes:
        whole: the explained score of the photo as it is.
        score: the same with these channels switched; None where it is no number.
        claimed: what the switched neurons bring by activation times gradient: how far the score should fall.
        classes: the highest of them.
        resumed: the network went on from the layer; False where it had to run from its input.
    """

    whole: float
    score: float | None
    claimed: float
    classes: HighestClasses
    resumed: bool


class BringsQuery(TargetQuery):
    """Channels of a layer by what they bring.

    Attributes:
        layer: where.
        runs: (row, first column, last column) of positions of its upright map; None is all of them.
        most: how many channels.
    """

    layer: str = Field(max_length=300)
    runs: list[Run] | None = Field(default=None, max_length=4096)
    most: int = Field(default=8, ge=1, le=64)


class ChannelBrings(Wire):
    """One channel at these positions.

    Attributes:
        channel: its number.
        brings: activation times gradient, summed: the part of the score that is due to it, by the gradient.
        active: its mean activation.
    """

    channel: int
    brings: float
    active: float


class BringsAnswer(Wire):
    """The channels that bring most, for or against, the largest first.

    Attributes:
        of: how many channels the layer has.
        total: what all of them bring.
    """

    of: int
    total: float
    channels: list[ChannelBrings]


@ask("switched")
def switched(studio: Studio, query: SwitchedQuery, progress: Progress) -> SwitchedAnswer:
    """What comes after the layer runs once."""
    board = board_at(studio, query, query.switch.layer)
    factors = board.factors(query.switch)
    score, classes = board.answered(board.A * factors)
    return SwitchedAnswer(
        whole=board.score,
        score=known([score])[0],
        claimed=float((board.brings * (1 - factors)).double().sum()),
        classes=classes,
        resumed=board.resumes,
    )


@ask("brings")
def brings(studio: Studio, query: BringsQuery, progress: Progress) -> BringsAnswer:
    """No forward pass where the layer was looked at already."""
    board = board_at(studio, query, query.layer)
    chosen = board.factors(Switch(layer=query.layer, runs=query.runs)) == 0
    by_channel = (board.brings * chosen).double().sum((0, 2, 3))
    active = (board.A * chosen).double().sum((0, 2, 3)) / chosen[0, 0].sum().clamp(min=1)
    order = by_channel.abs().argsort(descending=True, stable=True)[: query.most]
    return BringsAnswer(
        of=len(by_channel),
        total=float(by_channel.sum()),
        channels=[
            ChannelBrings(channel=int(c), brings=float(by_channel[c]), active=float(active[c]))
            for c in order
            if bool(torch.isfinite(by_channel[c]))
        ],
    )


def board_at(studio: Studio, query: TargetQuery, layer: str) -> Switchboard:
    """The layer, ready; of a model the one that was asked about last is kept, with all that came before it."""
    tag = (query.photo, query.target, layer)
    last: dict[tuple[str, str, str], Switchboard] = studio.kept(("switchboard", query.model), dict)
    if tag not in last:
        last.clear()
        last[tag] = switchboard_of(question_of(studio, query), layer)
    return last[tag]
