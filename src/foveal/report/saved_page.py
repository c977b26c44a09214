"""A result as a page of the studio that opens from disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from foveal.errors import ResultError
from foveal.report.comparison_page import comparison_page
from foveal.report.explanations import explanation_page, flow_page, parts_page
from foveal.report.matches import match_page
from foveal.report.trees import tree_page
from foveal.results import Explanation, Flow, Match, Parts
from foveal.results.explanations import Explanations
from foveal.results.result import Result
from foveal.results.tree import Tree
from foveal.storage.atomic import write_text
from foveal.storage.folder import MANIFEST
from foveal.storage.reading import damage, read_json

if TYPE_CHECKING:
    import os

    from foveal.results import Scores

KINDS: tuple[type[Result], ...] = (Explanation, Explanations, Flow, Parts, Tree, Match)


def save_page(result: Result, path: str | os.PathLike[str], scores: Scores | None = None, *, title: str = "") -> Path:
    """Write a page that shows a result as the studio does; it needs no other file, no network and no model.

        foveal.save_page(foveal.explain(model, photos, layer="all"), "why.html")
        whys = foveal.compare(model, photos, methods=["gradcam", "hirescam"])
        foveal.save_page(whys, "compare.html", foveal.measure(model, photos, explanations=whys))

    Args:
        result: of `foveal.explain`, `compare`, `flow`, `parts`, `decompose` or `match`, or loaded from a folder.
        path: of the HTML file.
        scores: of a comparison, from `foveal.measure(…, explanations=whys)`: tables that sort. None leaves them out.
        title: of the page; what it shows if left out.

    Returns:
        The path.

    Raises:
        ResultError: for a result that has no page, for scores of other methods or images, or where the file cannot be
            written.
    """
    write_text(Path(path), page_of(result, scores, title))
    return Path(path)


def load_result(folder: str | os.PathLike[str]) -> Result:
    """The saved result in a folder, whichever of those with a page it is.

    Raises:
        ResultError: where there is none, or one without a page.
    """
    with damage(f"Cannot load {str(folder)!r}", ResultError):
        format = str(read_json(Path(folder) / MANIFEST).get("format", ""))
    for kind in KINDS:
        if format == kind.FORMAT:
            return kind.load(folder)
    raise ResultError(
        f"Cannot make a page of {str(folder)!r}: it holds {format or 'no result'}, and pages show "
        f"{', '.join(kind.FORMAT for kind in KINDS)}."
    )


def page_of(result: Result, scores: Scores | None = None, title: str = "") -> str:
    """The page of a result, see `save_page`."""
    match result:
        case Explanations():
            return comparison_page(result.by_name(), scores, title=title)
        case Explanation() if scores is not None:
            return comparison_page({result.method: result}, scores, title=title)
        case Flow():
            return flow_page(result, title=title)
        case Parts():
            return parts_page(result, title=title)
        case Explanation():
            return explanation_page(result, title=title)
        case Tree():
            return tree_page(result, title=title)
        case Match():
            return match_page(result, title=title)
    raise ResultError(
        f"Cannot make a page of {type(result).__name__}: pages show explanations, comparisons, trees, matches."
    )
