"""Methods as columns, images as rows, their numbers underneath: one page that opens from disk, alone."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from foveal.metrics.metric import sign_of
from foveal.render.alt_text import describe_map
from foveal.render.figures import fit_photo
from foveal.render.fragment import data_uri
from foveal.render.pages import environment as new_environment
from foveal.render.pages import script_json
from foveal.render.scale import shared_sign
from foveal.results.score_table import labeled, pairs_table, score_table
from foveal.storage.atomic import write_text

if TYPE_CHECKING:
    from foveal.render.scale import Sign
    from foveal.render.typeset import TypesetTable
    from foveal.results import Explanation, Scores

SIDE = 190
TIE = 0.01  # of the best number of an image: maps as near as this are framed, too


def comparison_page(whys: Mapping[str, Explanation], scores: Scores, *, title: str = "", side: int = SIDE) -> str:
    """The page.

    Args:
        whys: explanations of the same images, by the names that `scores` has them under.
        scores: of these, and of baseline maps, which stand in the table only.
    """
    environment = new_environment("foveal.report")
    sign = shared_sign(why.map.detach().cpu().float().numpy() for why in whys.values())
    environment.filters["uri"] = lambda picture: Markup(data_uri(picture, quality=82))
    count = len(scores.pictures)
    return environment.get_template("compare.html").render(
        title=title or f"{scores.model}: {len(whys)} methods",
        intro=(
            f"{count} image{'s' * (count != 1)}, explained by {', '.join(whys)}. The metrics measure how the score "
            f"changes when highlighted areas are hidden or shown ({scores.forwards} forward passes)."
        ),
        of=scores.of,
        side=side,
        columns=["", *whys],
        metrics=[{"label": labeled(metric)} for metric in scores.metrics],
        rows=[_row(whys, scores, i, side, sign) for i in range(count)],
        **_table(scores),
        notes=list(scores.notes),
        directions=script_json([sign_of(metric) for metric in scores.metrics]),
        tie=TIE,
    )


def write_comparison(whys: Mapping[str, Explanation], scores: Scores, path: Path, **options: Any) -> Path:
    """The file, holding the whole page."""
    write_text(path, comparison_page(whys, scores, **options))
    return path


def _row(whys: Mapping[str, Explanation], scores: Scores, i: int, side: int, sign: Sign) -> dict[str, Any]:
    first = next(iter(whys.values()))
    return {
        "name": Path(scores.pictures[i]).name,
        "target": scores.target[i],
        "score": scores.whole[i],
        "photo": fit_photo(first.photos[i], side),
        "cells": [_cell(name, why, scores, i, side, sign) for name, why in whys.items()],
    }


def _cell(name: str, why: Explanation, scores: Scores, i: int, side: int, sign: Sign) -> dict[str, Any]:
    values = [scores.values[name][metric][i] for metric in scores.metrics]
    map = why.map[i].detach().cpu().float().numpy()
    words = describe_map(map, why.photos[i].geometry, why.where.get(why.layer))
    return {
        "picture": why.overlay(i, color_bar=False, size=side, sign=sign if why.drawing.sign == "auto" else None),
        "alt": f"{name} for {why.target[i]}. {words}",
        "lines": [f"{metric} {_text(value)}" for metric, value in zip(scores.metrics, values, strict=True)],
        "numbers": json.dumps([value if math.isfinite(value) else None for value in values]),
    }


def _table(scores: Scores) -> dict[str, Any]:
    """Means of all images together, with what may be said of them."""
    means = score_table(scores, scores.metrics)
    baselines = set(scores.baseline_maps)
    rows = [
        {"name": name.text, "baseline": name.text in baselines, "cells": cells} for name, *cells in means.rows
    ]  # fmt: skip
    pairs: TypesetTable | None = None
    if len(scores.pictures) > 1 and len(scores.methods) - len(baselines) > 1:
        pairs = pairs_table(scores, scores.metrics)
    return {
        "head": means.head[1:], "body": rows, "legend": means.legend, "definitions": means.comments, "pairs": pairs
    }  # fmt: skip


def _text(value: float) -> str:
    return f"{value:.3g}".replace("-", "−") if math.isfinite(value) else "undefined"
