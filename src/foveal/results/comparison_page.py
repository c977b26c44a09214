"""A page with a column for each method and a row for each image, with their numbers; needs no other file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from foveal.errors import ResultError
from foveal.metrics.metric import DIRECTIONS
from foveal.render.alt_text import describe_map
from foveal.render.figures import fit_photo
from foveal.render.fragment import data_uri
from foveal.render.pages import environment as new_environment
from foveal.render.pages import script_json
from foveal.results.scores import ARROWS

if TYPE_CHECKING:
    from foveal.results.explanation import Explanation
    from foveal.results.scores import Scores

SIDE = 190
SURE = 0.05
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
    head, body = _table(scores) if scores is not None else ([], [])
    measured = (
        "; measured by what the network says when marked positions are hidden or shown "
        f"({scores.forwards} forward passes)"
        if scores
        else ""
    )
    return environment.get_template("compare.html").render(
        title=title or f"{first.model}: {len(whys)} method{'s' * (len(whys) != 1)}",
        intro=f"{count} image{'s' * (count != 1)}, explained by {', '.join(whys)}{measured}.",
        of=scores.of if scores else "score",
        side=side,
        columns=["", *whys],
        metrics=[{"label": _labeled(metric)} for metric in (scores.metrics if scores else ())],
        rows=[_row(whys, scores, i, side) for i in range(count)],
        head=head,
        body=body,
        notes=list(scores.notes if scores else dict.fromkeys(note for why in whys.values() for note in why.notes)),
        directions=script_json([_sign(metric) for metric in (scores.metrics if scores else ())]),
    )


def _check(whys: Mapping[str, Explanation], scores: Scores, count: int) -> None:
    """Raises ResultError for scores of something else."""
    if missing := [name for name in whys if name not in scores.values]:
        raise ResultError(f"There are no scores of {', '.join(missing)}; there are {', '.join(scores.methods)}.")
    if len(scores.pictures) != count:
        raise ResultError(f"The scores are of {len(scores.pictures)} images, but {count} were explained.")


def _row(whys: Mapping[str, Explanation], scores: Scores | None, i: int, side: int) -> dict[str, Any]:
    first = next(iter(whys.values()))
    return {
        "name": Path(first.photos[i].source).name or f"image {i}",
        "target": first.target[i],
        "score": scores.whole[i] if scores else float("nan") if first.score is None else float(first.score[i]),
        "photo": fit_photo(first.photos[i], side),
        "cells": [_cell(name, why, scores, i, side) for name, why in whys.items()],
    }


def _cell(name: str, why: Explanation, scores: Scores | None, i: int, side: int) -> dict[str, Any]:
    metrics = scores.metrics if scores else ()
    values = [scores.values[name][metric][i] for metric in metrics] if scores else []
    map = why.map[i].detach().cpu().float().numpy()
    words = describe_map(map, why.photos[i].geometry, why.where.get(why.layer))
    return {
        "picture": why.overlay(i, color_bar=False, side=side),
        "alt": f"{name} for {why.target[i]}. {words}",
        "lines": [f"{metric} {_text(value)}" for metric, value in zip(metrics, values, strict=True)],
        "numbers": json.dumps([value if math.isfinite(value) else None for value in values]),
    }


def _table(scores: Scores) -> tuple[list[str], list[dict[str, Any]]]:
    equal: dict[str, set[str]] = {}
    for metric in scores.metrics:
        best = scores.best(metric)
        same = {name for name, p in scores.significance(metric).items() if p >= SURE}
        equal[metric] = {best, *same} if best else set()
    body = []
    for name in scores.methods:
        cells = []
        for metric in scores.metrics:
            summary = scores.summary(name, metric)
            cells.append(
                {"value": summary.mean if summary.n else "", "text": str(summary), "best": name in equal[metric]}
            )
        body.append({"name": name, "cells": cells})
    return ["", *(_labeled(metric) for metric in scores.metrics)], body


def _labeled(metric: str) -> str:
    return f"{metric} {ARROWS[DIRECTIONS[metric]]}".strip()


def _sign(metric: str) -> int:
    return {"higher": 1, "lower": -1, None: 0}[DIRECTIONS[metric]]


def _text(value: float) -> str:
    return f"{value:.3g}".replace("-", "−") if math.isfinite(value) else "undefined"
