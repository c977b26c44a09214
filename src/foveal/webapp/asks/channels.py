"""Channels: those of a layer by what they bring to a decision, and one of them in a photo and in all photos."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from pydantic import Field
from torch import Tensor

from foveal.attribution.channel_sums import channel_sums
from foveal.attribution.forwards import cut_at
from foveal.attribution.placing import whereabouts
from foveal.attribution.prepare import prepare
from foveal.engine.guard import untouched
from foveal.report.answers.channels import (
    ChangedPhoto,
    ChannelEntry,
    ChannelHere,
    ChannelOff,
    ChannelPhotos,
    ClassLoss,
    LayerChannels,
    channel_photos,
    sees_most,
    strong_box,
)
from foveal.report.answers.decision import asked_classes
from foveal.report.answers.wire import map_answer
from foveal.targets import Class
from foveal.webapp.ask import Progress, Query, TargetQuery, ask
from foveal.webapp.asks.scores import head_of
from foveal.webapp.layer_record import BOUT, WithoutChannel, check_channel, every_photo, looked_at, stage_of

if TYPE_CHECKING:
    from foveal.attribution.context import Context
    from foveal.engine.structure import Stage
    from foveal.webapp.layer_record import PhotoRow
    from foveal.webapp.photos import StudioPhoto
    from foveal.webapp.studio import Studio

Layer = Field(max_length=300)
Number = Field(ge=0, le=10**6)
MOST_FOR, MOST_AGAINST = 14, 6


class LayerChannelsQuery(TargetQuery):
    """The channels of a stage; None is the last one before the target."""

    layer: str | None = Field(default=None, max_length=300)


class ChannelQuery(TargetQuery):
    """One channel in a photo."""

    layer: str = Layer
    channel: int = Number


class EveryPhotoQuery(Query):
    """One channel in all photos.

    Attributes:
        seen: how many photos the page has seen so far; each answer goes further, until all were looked at.
    """

    model: str = Field(max_length=300)
    layer: str = Layer
    channel: int = Number
    seen: int = Field(default=0, ge=0, le=10**6)


@ask("layer_channels")
def layer_channels(studio: Studio, query: LayerChannelsQuery, progress: Progress) -> LayerChannels:
    """A forward and a backward pass; without a decision a forward pass."""
    began = time.perf_counter()
    context = _context(studio, query)
    layer = query.layer or context.layers(None)[0]
    stage = stage_of(context, layer)
    sums = channel_sums(context, layer)
    verdict = sums.verdict
    values, places = sums.peaks
    each = (values if sums.brings is None else sums.brings)[0].double()
    order = each.argsort(descending=True, stable=True).tolist()
    against = [k for k in order if each[k] < 0][-MOST_AGAINST:]
    shown = list(dict.fromkeys([*order[:MOST_FOR], *against]))
    positive = each.clamp(min=0).sort(descending=True).values.cumsum(0)
    return LayerChannels(
        target=verdict.label[0] if verdict else "",
        asked=asked_classes(verdict.label[0], verdict.spec) if verdict else [],
        score=float(verdict.score[0]) if verdict else None,
        layer=layer,
        channels=len(each),
        entries=[
            ChannelEntry(
                channel=k,
                brings=float(each[k]) if verdict else None,
                peak=float(values[0, k]),
                box=strong_box(context.photos[0].geometry, stage, tuple(places[0, k].tolist())),
            )
            for k in shown
        ],
        between=float(each.sum() - each[shown].sum()) if verdict else 0.0,
        half=int((positive < positive[-1] / 2).sum()) + 1,
        rest=float(verdict.score[0]) - float(each.sum()) if verdict else 0.0,
        sees_most=sees_most(stage, context.photos[0].geometry.input_size),
        notes=list(dict.fromkeys([*context.remarks(), *sums.notes])),
        seconds=time.perf_counter() - began,
    )


@ask("channel")
def channel(studio: Studio, query: ChannelQuery, progress: Progress) -> ChannelHere:
    """Two passes: for the target, and for the predicted class alone."""
    context = _context(studio, query)
    stage = stage_of(context, query.layer)
    check_channel(stage, query.channel)
    sums = channel_sums(context, query.layer)
    progress("asking the network", 1, 2)
    map = sums.A[0, query.channel]
    values, places = sums.peaks
    geometry = context.photos[0].geometry
    place = whereabouts(context, {query.layer: sums.A}).where.get(query.layer)
    alone = None if context.task == "embedding" else channel_sums(replace(context, target=Class()), query.layer)
    named = asked_classes(alone.verdict.label[0], alone.verdict.spec) if alone and alone.verdict else []
    label = sums.verdict.label[0] if sums.verdict else ""
    return ChannelHere(
        map=map_answer(map, geometry, place),
        peak=float(values[0, query.channel]),
        box=strong_box(geometry, stage, tuple(places[0, query.channel].tolist())),
        target=label,
        asked=asked_classes(label, sums.verdict.spec) if sums.verdict else [],
        brings=None if sums.brings is None else float(sums.brings[0, query.channel]),
        alone=None if alone is None or alone.brings is None else float(alone.brings[0, query.channel]),
        predicted=named[0] if named else "",
        on=float((map > 0).float().mean()),
    )


@ask("channel_photos", lasting=False)
def photos(studio: Studio, query: EveryPhotoQuery, progress: Progress) -> ChannelPhotos:
    """A forward and a backward pass a photo, once for all channels of a layer."""
    record, every = looked_at(studio, query.model, query.layer, progress), every_photo(studio)
    rows = record.of(query.channel, [photo.hash for photo in every])
    return channel_photos(rows, len(every), sees_most=record.sees_most, notes=list(record.notes))


@ask("channel_off", lasting=False)
def off(studio: Studio, query: EveryPhotoQuery, progress: Progress) -> ChannelOff:
    """A forward pass a photo in which the channel is zero; scores as they are come from looking at the photos."""
    record, every = looked_at(studio, query.model, query.layer, progress), every_photo(studio)
    check_channel(next(iter(record.stages.values())), query.channel)
    known = record.off.setdefault(query.channel, {})
    until = time.perf_counter() + BOUT
    deciding = [photo for photo in every if photo.hash in record.rows and record.rows[photo.hash].predicted >= 0]
    for number, photo in enumerate(deciding):
        if photo.hash not in known:
            progress("switching off", number, len(every))
            known[photo.hash] = _without(studio, query, photo, record.rows[photo.hash])
            if time.perf_counter() > until:
                break
    losses = defaultdict(list)
    for hash, without in known.items():
        losses[record.rows[hash].name].append(without.loss)
    return ChannelOff(
        photos=len(known),
        of=len(deciding) if len(record.rows) >= len(every) else len(every),
        changed=[
            ChangedPhoto(photo=hash, before=record.rows[hash].name, after=without.now)
            for hash, without in known.items()
            if without.now != record.rows[hash].name
        ],
        losses=sorted(
            (ClassLoss(name=name, mean=sum(v) / len(v), photos=len(v)) for name, v in losses.items()),
            key=lambda one: -one.mean,
        ),
    )


def _without(studio: Studio, query: EveryPhotoQuery, photo: StudioPhoto, row: PhotoRow) -> WithoutChannel:
    """One photo with the channel at zero."""
    model = studio.model(query.model)
    context = prepare(model, [photo.image], None, blind=True)

    def zero(returned: Tensor) -> Tensor:
        return without_channel(returned, row.stage, query.channel)

    with untouched(context.model), torch.no_grad(), cut_at(context, query.layer).hooked(zero):
        head = head_of(studio, query.model, context)
    scores, names = head.choices[0], head.names(model.labels)
    now = int(scores.argmax())
    return WithoutChannel(
        row.score - float(scores[row.predicted]),
        row.name if now == row.predicted else names[now] if names else f"class {now}",
    )


def without_channel(returned: Tensor, stage: Stage, channel: int) -> Tensor:
    """What a layer returned, with one channel zero."""
    altered = returned.clone()
    altered.select(-1 if stage.layout == "nhwc" else 1, channel).zero_()
    return altered


def _context(studio: Studio, query: TargetQuery) -> Context:
    model = studio.model(query.model)
    blind = model.task == "embedding" and not query.target
    return prepare(model, [studio.photo(query.photo).image], studio.target(query.target, model), blind=blind)
