"""A report that opens from disk, alone: one HTML file with every picture inside.

The content is plain data, made by whoever has something to tell; the template knows nothing of methods or networks.

    Report ─┬─ Section (a picture) ─┬─ photo, charts (Bars)
            │                       └─ Panel ── Tile (a map with its words)
            └─ Table (methods × measures, Score with its interval)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from foveal.render.charts import Score, bar_chart, interval_chart, score_range, score_text
from foveal.render.color import diverging, sequential
from foveal.render.fragment import data_uri
from foveal.render.overlay import resized
from foveal.render.pages import environment as new_environment
from foveal.storage.atomic import write_text

if TYPE_CHECKING:
    import os

    import jinja2
    import numpy as np
    from jaxtyping import UInt8
    from numpy.typing import NDArray
    from PIL import Image

    from foveal.render.charts import Bars, Column

QUALITY = 68  # of the pictures, as WebP
GRADIENT_STOPS = 17


@dataclass(frozen=True)
class Tile:
    """A small picture with its words.

    title       the method or layer.
    alt         what the picture shows, for those who do not see it.
    detail      one short line of numbers below the title.
    verdict     whether it agrees with what is known; None where that is no question. `finding` says it in words.
    known       it shows what is known, not what a method claims: it is set apart from the others.
    """

    title: str
    picture: Image.Image
    alt: str
    detail: str = ""
    verdict: bool | None = None
    finding: str = ""
    known: bool = False

    @property
    def wide(self) -> bool:
        """Two pictures side by side need twice the room."""
        return self.picture.width > 1.6 * self.picture.height

    @property
    def whole(self) -> bool:
        """A sheet of many pictures needs the width of the page."""
        return self.picture.width > 1000


@dataclass(frozen=True)
class Panel:
    """Tiles that answer one question about a picture; the panels of a section are shown in turn."""

    title: str
    tiles: tuple[Tile, ...]
    text: str = ""
    tree: str = ""  # `tree_page.fragment`, shown first


@dataclass(frozen=True)
class Section:
    """All about one picture."""

    heading: str
    photo: Tile
    text: str = ""
    charts: tuple[Bars, ...] = ()
    panels: tuple[Panel, ...] = ()


@dataclass(frozen=True)
class Row:
    """One line of a table: a name, a word about it, and a score a column (None where it has none)."""

    name: str
    scores: tuple[Score | None, ...]
    about: str = ""


@dataclass(frozen=True)
class Table:
    """Scores side by side; every column has one scale from top to bottom."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    text: str = ""
    name: str = "method"  # what a row is


@dataclass(frozen=True)
class Report:
    """What a report tells, in the order of reading.

    highlights      a few big numbers with a line each: ("97.4 %", "of fresh pictures recognized").
    caveats         how to read the maps, a sentence each.
    terms           words explained at the end: (word, meaning).
    provenance      how to make this again: (what, value).
    """

    title: str
    intro: str
    sections: tuple[Section, ...] = ()
    tables: tuple[Table, ...] = ()
    highlights: tuple[tuple[str, str], ...] = ()
    caveats: tuple[str, ...] = ()
    terms: tuple[tuple[str, str], ...] = ()
    provenance: tuple[tuple[str, str], ...] = ()

    @property
    def has_trees(self) -> bool:
        return any(panel.tree for section in self.sections for panel in section.panels)


def render_report(report: Report) -> str:
    """The report as one HTML document that refers to nothing outside of itself."""
    return _template().render(
        report=report,
        sequential=_gradient(sequential()),
        diverging=_gradient(diverging()),
    )


def write_report(report: Report, path: str | os.PathLike[str]) -> Path:
    """The file, holding the whole report; an interrupted write leaves an earlier one as it was."""
    write_text(path, render_report(report))
    return Path(path)


def _template() -> jinja2.Template:
    from markupsafe import Markup

    environment = new_environment("foveal.report")
    environment.filters["uri"] = lambda picture: Markup(data_uri(picture, quality=QUALITY))
    environment.filters["thumb"] = lambda picture: Markup(data_uri(resized(picture, 144), quality=QUALITY))
    environment.filters["bars"] = lambda bars: Markup(bar_chart(bars))
    environment.tests["measured"] = _is_measured
    environment.filters.update(best=_is_best, text=score_text, range=score_range)
    environment.filters["interval"] = lambda score, column: Markup(interval_chart(score, column))
    return environment.get_template("report.html")


def _is_measured(score: Score | None) -> bool:
    return score is not None and math.isfinite(score.value)


def _is_best(score: Score, table: Table, column: int) -> bool:
    """Whether no other row does better in this column, as far as the printed digits tell."""
    measure = table.columns[column]
    values = [cell.value for row in table.rows if (cell := row.scores[column]) and _is_measured(cell)]
    best = max(values) if measure.higher_is_better else min(values)
    return score_text(score, measure) == score_text(Score(best), measure)


def _gradient(table: UInt8[NDArray[np.uint8], "256 3"]) -> str:
    """The color table as the stops of a CSS gradient."""
    at = [round(i * 255 / (GRADIENT_STOPS - 1)) for i in range(GRADIENT_STOPS)]
    return ", ".join("rgb({} {} {})".format(*table[i]) for i in at)
