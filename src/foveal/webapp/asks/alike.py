"""Others decided for this reason: the decisions of the run whose evidence is most alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from foveal.attribution.channel_sums import channel_sums
from foveal.attribution.prepare import prepare
from foveal.errors import ModelError, ResultError, UnknownLayer
from foveal.report.answers.wire import Wire
from foveal.webapp.ask import Progress, TargetQuery, ask
from foveal.webapp.asks.atlas import AtlasQuery, Row
from foveal.webapp.asks.decision import DecisionQuery, explained
from foveal.webapp.atlas import AtlasRow
from foveal.webapp.atlas_places import nearest
from foveal.webapp.opened_run import asked_of_run, other_network

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from foveal.webapp.atlas import Atlas
    from foveal.webapp.studio import Studio

MOST = 12


class AlikeRowQuery(AtlasQuery):
    """Decisions like that of a row of the run."""

    row: Row


class AlikeQuery(AtlasQuery, TargetQuery):
    """Decisions of the run like the one that the page shows."""


class AlikeChannelQuery(AtlasQuery):
    """Decisions of the run that one channel carries."""

    layer: str = Field(max_length=300)
    channel: int = Field(ge=0, le=10**6)


class AlikeAnswer(Wire):
    """The decisions that are most alike, the nearest first; the one that is asked about is not among them.

    Attributes:
        by: what is compared: "contributions" of channels, or "maps".
        method: of the run's maps.
        likeness: the cosine of each with what is asked about, −1 to 1.
        of: how many decisions were compared.
    """

    by: str
    layer: str
    method: str
    rows: list[AtlasRow]
    likeness: list[float]
    of: int


@ask("alike_row", lasting=False)
def alike_row(studio: Studio, query: AlikeRowQuery, progress: Progress) -> AlikeAnswer:
    """Compared with every other decision of the run."""
    shown = studio.atlas_or_refuse(query.run)
    (row,) = shown.checked([query.row])
    return _answer(shown, shown.reason_of_row(row, progress), row, progress)


@ask("alike", lasting=False)
def alike(studio: Studio, query: AlikeQuery, progress: Progress) -> AlikeAnswer:
    """The decision is explained as those of the run were."""
    shown = studio.atlas_or_refuse(query.run)
    if query.model != shown.model:
        raise ModelError(f"the run is of {shown.model}, and its decisions are compared with those of it: choose it")
    if notes := other_network(studio, shown):
        raise ModelError(*notes)
    own = _own_row(studio, shown, query.photo)
    if shown.placed(progress).by == "contributions":
        return _answer(shown, _contributions(studio, query, shown.contributing), own, progress)
    asked = DecisionQuery(**query.model_dump(exclude={"run"}), **asked_of_run(studio, shown.run))
    map = explained(studio, asked, progress).maps[shown.layer][0]
    return _answer(shown, shown.reason_of_map(map, progress), own, progress)


@ask("alike_channel", lasting=False)
def alike_channel(studio: Studio, query: AlikeChannelQuery, progress: Progress) -> AlikeAnswer:
    """The decisions to which a channel contributes most, measured by the cosine with that channel alone."""
    shown = studio.atlas_or_refuse(query.run)
    there = shown.placed(progress)
    if there.by != "contributions" or query.layer != shown.contributing:
        has = f"those of {shown.contributing}" if there.by == "contributions" else "none"
        raise ResultError(
            f"the run has no contributions of the channels of {query.layer} ({has}): foveal run --contributions keeps "
            "those of its deepest layer"
        )
    channels = there.reasons.shape[1]
    if query.channel >= channels:
        raise UnknownLayer(f"{query.layer} has channels 0 to {channels - 1}, and no channel {query.channel}")
    return _answer(shown, np.eye(1, channels, query.channel, dtype=np.float32)[0], None, progress)


def _contributions(studio: Studio, query: AlikeQuery, layer: str) -> NDArray[np.float32]:
    """What each channel brings to the decision, as in the run."""
    model = studio.model(query.model)
    context = prepare(model, [studio.photo(query.photo).image], studio.target(query.target, model))
    brings = channel_sums(context, layer).brings
    assert brings is not None
    return np.asarray(brings[0].detach().float().cpu())


def _answer(shown: Atlas, reason: NDArray[np.float32], own: int | None, progress: Progress) -> AlikeAnswer:
    there = shown.placed(progress)
    points, likeness = nearest(there.reasons, reason, MOST + 1)
    others = [(int(there.rows[point]), float(like)) for point, like in zip(points, likeness, strict=True)]
    others = [(row, like) for row, like in others if row != own][:MOST]
    return AlikeAnswer(
        by=there.by,
        layer=shown.layer if there.by == "maps" else shown.contributing,
        method=shown.run.record.settings["method"],
        rows=shown.rows([row for row, _ in others], progress),
        likeness=[like for _, like in others],
        of=len(there.rows),
    )


def _own_row(studio: Studio, shown: Atlas, hash: str) -> int | None:
    """The row that the photo is of, if it is of the run."""
    origin = studio.photo(hash).origin
    if not isinstance(origin, str | Path):
        return None
    path, root = str(Path(origin).absolute()), str(shown.run.root.absolute())
    return next((row for row, uri in enumerate(shown.run["uri"]) if f"{root}/{uri}" == path), None)
