"""Methods as columns, pictures as rows, their numbers underneath: one page that opens from disk, alone."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from foveal.metrics.metric import DIRECTIONS
from foveal.render.alt_text import describe_map
from foveal.render.figures import fit_photo
from foveal.render.fragment import data_uri
from foveal.render.pages import environment as new_environment
from foveal.render.pages import script_json
from foveal.render.scale import shared_sign
from foveal.results.scores import ARROWS
from foveal.storage.atomic import write_text

if TYPE_CHECKING:
    from foveal.render.scale import Sign
    from foveal.results import Explanation, Scores

SIDE = 190
SURE = 0.05


def comparison_page(whys: Mapping[str, Explanation], scores: Scores, *, title: str = "", side: int = SIDE) -> str:
    """The page.

    Args:
        whys: explanations of the same pictures, by the names that `scores` has them under.
        scores: of these, and of maps that know nothing, which stand in the table without pictures.
    """
    environment = new_environment("foveal.report")
    sign = shared_sign(why.map.detach().cpu().float().numpy() for why in whys.values())
    environment.filters["uri"] = lambda picture: Markup(data_uri(picture, quality=82))
    head, body = _table(scores)
    count = len(scores.pictures)
    return environment.get_template("compare.html").render(
        title=title or f"{scores.model}: {len(whys)} methods",
        intro=(
            f"{count} picture{'s' * (count != 1)}, explained by {', '.join(whys)}; measured by what the network says "
            f"when marked places are hidden or shown. {scores.forwards} forwards."
        ),
        of=scores.of,
        side=side,
        columns=["", *whys],
        metrics=[{"label": _labeled(metric)} for metric in scores.metrics],
        rows=[_row(whys, scores, i, side, sign) for i in range(count)],
        head=head,
        body=body,
        notes=list(scores.notes),
        directions=script_json([_sign(metric) for metric in scores.metrics]),
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
