"""A page with a column for each method and a row for each image, with their numbers; needs no other file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from foveal.errors import ResultError
from foveal.metrics.metric import sign_of
from foveal.render.alt_text import describe_map
from foveal.render.figures import fit_photo
from foveal.render.fragment import data_uri
from foveal.render.pages import environment as new_environment
from foveal.render.pages import script_json
from foveal.render.scale import shared_sign
from foveal.results.score_table import labeled, pairs_table, score_table

if TYPE_CHECKING:
    from foveal.render.scale import Sign
    from foveal.render.typeset import TypesetTable
    from foveal.results.explanation import Explanation
    from foveal.results.scores import Scores

SIDE = 190
TIE = 0.01  # of the best number of an image: maps as near as this are framed, too
QUALITY = 78  # of the images, as WebP


def comparison_page(
    whys: Mapping[str, Explanation], scores: Scores | None = None, *, title: str = "", side: int = SIDE
) -> str:
    """The page, that `foveal compare` writes, too.

    Args:
        whys: explanations of the same images, by the names that `scores` has them under.
        scores: of these, and of baseline maps, which stand in the table without images; None leaves numbers out.
        title: of the page; the model and the number of methods if left out.
        side: of an image, in pixels.

    Raises:
        ResultError: where the scores are of other methods or other images.
    """
    environment = new_environment()
    environment.filters["uri"] = lambda picture: Markup(data_uri(picture, quality=QUALITY))
    first = next(iter(whys.values()))
    count = len(first)
    if scores is not None:
        _check(whys, scores, count)
    sign = shared_sign(why.map.detach().cpu().float().numpy() for why in whys.values())
    measured = (
        " The metrics measure how the score changes when highlighted areas are hidden or shown "
        f"({scores.forwards} forward passes)."
        if scores
        else ""
    )
    return environment.get_template("compare.html").render(
        title=title or f"{first.model}: {len(whys)} method{'s' * (len(whys) != 1)}",
        intro=f"{count} image{'s' * (count != 1)}, explained by {', '.join(whys)}.{measured}",
        of=scores.of if scores else "score",
        side=side,
        columns=["", *whys],
        metrics=[{"label": labeled(metric)} for metric in (scores.metrics if scores else ())],
        rows=[_row(whys, scores, i, side, sign) for i in range(count)],
        **(_table(scores) if scores else {}),
        notes=list(scores.notes if scores else dict.fromkeys(note for why in whys.values() for note in why.notes)),
        directions=script_json([sign_of(metric) for metric in (scores.metrics if scores else ())]),
        tie=TIE,
    )


def _check(whys: Mapping[str, Explanation], scores: Scores, count: int) -> None:
    """Raises ResultError for scores of something else."""
    if missing := [name for name in whys if name not in scores.values]:
        raise ResultError(f"There are no scores of {', '.join(missing)}; there are {', '.join(scores.methods)}.")
    if len(scores.pictures) != count:
        raise ResultError(f"The scores are of {len(scores.pictures)} images, but {count} were explained.")


def _row(whys: Mapping[str, Explanation], scores: Scores | None, i: int, side: int, sign: Sign) -> dict[str, Any]:
    first = next(iter(whys.values()))
    return {
        "name": Path(first.photos[i].source).name or f"image {i}",
        "target": first.target[i],
        "score": scores.whole[i] if scores else float("nan") if first.score is None else float(first.score[i]),
        "photo": fit_photo(first.photos[i], side),
        "cells": [_cell(name, why, scores, i, side, sign) for name, why in whys.items()],
    }


def _cell(name: str, why: Explanation, scores: Scores | None, i: int, side: int, sign: Sign) -> dict[str, Any]:
    metrics = scores.metrics if scores else ()
    values = [scores.values[name][metric][i] for metric in metrics] if scores else []
    map = why.map[i].detach().cpu().float().numpy()
    words = describe_map(map, why.photos[i].geometry, why.where.get(why.layer))
    return {
        "picture": why.overlay(i, color_bar=False, size=side, sign=sign if why.drawing.sign == "auto" else None),
        "alt": f"{name} for {why.target[i]}. {words}",
        "lines": [f"{metric} {_text(value)}" for metric, value in zip(metrics, values, strict=True)],
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
