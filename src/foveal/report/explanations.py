"""Pages of explanations: of one method, or of several side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.report.answers.decision import decision_answer, target_text
from foveal.report.recorded_page import RecordedPage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from foveal.render.drawable import Maps


def explanation_page(why: Maps, *, title: str = "") -> str:
    """A page that shows the maps at each layer of each image."""
    page = RecordedPage()
    record_explanation(page, why, why.method)
    return page.html(title=title or f"{why.method} of {why.model}")


def record_explanation(page: RecordedPage, why: Maps, name: str) -> None:
    """Put the maps of each image under a name of their method."""
    page.method(name, targeted=why.score is not None)
    for i in range(len(why)):
        photo = page.photo(why.photos[i], i)
        query = {"photo": photo, "model": page.model(why.model), "target": target_text(why, i), "method": name}
        page.add("decision", query, decision_answer(why, i, title=name))


def record_explanations(page: RecordedPage, whys: Mapping[str, Maps]) -> None:
    """Put the maps of several methods on a page, by the names that they have there."""
    for name, why in whys.items():
        record_explanation(page, why, name)
