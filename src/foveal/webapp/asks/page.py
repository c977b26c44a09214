"""What was looked at, as a page that opens from disk; written from the answers that are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, ValidationError

from foveal.errors import ResultError
from foveal.report.answers.wire import Wire
from foveal.webapp.ask import ASKS, PhotoQuery, Progress, Query, ask
from foveal.webapp.record import StudioRecord

if TYPE_CHECKING:
    from foveal.webapp.studio import Studio

MOST = 1000


class AskedQuery(Query):
    """Something that the page asked: of which ask, and its query as it was sent."""

    name: Annotated[str, Field(max_length=40)]
    query: dict[str, Any]


class PageQuery(PhotoQuery):
    """A page with the answers to these, and no others.

    Attributes:
        asked: what the page asked so far.
        address: the view to begin with.
    """

    asked: list[AskedQuery] = Field(min_length=1, max_length=MOST)
    address: str = Field(default="", max_length=8000)


class PageAnswer(Wire):
    """The page, one HTML document."""

    name: str
    html: str


@ask("page", lasting=False)
def page(studio: Studio, query: PageQuery, progress: Progress) -> PageAnswer:
    """Nothing is computed: an answer that is not kept any more must be looked at again."""
    record = StudioRecord(studio)
    for done, asked in enumerate(query.asked):
        progress("answers", done, len(query.asked))
        record.keep(asked.name, asked.query, _kept(studio, asked))
    stem = studio.photo(query.photo).name.rsplit(".", 1)[0]
    return PageAnswer(name=f"{stem}.html", html=record.page(query.address, title=f"{stem} · foveal"))


def _kept(studio: Studio, asked: AskedQuery) -> str:
    one, answer = ASKS.get(asked.name), None
    if one and one.lasting:
        try:
            answer = studio.answers.get(one.key(one.query.model_validate(asked.query)))
        except ValidationError:
            answer = None
    if answer is None:
        raise ResultError(
            f"the studio has its answer to {asked.name!r} no more: look at the view again, then save the page"
        )
    return answer.decode()
