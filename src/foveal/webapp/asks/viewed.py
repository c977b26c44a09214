"""What the person looks at: the page tells it, so that Python knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.report.answers.wire import Wire
from foveal.webapp.ask import Progress, Query, ask
from foveal.webapp.openings import Viewed

if TYPE_CHECKING:
    from foveal.webapp.studio import Studio


class ViewedQuery(Query):
    """What the person looks at now."""

    now: Viewed


class ViewedAnswer(Wire):
    """It was heard."""


@ask("viewed", lasting=False)
def viewed(studio: Studio, query: ViewedQuery, progress: Progress) -> ViewedAnswer:
    """Keep it; the last one that any page told holds."""
    if studio.openings:
        studio.openings.viewed = query.now
    return ViewedAnswer()
