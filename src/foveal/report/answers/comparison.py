"""Several methods on one decision as a page shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.report.answers.decision import DecisionAnswer, decision_answer
from foveal.report.answers.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from foveal.results import Explanation


class MethodAnswer(Wire):
    """What one method says.

    Attributes:
        method: as it was asked for.
        decision: its maps; None where it was not run.
        refused: why it cannot run here, in a sentence.
        seconds: of a method of many forward passes, which was not run: what a map takes at each layer, about.
    """

    method: str
    decision: DecisionAnswer | None = None
    refused: str = ""
    seconds: dict[str, float] | None = None


class ComparisonAnswer(Wire):
    """Methods in the order in which they were asked for.

    Attributes:
        layers: the stages of the network, first next to the input.
        seconds: what all of it took.
    """

    methods: list[MethodAnswer]
    layers: list[str]
    seconds: float


def comparison_answer(
    whys: Iterable[Explanation],
    titles: Mapping[str, str],
    refused: Mapping[str, Exception] | None = None,
    *,
    layers: Iterable[str],
    seconds: float,
    i: int = 0,
) -> ComparisonAnswer:
    """Explanations of image i by several methods.

    Args:
        titles: the names of methods in print.
        refused: method -> why it does not apply.
        layers: the stages of the network.
        seconds: what it took.
    """
    run = [
        MethodAnswer(method=why.method, decision=decision_answer(why, i, title=titles.get(why.method, "")))
        for why in whys
    ]
    not_run = [MethodAnswer(method=name, refused=str(error)) for name, error in (refused or {}).items()]
    return ComparisonAnswer(methods=run + not_run, layers=list(layers), seconds=seconds)
