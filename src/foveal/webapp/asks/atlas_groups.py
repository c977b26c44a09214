"""The decisions of the run in groups by their reasons, found while the page waits, and saved where they are wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from foveal.errors import ModelError, ResultError
from foveal.report.answers.wire import Wire
from foveal.runs.group_reasons import reasons
from foveal.webapp.ask import Progress, ask
from foveal.webapp.asks.atlas import AtlasQuery
from foveal.webapp.atlas import Atlas

if TYPE_CHECKING:
    from foveal.webapp.studio import Studio


class GroupQuery(AtlasQuery):
    """Groups by reason, as `foveal.reasons` finds them.

    Attributes:
        model: the network of the run, which is asked to test groups.
    """

    model: str = Field(max_length=300)


class GroupedRun(Wire):
    """The run is grouped now: `run` is the key of the atlas that shows it."""

    run: str


@ask("atlas_group", lasting=False)
def group(studio: Studio, query: GroupQuery, progress: Progress) -> GroupedRun:
    """Contributions and maps are read; then odd groups are tested on their photos."""
    shown = studio.atlas_or_refuse(query.run)
    if query.model != shown.model:
        raise ModelError(f"the run is of {shown.model}, and groups are tested with that network: load the page again")
    grouped = reasons(shown.run, studio.model(shown.model), progress=progress)
    if studio.atlas is not shown:
        raise ResultError("this studio shows another run by now: load the page again")
    studio.atlas = Atlas(shown.run, shown.model, grouped, grouped=True)
    return GroupedRun(run=studio.atlas.key)


@ask("atlas_save", lasting=False)
def save(studio: Studio, query: AtlasQuery, progress: Progress) -> GroupedRun:
    """The groups are written into a folder beside that of the run, as `foveal reasons` writes them."""
    shown = studio.atlas_or_refuse(query.run)
    saved = shown.save_groups()
    if studio.atlas is shown:
        studio.atlas = saved
    return GroupedRun(run=saved.key)
