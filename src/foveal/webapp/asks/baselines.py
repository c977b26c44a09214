"""Maps that know nothing: what a method must be better than."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from foveal.api.map_sources import baseline_maps_at
from foveal.attribution.prepare import check_pictures, prepare
from foveal.report.answers.baselines import BaselineMap, BaselinesAnswer
from foveal.report.answers.wire import map_answer
from foveal.webapp.ask import PhotoQuery, Progress, ask

if TYPE_CHECKING:
    from foveal.webapp.studio import Studio

SHOWN = ("activation", "edges", "center", "random")


class BaselinesQuery(PhotoQuery):
    """Baseline maps of a photo.

    Attributes:
        layer: whose activations are shown; None is the last stage.
    """

    layer: str | None = Field(default=None, max_length=300)


@ask("baselines")
def baselines(studio: Studio, query: BaselinesQuery, progress: Progress) -> BaselinesAnswer:
    """A forward pass up to the layer."""
    model = studio.model(query.model)
    context = prepare(model, [studio.photo(query.photo).image], None, blind=True)
    check_pictures(context.batch, "baseline maps")
    named = baseline_maps_at(context, query.layer, SHOWN)
    (photo,) = context.photos
    return BaselinesAnswer(
        layer=named["activation"].layer or "",
        maps=[
            BaselineMap(name=name, map=map_answer(named[name].maps[0], photo.geometry, named[name].place))
            for name in SHOWN
        ],
    )
