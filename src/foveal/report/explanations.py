"""Pages of explanations: of one method, or of several side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from foveal.report.answers.decision import decision_answer, spec_text
from foveal.report.answers.depth import depth_answer
from foveal.report.answers.parts import parts_answer
from foveal.report.recorded_page import RecordedPage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from foveal.render.drawable import Maps
    from foveal.results import Flow, Parts


def explanation_page(why: Maps, *, title: str = "") -> str:
    """A page that shows the maps at each layer of each image."""
    page = RecordedPage()
    record_explanation(page, why, why.method)
    return page.html(title=title or f"{why.method} of {why.model}")


def flow_page(flow: Flow, *, title: str = "") -> str:
    """The same of attention flow, with what is kept and what the evidence sums to at each layer."""
    page = RecordedPage()
    record_explanation(page, flow, flow.method)
    for i, photo in enumerate(flow.photos):
        on = {"photo": page.photo(photo, i), "model": flow.model, "target": spec_text(flow.target[i], flow.target_spec)}
        page.add("depth", on, depth_answer(flow, (), i))
    return page.html(title=title or f"{flow.method} of {flow.model}")


def parts_page(parts: Parts, *, title: str = "") -> str:
    """The ranked parts of each image, and their maps as an explanation."""
    page = RecordedPage()
    asked = {name: int(str(parts.parameters[name])) for name in ("count", "resolution")}
    for i, photo in enumerate(parts.photos):
        on = {"photo": page.photo(photo, i), "model": page.model(parts.model)}
        target = spec_text(parts.target[i], parts.target_spec)
        page.add("parts", {**on, "target": target, **asked}, parts_answer(parts, i))
    record_explanation(page, parts, parts.method)
    return page.html(f"#/parts?{urlencode(asked)}", title=title or f"{parts.method} of {parts.model}")


def record_explanation(page: RecordedPage, why: Maps, name: str) -> None:
    """Put the maps of each image under a name of their method."""
    page.method(name, targeted=why.score is not None)
    for i in range(len(why)):
        photo = page.photo(why.photos[i], i)
        query = {
            "photo": photo,
            "model": page.model(why.model),
            "target": spec_text(why.target[i], why.target_spec),
            "method": name,
        }
        page.add("decision", query, decision_answer(why, i, title=name))


def record_explanations(page: RecordedPage, whys: Mapping[str, Maps]) -> None:
    """Put the maps of several methods on a page, by the names that they have there."""
    for name, why in whys.items():
        record_explanation(page, why, name)
