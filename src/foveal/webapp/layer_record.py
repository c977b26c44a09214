"""What the channels of a layer do in all photos: numbers are kept, not maps, and each photo is looked at once."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from foveal.attribution.channel_sums import channel_sums
from foveal.attribution.prepare import prepare
from foveal.errors import TargetError, UnknownLayer
from foveal.report.answers.channels import ChannelInPhoto, sees_most, strong_box
from foveal.report.answers.decision import asked_classes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from foveal.attribution.context import Context
    from foveal.engine.structure import Stage
    from foveal.images import Geometry
    from foveal.webapp.ask import Progress
    from foveal.webapp.photos import StudioPhoto
    from foveal.webapp.studio import Studio

MOST_PHOTOS = 600
BOUT = 0.8  # seconds of looking at photos a question, so that other questions come between


@dataclass(frozen=True, eq=False)
class PhotoRow:
    """One photo: of each of c channels the largest activation, its row and column, and what it brings."""

    geometry: Geometry
    stage: Stage
    peaks: NDArray[np.float32]
    places: NDArray[np.int16]
    brings: NDArray[np.float32] | None
    predicted: int
    name: str
    score: float


@dataclass(frozen=True)
class WithoutChannel:
    """One photo where a channel is zero: what the score of its class loses, and the class it is taken for then."""

    loss: float
    now: str


@dataclass(eq=False)
class LayerRecord:
    """The photos looked at so far, by hash; the stage as it is for each size of the network's input."""

    stages: dict[tuple[int, int], Stage] = field(default_factory=dict)
    rows: dict[str, PhotoRow] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    off: dict[int, dict[str, WithoutChannel]] = field(default_factory=dict)

    @property
    def sees_most(self) -> bool:
        """See `foveal.report.answers.channels.sees_most`."""
        return any(sees_most(stage, size) for size, stage in self.stages.items())

    def of(self, channel: int, photos: list[str]) -> list[ChannelInPhoto]:
        """One channel in those of these photos that were looked at.

        Raises:
            LayerError: for a channel that the layer does not have.
        """
        check_channel(next(iter(self.stages.values())), channel)
        return [_in_photo(hash, self.rows[hash], channel) for hash in photos if hash in self.rows]


def stage_of(context: Context, layer: str) -> Stage:
    """The stage of that name. Raises LayerError where there is none."""
    stages = {stage.name: stage for stage in context.tracing().stages}
    if layer not in stages:
        raise UnknownLayer(f"a channel is shown of a stage, and {layer!r} is none: choose one of {', '.join(stages)}")
    return stages[layer]


def check_channel(stage: Stage, channel: int) -> None:
    """LayerError for a channel that the stage does not have."""
    if not 0 <= channel < stage.shape[0]:
        raise UnknownLayer(f"{stage.name} has channels 0 to {stage.shape[0] - 1}, and no channel {channel}")


def every_photo(studio: Studio) -> list[StudioPhoto]:
    """The photos to look at."""
    return list(islice(studio.photos, MOST_PHOTOS))


def looked_at(studio: Studio, model: str, layer: str, progress: Progress) -> LayerRecord:
    """The record of a layer after a bout of looking: one photo more than before at least, if there is one left."""
    photos, subject = every_photo(studio), studio.model(model)
    record = studio.kept(("channels", model, layer), LayerRecord)
    until = time.perf_counter() + BOUT
    for number, photo in enumerate(photos):
        if photo.hash not in record.rows:
            progress("looking at photos", number, len(photos))
            context = prepare(subject, [photo.image], None, blind=subject.task == "embedding")
            record.rows[photo.hash] = _row(record, context, layer)
            if time.perf_counter() > until:
                break
    if len(studio.photos) > len(photos):
        record.notes[f"only the first {MOST_PHOTOS} of {len(studio.photos)} photos were looked at"] = None
    return record


def _row(record: LayerRecord, context: Context, layer: str) -> PhotoRow:
    height, width = context.x.shape[-2:]
    if (height, width) not in record.stages:
        record.stages[height, width] = stage_of(context, layer)
    try:
        sums = channel_sums(context, layer)
    except TargetError as error:
        record.notes[f"nothing is said of classes: {error}"] = None
        sums = channel_sums(replace(context, target=None), layer)
    peaks, places = sums.peaks
    brings, verdict = sums.brings, sums.verdict
    named = asked_classes(verdict.label[0], verdict.spec) if verdict else []
    return PhotoRow(
        context.photos[0].geometry,
        record.stages[height, width],
        peaks[0].float().cpu().numpy(),
        places[0].cpu().numpy().astype(np.int16),
        None if brings is None else brings[0].float().cpu().numpy(),
        int(verdict.spec["index"][0]) if verdict and named else -1,
        named[0] if named else "",
        float(verdict.score[0]) if verdict else 0.0,
    )


def _in_photo(hash: str, row: PhotoRow, channel: int) -> ChannelInPhoto:
    y, x = row.places[channel].tolist()
    brings = None if row.brings is None else float(row.brings[channel])
    box = strong_box(row.geometry, row.stage, (y, x))
    return ChannelInPhoto(hash, float(row.peaks[channel]), box, brings, row.name)
