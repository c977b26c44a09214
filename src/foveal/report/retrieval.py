"""Queries and what they were matched with, on one page that opens from disk: wrong ones first, filters for the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup

from foveal.render.contrast import LEGEND, contrast_row, contrast_words
from foveal.render.figures import fit_photo, sentence
from foveal.render.fragment import data_uri
from foveal.render.pages import environment as new_environment
from foveal.render.tile_grid import GridTile, signed
from foveal.storage.atomic import write_text

if TYPE_CHECKING:
    from foveal.images import Photo
    from foveal.results.retrieval import Retrieval

SIDE = 176
ROWS = 200  # queries on the page; all are in queries.csv
BESIDE = 5  # references beside a query without labels


def retrieval_page(
    found: Retrieval,
    read: Callable[[str], Photo],
    *,
    sheets: Mapping[int, str] | None = None,
    parts: Mapping[int, Sequence[str]] | None = None,
    side: int = SIDE,
) -> str:
    """The page: a row a query, the shown ones with maps.

    Args:
        found: the rankings.
        read: gives the photo of a query or reference by its name in `found`.
        sheets: query -> where its sheet lies, relative to the page.
        parts: query -> where the sheets of the parts that it shares with its first references lie.
        side: of an image in pixels.
    """
    environment = new_environment("foveal.report")
    environment.filters["uri"] = lambda picture: Markup(data_uri(picture, quality=82))
    order = _order(found)
    contrasts = {contrast.query: contrast for contrast in found.contrasts}
    rows, columns = [], 1
    for i in order[:ROWS]:
        contrast = contrasts.get(i)
        words = contrast_words(found, contrast) if contrast else _words(found, i)
        tiles = contrast_row(found, contrast, side) if contrast else [*_photos(found, i, read, side)]
        columns = max(columns, len(tiles))
        margin = found.margin(i)
        rows.append({
            "name": found.queries[i], "words": words, "tiles": [tile for tile in tiles if tile.picture],
            "kind": _kind(found, i), "label": found.query_labels[i] if found.query_labels else "",
            "margin": "" if math.isnan(margin) else margin,
            "sheet": quote((sheets or {}).get(i, "")),
            "parts": [(_called(path), quote(path)) for path in (parts or {}).get(i, ())],
        })  # fmt: skip
    left = len(order) - len(rows)
    return environment.get_template("match.html").render(
        title=f"{found.model}: {len(found)} {'queries' if len(found) > 1 else 'query'}, "
              f"{len(found.references)} reference{'s' * (len(found.references) > 1)}",
        summary=sentence(found.summary),
        facts=_facts(found),
        legend=LEGEND if contrasts else "",
        rows=rows,
        labels=sorted(set(found.query_labels)),
        labeled=bool(found.query_labels),
        columns=columns,
        left=f"{left} more queries are in queries.csv." if left else "",
        notes=[sentence(note) for note in found.notes],
        side=side,
    )  # fmt: skip


def _called(path: str) -> str:
    """ "parts shelf1" of query/parts-shelf1.png."""
    return PurePosixPath(path).stem.replace("-", " ", 1)


def write_retrieval(found: Retrieval, path: Path, read: Callable[[str], Photo], **options: Any) -> Path:
    """The file, holding the whole page."""
    write_text(path, retrieval_page(found, read, **options))
    return path


def _order(found: Retrieval) -> list[int]:
    """The shown ones, other wrong ones, the rest."""
    first = [contrast.query for contrast in found.contrasts]
    wrong = [i for i in found.wrong if i not in set(first)]
    known = {*first, *wrong}
    return [*first, *wrong, *(i for i in range(len(found)) if i not in known)]


def _kind(found: Retrieval, i: int) -> str:
    if i not in set(found.counted):
        return "unknown"
    return "wrong" if i in set(found.wrong) else "right"


def _words(found: Retrieval, i: int) -> str:
    name = found.names[0][i]
    if not found.query_labels:
        return f"{name}: its most similar references"
    kind, label = _kind(found, i), found.query_labels[i]
    said = "no reference has its label" if kind == "unknown" else f"the first match is {kind}"
    margin = found.margin(i)
    ahead = "" if math.isnan(margin) else f" (margin of the best wrong over the best right: {signed(margin)})"
    return f"{name} ({label}): {said}{ahead}"


def _photos(found: Retrieval, i: int, read: Callable[[str], Photo], side: int) -> Iterator[GridTile]:
    """The query, and its first matches; with labels, its best wrong and best right reference."""

    def tile(what: str, name: str, detail: str) -> GridTile:
        return GridTile(fit_photo(read(name), side), what, detail)

    yield tile("query", found.queries[i], found.names[0][i])
    ranking = found.ranking(i)
    shown = ranking[:BESIDE]
    if found.query_labels:
        right = next((j for j in ranking if found.right[i, j]), None)
        shown = list(dict.fromkeys([*ranking[:1], *([] if right is None else [right])]))
    for j in shown:
        label = f": {found.reference_labels[j]}" if found.reference_labels else ""
        name = found.names[1][j]
        yield tile(f"rank {ranking.index(j) + 1}{label}", found.references[j], f"{signed(found.value(i, j))}  {name}")


def _facts(found: Retrieval) -> str:
    distance = " distance" if found.distance else " similarity"
    said = f"{found.metric}{distance} of {found.embedding or 'the output of the model'}; maps at {found.layer}"
    if not found.counted:
        return f"{said}."
    ranks = ", ".join(f"rank-{k} {100 * found.cmc(k):.1f} %" for k in (1, 5, 10) if k <= len(found.references))
    return f"{said}. CMC: {ranks}."
