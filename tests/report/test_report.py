from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from foveal.render.charts import Bar, Bars, Column, Score
from foveal.report.report import Panel, Report, Row, Section, Table, Tile, render_report, write_report

NASTY = "<script>alert('1')</script> & \"quotes\""
VOID = {"meta", "link", "img", "input", "br", "hr"}


def tile(title: str, **more: Any) -> Tile:
    return Tile(title, Image.new("RGB", (30, 20), "teal"), alt=f"{title} described", **more)


SECTION = Section(
    "A jay",
    tile("photo"),
    text=NASTY,
    charts=(Bars(NASTY, (Bar(NASTY, 1.0, marked=True),), caption=NASTY),),
    panels=(
        Panel("why", (tile("known", known=True), tile("m1", verdict=True), tile("m2", verdict=False, finding=NASTY))),
        Panel("why not", (tile("m1", detail=NASTY),), text=NASTY),
    ),
)
COLUMNS = (Column("hits", NASTY, percent=True, reference=0.1), Column("cost", limits=(0, 9), higher_is_better=False))
REPORT = Report(
    title=NASTY,
    intro=NASTY,
    sections=(SECTION, replace(SECTION, heading=NASTY)),
    tables=(
        Table(
            NASTY, COLUMNS, (Row("m1", (Score(0.9, 0.8, 1.0), Score(2.0)), NASTY), Row("m2", (None, Score(1.5)))), NASTY
        ),
    ),
    highlights=((NASTY, NASTY),),
    caveats=(NASTY,),
    terms=((NASTY, NASTY),),
    provenance=((NASTY, NASTY),),
)


class Page(HTMLParser):
    """Every element with its attributes, and whether tags open and close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.code: dict[str, str] = {"style": "", "script": ""}
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in self.code:
            self.code[self.open[-1]] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.elements if found == tag]


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render_report(REPORT))


def test_nothing_is_loaded_from_anywhere(page: Page) -> None:
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "poster", "data", "action", "formaction", "xlink:href", "style"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (name, value)
    css, script = page.code["style"], page.code["script"]
    assert css and script
    assert "url(" not in css and "@import" not in css and "@font-face" not in css
    assert not re.search(r"fetch|XMLHttp|import\b|WebSocket|sendBeacon|https?:|//\w+\.", script)
    assert {attributes.get("http-equiv") for attributes in page.all("meta")} == {None}
    assert page.all("iframe") == page.all("object") == page.all("base") == []


def test_every_picture_has_words(page: Page) -> None:
    pictures = page.all("img")
    assert len(pictures) == 2 * (1 + 1 + 4)  # index, photo and four tiles, twice
    described = [image["alt"] for image in pictures if image["alt"]]
    assert len(described) == 10  # only the index's thumbnails, which have a caption, are decoration
    assert all(image.get("alt") is not None for image in pictures)
    charts = [svg for svg in page.all("svg") if svg.get("role") == "img"]
    assert len(charts) == 2 and all(svg["aria-label"] for svg in charts)


def test_whatever_the_words_contain_stays_words() -> None:
    text = render_report(REPORT)
    assert text.count("<script>") == 1 and "alert('1')</script>" not in text
    assert "&lt;script&gt;alert(" in text


def test_it_works_from_the_keyboard_and_without_its_script(page: Page) -> None:
    identities = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identities) == len(set(identities))
    radios = page.all("input")
    assert [radio["type"] for radio in radios] == ["radio"] * 4
    assert [radio["name"] for radio in radios if "checked" in radio] == ["panel-1", "panel-2"]
    assert {label["for"] for label in page.all("label")} == {radio["id"] for radio in radios}
    for _, attributes in page.elements:
        for name in ("aria-labeledby", "for"):
            assert attributes.get(name) is None or attributes[name] in identities
        if (attributes.get("href") or "").startswith("#"):
            assert str(attributes["href"])[1:] in identities
        assert not any(name.startswith("on") for name in attributes)


def test_light_and_dark(page: Page) -> None:
    assert "prefers-color-scheme: dark" in page.code["style"]
    assert {"name": "color-scheme", "content": "light dark"} in page.all("meta")


def test_verdicts_are_words_and_signs_not_only_colors() -> None:
    text = render_report(REPORT)
    assert "✓ hit" in text and "✗ &lt;script&gt;" in text


def test_the_best_of_a_column_is_marked(page: Page) -> None:
    cells = page.all("td")
    assert [cell.get("class") for cell in cells] == ["best", None, None, "best"]  # hits up, cost down
    assert [cell["data-value"] for cell in cells] == ["0.9", "2.0", "", "1.5"]
    assert cells[0]["title"] == "95 % interval 80 % to 100 %"


def test_scores_that_print_alike_are_marked_alike() -> None:
    rows = tuple(Row(str(value), (Score(value),)) for value in (0.8301, 0.8299, 0.82))
    page = Page(render_report(Report("t", "i", tables=(Table("t", COLUMNS[:1], rows),))))
    assert [cell.get("class") for cell in page.all("td")] == ["best", "best", None]


def test_what_could_not_be_measured_is_a_dash_and_never_the_best() -> None:
    rows = (Row("m1", (Score(float("nan")),)), Row("m2", (Score(0.5),)))
    page = Page(render_report(Report("t", "i", tables=(Table("t", COLUMNS[:1], rows),))))
    assert [cell.get("class") for cell in page.all("td")] == [None, "best"]
    assert [cell["data-value"] for cell in page.all("td")] == ["", "0.5"]


def test_one_panel_needs_no_choice() -> None:
    one = replace(REPORT, sections=(replace(SECTION, panels=SECTION.panels[:1]),))
    assert Page(render_report(one)).all("input") == []


def test_an_empty_report_is_a_page() -> None:
    page = Page(render_report(Report("t", "i")))
    assert page.all("article") == page.all("table") == [] and len(page.all("h1")) == 1


def test_the_same_report_is_the_same_page() -> None:
    assert render_report(REPORT) == render_report(REPORT)


def test_the_file_is_whole_or_what_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_report(REPORT, tmp_path / "new" / "report.html")
    before = path.read_text(encoding="utf-8")
    assert before == render_report(REPORT)

    def fails(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(KeyboardInterrupt):
        write_report(replace(REPORT, title="other"), path)
    assert path.read_text(encoding="utf-8") == before
    assert list(path.parent.iterdir()) == [path]


def test_every_panel_of_the_demo_can_be_shown() -> None:
    """Panels are shown by the style sheet alone, number by number."""
    from importlib import resources

    from foveal.demo import panels, pictures

    css = (resources.files("foveal.render") / "templates" / "report.css").read_text(encoding="utf-8")
    count = 3 + sum(name.endswith("_panel") for name in {**vars(panels), **vars(pictures)})
    assert count >= 6
    for number in range(1, count + 1):
        assert f"input:nth-of-type({number}):checked ~ .panel:nth-of-type({number})" in css
