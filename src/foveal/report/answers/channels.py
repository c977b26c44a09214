"""Channels as a page shows them: those of a layer by what they bring, and one of them through all photos."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foveal.images.place import Place
from foveal.render.feature import seen_box
from foveal.report.answers.wire import Box, MapAnswer, Wire, grid_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.engine.structure import Stage
    from foveal.images import Geometry

MOST = 8
MOST_SEEN = 0.6  # of the image's side


class ChannelEntry(Wire):
    """One channel in one photo.

    Attributes:
        brings: to the score; None where nothing is decided.
        peak: its largest activation.
        box: where that is, see `strong_box`.
    """

    channel: int
    brings: float | None
    peak: float
    box: Box


class LayerChannels(Wire):
    """The channels of a layer by what they bring; `entries`, `between` and `rest` sum to the score.

    Without a decision, as of an embedding, by their largest activation.

    Attributes:
        target: what is explained, in words.
        score: of the target; None without one.
        channels: how many the layer has.
        entries: those that bring most, and those that speak most against it; what brings most first.
        between: the sum of all others.
        half: the least number of channels that hold half of what speaks for it.
        rest: what no channel brings, such as biases.
        sees_most: a position sees most of the image.
    """

    target: str
    asked: list[str]
    score: float | None
    layer: str
    channels: int
    entries: list[ChannelEntry]
    between: float
    half: int
    rest: float
    sees_most: bool
    notes: list[str]
    seconds: float


class ChannelHere(Wire):
    """One channel in one photo.

    Attributes:
        map: its activations.
        peak: the largest of them.
        box: where that is, see `strong_box`.
        brings: to the score of the target; None where that looks at no class.
        alone: what it brings to the score of the predicted class, and the name of that.
    """

    map: MapAnswer
    peak: float
    box: Box
    target: str
    asked: list[str]
    brings: float | None
    alone: float | None
    predicted: str
    on: float


class PhotoOfChannel(Wire):
    """One photo in which a channel was looked at.

    Attributes:
        value: the largest activation, or what the channel brings to the predicted class.
        box: where its largest activation is, see `strong_box`.
    """

    photo: str
    value: float
    box: Box


class ClassOfChannel(Wire):
    """What a channel brings to a class, on average over the photos that the network takes for it."""

    name: str
    mean: float
    photos: int


class ChannelPhotos(Wire):
    """One channel through all photos.

    Attributes:
        photos: how many were looked at so far.
        of: how many there are to look at.
        on: in how many it is above zero somewhere.
        strongest: by largest activation.
        brings: by what it brings to the predicted class; empty where the network has no classes.
        classes: from the one it brings most to.
        all: every photo, in the order in which they came.
        predicted: the class of each.
        sees_most: a position sees most of the image.
    """

    photos: int
    of: int
    on: int
    strongest: list[PhotoOfChannel]
    brings: list[PhotoOfChannel]
    classes: list[ClassOfChannel]
    all: list[PhotoOfChannel]
    predicted: list[str]
    sees_most: bool
    notes: list[str]


class ClassLoss(Wire):
    """What a class loses on average over its photos."""

    name: str
    mean: float
    photos: int


class ChangedPhoto(Wire):
    """A photo that is taken for another class."""

    photo: str
    before: str
    after: str


class ChannelOff(Wire):
    """What happens when a channel is zero in photos, `photos` of them so far; losses from the largest."""

    photos: int
    of: int
    changed: list[ChangedPhoto]
    losses: list[ClassLoss]


class FeatureFrame(Wire):
    """A feature image in the making.

    Attributes:
        image: a data URI: as it is now or, once it is finished or stopped, the best.
        peak: the largest activation of the channel in that image.
        finished: nothing more is gained by going on.
    """

    image: str
    done: int
    total: int
    peak: float
    finished: bool
    notes: list[str]


@dataclass(frozen=True)
class ChannelInPhoto:
    """What was measured of one channel in one photo; see `PhotoOfChannel`."""

    photo: str
    peak: float
    box: Sequence[float]
    brings: float | None
    predicted: str


def sees_most(stage: Stage, input_size: tuple[int, int]) -> bool:
    """Whether a position of a stage sees so much of the image that this does not say where it is."""
    return any(field > MOST_SEEN * side for field, side in zip(stage.receptive_field, input_size, strict=True))


def strong_box(geometry: Geometry, stage: Stage, place: tuple[int, int]) -> list[float]:
    """What a position sees, or where that is most of the image the position and those around it.

    In fractions of the photo: x0, y0, x1, y1.
    """
    height, width = geometry.photo_size
    if not sees_most(stage, geometry.input_size):
        x0, y0, x1, y1 = seen_box(geometry, stage, place)
        return [x0 / width, y0 / height, x1 / width, y1 / height]
    grid = grid_answer(stage.shape[1:], geometry, Place(*stage.place) if stage.place else None)
    middle = [start + at * step for start, at, step in zip(grid.offset, reversed(place), grid.step, strict=True)]
    reach = [1.5 * abs(step) for step in grid.step]
    low = [max(0.0, at - by) for at, by in zip(middle, reach, strict=True)]
    high = [min(1.0, at + by) for at, by in zip(middle, reach, strict=True)]
    return [*low, *high]


def channel_photos(
    rows: Sequence[ChannelInPhoto], of: int, *, sees_most: bool, notes: Sequence[str] = ()
) -> ChannelPhotos:
    """One channel through these photos, of so many."""

    def entry(row: ChannelInPhoto, value: float) -> PhotoOfChannel:
        return PhotoOfChannel(photo=row.photo, value=value, box=list(row.box))

    deciding = [(row, row.brings) for row in rows if row.brings is not None]
    by_class: dict[str, list[float]] = defaultdict(list)
    for row, brings in deciding:
        by_class[row.predicted].append(brings)
    strongest = sorted((row for row in rows if row.peak > 0), key=lambda row: -row.peak)[:MOST]
    most = sorted((pair for pair in deciding if pair[1] > 0), key=lambda pair: -pair[1])[:MOST]
    return ChannelPhotos(
        photos=len(rows),
        of=of,
        on=sum(row.peak > 0 for row in rows),
        strongest=[entry(row, row.peak) for row in strongest],
        brings=[entry(row, brings) for row, brings in most],
        classes=sorted(
            (ClassOfChannel(name=name, mean=sum(v) / len(v), photos=len(v)) for name, v in by_class.items()),
            key=lambda one: -one.mean,
        ),
        all=[entry(row, row.peak) for row in rows],
        predicted=[row.predicted for row in rows],
        sees_most=sees_most,
        notes=list(notes),
    )
