"""The page of a match: each query beside the references that are most like it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from foveal.report.answers.match import match_answer
from foveal.report.answers.ranks import ranks_answer
from foveal.report.recorded_page import RecordedPage

if TYPE_CHECKING:
    from foveal.results import Match

MOST = 12  # references of a query that are shown beside it


def match_page(pair: Match, *, title: str = "") -> str:
    """A page that shows the ranks of each query, and the maps of the first references."""
    page = RecordedPage()
    queries = [page.photo(photo, i) for i, photo in enumerate(pair.queries)]
    references = [page.photo(photo, len(queries) + j) for j, photo in enumerate(pair.references)]
    every = list(dict.fromkeys([*queries, *references]))
    name = match_answer(pair).method
    for i, query in enumerate(queries):
        on = {"photo": query, "model": page.model(pair.model), "metric": pair.metric}
        page.add("ranks", {**on, "among": [hash for hash in every if hash != query]}, ranks_answer(pair, references, i))
        for j in pair.ranking(i)[:MOST]:
            asked = {**on, "other": references[j], "method": name, "lines": None, "parts": 0}
            page.add("match", asked, match_answer(pair, i, j))
    fields = urlencode({"by": name, "metric": pair.metric})
    return page.html(f"#/match?{fields}", title=title or f"{pair.model}: {len(queries)} matched")
