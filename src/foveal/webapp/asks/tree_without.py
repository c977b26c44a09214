"""Nodes of a tree switched off or scaled: what the network says then, beside what the tree claims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from foveal.report.answers.scores import ScoresAnswer
from foveal.report.answers.wire import Wire
from foveal.webapp.ask import Progress, Query, ask
from foveal.webapp.trees import MOST_NODES, TreeQuery, live_tree

if TYPE_CHECKING:
    from foveal.webapp.studio import Studio


class Scaled(Query):
    """A node and its scale: 0 switches it off, 1 leaves it as it is."""

    of: str = Field(max_length=60)
    scale: Annotated[float, Field(ge=0, le=2)]


class WithoutQuery(TreeQuery):
    """Nodes to scale, all at once.

    Attributes:
        nodes_scaled: none twice.
    """

    scaled: list[Scaled] = Field(min_length=1, max_length=MOST_NODES)


class WithoutAnswer(Wire):
    """What the network says then.

    Attributes:
        score: of the decision.
        before: of the photo as it is, computed the same way.
        scores: of all classes; None where the decision is read from a layer, and the network stops there.
    """

    score: float
    before: float
    scores: ScoresAnswer | None


@ask("tree/without")
def without(studio: Studio, query: WithoutQuery, progress: Progress) -> WithoutAnswer:
    """A forward pass from the lowest stage of the nodes on."""
    progress("switching off", 0, 0)
    live = live_tree(studio, query)
    found = live.switched({live.feature(one.of): one.scale for one in query.scaled})
    return WithoutAnswer(score=found.score, before=found.before, scores=_scores(studio, query, found.output))
