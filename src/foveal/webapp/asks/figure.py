"""The figure of what is shown, as a file to save."""

from __future__ import annotations

import base64
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from foveal.report.answers.wire import Wire
from foveal.webapp.ask import Progress, ask
from foveal.webapp.asks.decision import DecisionQuery, explained

if TYPE_CHECKING:
    from foveal.webapp.studio import Studio


class FigureQuery(DecisionQuery):
    """The figure of a decision.

    Attributes:
        format: "pdf" needs `pip install 'foveal[pdf]'`.
        sign: which evidence is drawn, as `foveal.Explanation.figure` takes it.
    """

    format: Literal["png", "svg", "pdf"]
    sign: Literal["auto", "positive", "negative", "signed"] = Field(default="auto")


class FigureAnswer(Wire):
    """A file: its bytes as base64."""

    name: str
    type: str
    content: str


TYPES = {"png": "image/png", "svg": "image/svg+xml", "pdf": "application/pdf"}


@ask("figure")
def figure(studio: Studio, query: FigureQuery, progress: Progress) -> FigureAnswer:
    """The photo and its map at each layer, as `save_figure` of the explanation writes it."""
    why = explained(studio, query, progress)
    with TemporaryDirectory() as folder:
        file = why.save_figure(Path(folder) / f"figure.{query.format}", sign=query.sign)
        content = file.read_bytes()
    stem = Path(studio.photo(query.photo).name).stem
    return FigureAnswer(
        name=f"{stem}-{why.method}.{query.format}",
        type=TYPES[query.format],
        content=base64.b64encode(content).decode(),
    )
