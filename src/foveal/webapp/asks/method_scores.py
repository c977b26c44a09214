"""What each map is worth: the tenth of the photo that it marks most is hidden, and the network is asked again."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from pydantic import Field

from foveal.api.explain import explanations
from foveal.api.map_sources import NamedMaps, baseline_maps_at
from foveal.api.measure import default_setting
from foveal.attribution.perturbed_score import SAID, PerturbedScore, perturbed_scores
from foveal.attribution.prepare import check_pictures, prepare
from foveal.errors import TargetError
from foveal.metrics.curves import regrid
from foveal.metrics.hidden_share import marked, score_without
from foveal.report.answers.method_scores import CellScore, MethodScoresAnswer
from foveal.targets import Against, Margin
from foveal.webapp.ask import Progress, Query, TargetQuery, ask
from foveal.webapp.asks.baselines import SHOWN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from foveal.attribution.context import Context
    from foveal.methods import Method
    from foveal.webapp.studio import Studio

HIDDEN = 0.1  # of the photo


class MapQuery(Query):
    """The map of a method at a layer; None is the method's own place."""

    method: str = Field(max_length=300)
    layer: str | None = Field(default=None, max_length=300)


class MethodScoresQuery(TargetQuery):
    """The maps to measure."""

    cells: list[MapQuery] = Field(max_length=256)


@ask("method_scores")
def method_scores(studio: Studio, query: MethodScoresQuery, progress: Progress) -> MethodScoresAnswer:
    """The passes that make the maps, and a forward pass for each."""
    started = time.perf_counter()
    model = studio.model(query.model)
    target = studio.target(query.target, model)
    context = prepare(model, [studio.photo(query.photo).image], target)
    check_pictures(context.batch, "metrics")
    chosen = {cell.method: studio.method(cell.method) for cell in query.cells}
    maps = _maps(context, query.cells, chosen, progress)
    known = baseline_maps_at(context, None, SHOWN)
    with perturbed_scores(context, "score" if isinstance(target, Margin | Against) else "auto") as (question,):
        if not math.isfinite(question.whole):
            raise TargetError(f"{question.label} is no number for this photo, so nothing can be lost of it")
        cells = []
        for done, (cell, map) in enumerate(zip(query.cells, maps, strict=True)):
            progress("maps", done, len(maps) + len(known))
            cells.append(_measured(cell.method, map, context, question))
        return MethodScoresAnswer(
            of=SAID[question.of],
            whole=question.whole,
            share=HIDDEN,
            cells=cells,
            baselines=[_measured(name, map, context, question) for name, map in known.items()],
            seconds=time.perf_counter() - started,
        )


def _maps(
    context: Context, cells: Sequence[MapQuery], chosen: Mapping[str, Method], progress: Progress
) -> list[NamedMaps]:
    """In the order of the cells; those of one layer share their passes."""
    made: dict[MapQuery, NamedMaps] = {}
    for layer in dict.fromkeys(cell.layer for cell in cells):
        here = {cell.method: chosen[cell.method] for cell in cells if cell.layer == layer}
        for why in explanations(context, here, layer, progress):
            made[MapQuery(method=why.method, layer=layer)] = NamedMaps(
                why.map, layer=why.layer, place=why.where.get(why.layer)
            )
    return [made[cell] for cell in cells]


def _measured(name: str, map: NamedMaps, context: Context, question: PerturbedScore) -> CellScore:
    grid = default_setting(context.x).grid
    assert grid
    where = marked(regrid(map.maps[0], grid, map.place, context.x.shape[2:]), HIDDEN)
    hidden = score_without(question, context.x, where) if bool(where.any()) else None
    if hidden is not None and not math.isfinite(hidden):
        hidden = None
    lost = (question.whole - hidden) / question.whole if hidden is not None and question.whole > 0 else None
    return CellScore(method=name, layer=map.layer or "", hidden=hidden, lost=lost)
