"""A studio's answers as a page that opens from disk.

record = StudioRecord(studio)
record.ask("decision", {"photo": hash, "model": "demo", "method": "hirescam"})
record.page("#/decision")
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from foveal.report.keys import key_of
from foveal.report.page import studio_page
from foveal.report.recorded_page import photo_uri
from foveal.webapp.ask import ASKS

if TYPE_CHECKING:
    from foveal.report.answers.library import LibraryAnswer
    from foveal.report.answers.wire import Wire
    from foveal.webapp.ask import Progress
    from foveal.webapp.studio import Studio

SIDE = 720  # long side in pixels of a photo, as large as a page draws it


class StudioRecord:
    """What a studio was asked, and what it answered.

    Attributes:
        answers: by `key_of`.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self.answers: dict[str, Wire | str] = {}
        self._photos: dict[str, None] = {}

    def ask(self, name: str, query: Mapping[str, Any], progress: Progress = lambda what, done, total: None) -> Wire:
        """Ask, and keep the answer under the query as the page writes it.

        Raises:
            FovealError: for what cannot be answered; nothing is kept then.
        """
        import foveal.webapp.asks  # noqa: F401  registers what can be asked

        one = ASKS[name]
        answer = one.answer(self._studio, one.query.model_validate(query), progress)
        self.keep(name, query, answer)
        return answer

    def keep(self, name: str, query: Mapping[str, Any], answer: Wire | str) -> None:
        """Keep an answer that is known."""
        self.answers[key_of(name, query)] = answer
        known = {photo.hash for photo in self._studio.photos}
        self._photos.update(dict.fromkeys(text for text in _texts(query) if text in known))

    def page(self, address: str = "", *, title: str = "foveal", coarse: bool = False) -> str:
        """The page with everything that was kept, see `studio_page`."""
        return studio_page(self.answers, self.library(), address, title=title, coarse=coarse)

    def library(self) -> LibraryAnswer:
        """What the studio has, with the photos that were asked about inside."""
        from foveal.webapp.asks.library import LibraryQuery, library

        whole = library(self._studio, LibraryQuery(), lambda what, done, total: None)
        photos = [
            entry.model_copy(update={"url": self._inside(entry.hash)})
            for entry in whole.photos
            if entry.hash in self._photos
        ]
        return whole.model_copy(update={"photos": photos, "live": False, "atlas": ""})

    def _inside(self, hash: str) -> str:
        return photo_uri(self._studio.photo(hash).shown(SIDE), side=SIDE)


def _texts(value: Any) -> Iterator[str]:
    """Every text in a query."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inside in value.values():
            yield from _texts(inside)
    elif isinstance(value, list | tuple):
        for inside in value:
            yield from _texts(inside)
