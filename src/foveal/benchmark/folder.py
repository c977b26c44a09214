"""Methods on a folder of photos, by what the network says, and by boxes or masks of the object where there are any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from foveal._version import __version__
from foveal.api.map_sources import EVERY
from foveal.api.measure import TOLERANCE, default_setting, measure
from foveal.benchmark.csv_log import CsvLog
from foveal.benchmark.index import Shot, is_there, shots
from foveal.errors import FovealError, ImageError, ResultError, TargetError, shown
from foveal.images import Batch, load_images
from foveal.methods import Method, own_sources
from foveal.metrics.evaluation import EvaluationSettings
from foveal.metrics.metric import find_metrics
from foveal.models import Model
from foveal.storage.fingerprint import file_fingerprint, fingerprint
from foveal.storage.reading import damage, opened
from foveal.targets import Class

__all__ = ["Shot", "folder", "made_with", "shots"]


def made_with(model: Model, steps: int, *, predicted: bool, methods: Iterable[Method] = ()) -> dict[str, Any]:
    """The setting of a table: what decides the numbers; of methods, the source of own ones alone."""
    network = fingerprint(weights=model.module, preprocessing=model.preprocessing, labels=model.labels)
    own = own_sources(methods)
    return {
        "model": model.name, "weights": network, "steps": steps, "tolerance": TOLERANCE, "predicted": predicted,
        "foveal": __version__, **({"own methods": own} if own else {}),
    }  # fmt: skip


def folder(
    log: CsvLog, model: Model, photos: Sequence[Shot], *, methods: Mapping[str, Method],
    setting: EvaluationSettings | None = None,
    steps: int = 28, predicted: bool = False, failures: list[str] | None = None,
) -> Iterator[tuple[str, int, int]]:  # fmt: skip
    """Measure what the table lacks; yields (photo, done, total) after each, or what went wrong with it.

    Args:
        methods: as `find_methods` gives them; those that the table has already are not measured again.
        predicted: explain the predicted class, whatever the index says.
        failures: gets a sentence for each photo that could not be measured; one among many is not the end.
    """
    measured = False
    rows = [*methods, *(f"({name})" for name in EVERY)]
    for number, shot in enumerate(photos, 1):
        what = shot.name
        try:
            of = _fingerprint(shot, predicted=predicted)
            if missing := log.missing("photo", shot.name, rows, of):
                log.add(_rows(log, model, shot, methods, missing, setting, steps, predicted), of)
            measured = True
        except FovealError as error:
            what = f"{shot.where or shot.name}: {error}"
            if isinstance(error, ResultError):
                raise  # of the table, which names its lines
            if not (measured or isinstance(error, ImageError | TargetError)):
                raise type(error)(what) from error  # it would go wrong with every photo
            if failures is not None:
                failures.append(what)
        yield what, number, len(photos)


def _fingerprint(shot: Shot, *, predicted: bool) -> str:
    if not is_there(shot.path):
        raise ImageError(f"there is no photo {shown(str(shot.path))}.")
    with damage(f"Cannot read {str(shot.path)!r}", ImageError):
        photo = file_fingerprint(shot.path)
    with damage(f"Cannot read the mask {str(shot.mask)!r}", ImageError):
        mask = file_fingerprint(shot.mask) if shot.mask else None
    return fingerprint(photo=photo, mask=mask, boxes=shot.boxes, target=None if predicted else shot.target)


def _rows(
    log: CsvLog, model: Model, shot: Shot, methods: Mapping[str, Method], missing: Sequence[str],
    setting: EvaluationSettings | None, steps: int, predicted: bool,
) -> list[dict[str, Any]]:  # fmt: skip
    """A row for each of the methods and baseline maps that are missing."""
    batch = load_images(shot.path, model.preprocessing)
    known: dict[str, Any] = {}
    if shot.mask is not None:
        known["masks"] = [_mask(shot.mask, batch)]
    if shot.boxes is not None:
        known["boxes"] = [shot.boxes]
    if not known and all(metric.needs in ("object", "boxes") for metric in find_metrics(log.metrics).values()):
        raise ImageError("these metrics need the object: give its boxes or a mask in the index, or other metrics.")
    own = [name for name in missing if name in methods]
    target = None if predicted or shot.target is None else Class(shot.target, whole_names=True)
    scores = measure(
        model, batch, target, explanations={name: methods[name] for name in own or [*methods][:1]},
        metrics=log.metrics, baseline_maps=len(own) < len(missing),
        # A table that grows by a method is the same as one made at once.
        setting=setting or replace(default_setting(batch.tensor, steps=steps), together=False), precision="float32",
        **known,
    )  # fmt: skip
    rows = {name: {metric: values[0] for metric, values in of.items()} for name, of in scores.values.items()}
    return [
        {"decision": "photo", "picture": shot.name, "method": name, **rows.get(name, {})} for name in missing
    ]  # fmt: skip


def _mask(path: Path, batch: Batch) -> Any:
    """(H, W), true where an image of the photo's size is not 0."""
    with damage(f"Cannot read the mask {str(path)!r}", ImageError), opened(path) as file, Image.open(file) as image:
        pixels = np.asarray(image)
        colors = len(image.getbands()) - (image.mode in ("LA", "PA", "RGBA", "La", "RGBa"))
    inside = pixels != 0 if pixels.ndim == 2 else (pixels[..., :colors] != 0).any(-1)
    size = batch.photos[0].geometry.photo_size
    if inside.shape != size:
        raise ImageError(f"The mask {str(path)!r} is {inside.shape[::-1]}, but its photo is {size[::-1]}.")
    return inside
