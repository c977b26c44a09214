"""Nodes of a tree switched off or scaled: what the network says then, beside what the tree claims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from foveal.report.answers.scores import ScoresAnswer, scores_answer
from foveal.report.answers.wire import Wire
from foveal.targets.heads import read_head
from foveal.webapp.ask import Progress, Query, ask
from foveal.webapp.asks.scores import ending_of
from foveal.webapp.trees import MOST_NODES, TreeQuery, live_tree, pictures_of

if TYPE_CHECKING:
    from foveal.attribution.context import Context
    from foveal.targets import ModelOutput
    from foveal.webapp.studio import Studio


class Scaled(Query):
    """A node and its scale: 0 switches it off, 1 leaves it as it is."""

    of: str = Field(max_length=60)
    scale: Annotated[float, Field(ge=0, le=2)]


class WithoutQuery(TreeQuery):
    """Nodes to scale, all at once."""

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
    context = pictures_of(live).context
    found = live.switched({live.feature(one.of): one.scale for one in query.scaled})
    return WithoutAnswer(score=found.score, before=found.before, scores=_scores(studio, query, context, found.output))


def _scores(studio: Studio, query: WithoutQuery, context: Context, outcome: ModelOutput) -> ScoresAnswer | None:
    if outcome.output is None:
        return None
    head = read_head(outcome.output, context.task, ending_of(studio, query.model, context))
    return scores_answer(head, context.labels)
