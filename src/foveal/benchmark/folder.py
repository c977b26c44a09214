"""Methods on a folder of photos, by what the network says, and by boxes or masks of the object where there are any."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from foveal._version import __version__
from foveal.api.measure import TOLERANCE, default_setting, measure
from foveal.benchmark.index import Shot, is_there, shots
from foveal.benchmark.measurements import BASELINE_MAPS, Measure, Measurements, Numbers, Subject
from foveal.datasets.shard import EndOfWorkError
from foveal.errors import FovealError, ImageError, TargetError, shown
from foveal.images import Batch, load_images
from foveal.methods import Method, own_sources
from foveal.metrics.evaluation import EvaluationSettings
from foveal.metrics.metric import find_metrics
from foveal.models import Model
from foveal.models.network import Network
from foveal.storage.fingerprint import file_fingerprint, fingerprint
from foveal.storage.reading import damage, opened
from foveal.targets import Class

__all__ = ["Shot", "folder", "made_with", "shots", "subjects"]


def made_with(model: Model, steps: int, *, predicted: bool, methods: Iterable[Method] = ()) -> dict[str, Any]:
    """The setting of a table: what decides the numbers; of methods, the source of own ones alone."""
    network = fingerprint(weights=model.module, preprocessing=model.preprocessing, labels=model.labels)
    own = own_sources(methods)
    return {
        "model": model.name, "weights": network, "steps": steps, "tolerance": TOLERANCE, "predicted": predicted,
        "foveal": __version__, **({"own methods": own} if own else {}),
    }  # fmt: skip


def subject_of(shot: Shot, *, predicted: bool = False) -> Subject:
    """What is measured of a photo.

    Raises:
        ImageError: where the photo, or its mask, cannot be read.
    """
    if not is_there(shot.path):
        raise ImageError(f"there is no photo {shown(str(shot.path))}.")
    with damage(f"Cannot read {str(shot.path)!r}", ImageError):
        photo = file_fingerprint(shot.path)
    with damage(f"Cannot read the mask {str(shot.mask)!r}", ImageError):
        mask = file_fingerprint(shot.mask) if shot.mask else None
    target = None if predicted else shot.target
    return Subject("photo", shot.name, fingerprint(photo=photo, mask=mask, boxes=shot.boxes, target=target))


def subjects(
    photos: Sequence[Shot], *, predicted: bool = False, failures: dict[str, str] | None = None
) -> dict[Subject, Shot]:
    """What is measured of each photo that can be read.

    Args:
        failures: gets a sentence for each of the others, by name.
    """
    each = {}
    for shot in photos:
        try:
            each[subject_of(shot, predicted=predicted)] = shot
        except ImageError as error:
            if failures is not None:
                failures[shot.name] = f"{shot.where or shot.name}: {error}"
    return each


def folder(
    log: Measurements, network: Network, photos: Mapping[Subject, Shot], *, methods: Mapping[str, Method],
    setting: EvaluationSettings | None = None, steps: int = 28, predicted: bool = False,
    failures: dict[str, str] | None = None, moved: Callable[[int], None] | None = None, workers: int = 0,
) -> Iterator[int]:  # fmt: skip
    """Measure what the table lacks; yields how many photos are done, after each part that is kept.

    Args:
        photos: as `subjects` gives them.
        methods: as `find_methods` gives them; those that the table has already are not measured again.
        predicted: explain the predicted class, whatever the index says.
        failures: gets a sentence for each photo that could not be measured, by name; one among many is not the end.
        moved: hears how many photos were looked at.
        workers: processes that measure at once; 0 is this one alone.
    """
    rows = [*methods, *BASELINE_MAPS]
    left = {subject: missing for subject in photos if (missing := log.missing(subject, rows))}
    shots = tuple(photos[subject] for subject in left)
    ready = len(photos) - len(left)
    ask = PhotoQuestion(
        network, shots, tuple(map(tuple, left.values())), methods, log.metrics, setting, steps, predicted, ready > 0
    )
    done = ready
    yield done
    each = log.measure(ask, tuple(left), lambda count: moved(ready + count) if moved else None, workers=workers)
    with closing(each):
        for count, errors in each:
            done += count
            if failures is not None:
                failures |= {
                    (shot := shots[at]).name: f"{shot.where or shot.name}: {why}" for at, why in errors.items()
                }
            yield done


@dataclass(frozen=True)
class PhotoQuestion:
    """What is measured of photos, in a form that travels to other processes.

    Attributes:
        shots: the photos.
        missing: for each the methods and baseline maps to measure.
        sure: whether photos were measured already, so that what goes wrong is the fault of a photo.
    """

    network: Network
    shots: Sequence[Shot]
    missing: Sequence[Sequence[str]]
    methods: Mapping[str, Method]
    metrics: Sequence[str]
    setting: EvaluationSettings | None
    steps: int
    predicted: bool
    sure: bool

    def __call__(self) -> Measure:
        """What gives the numbers of the photo at a place; an error that is not of one photo ends the work."""
        model, sure = self.network.get(), self.sure

        def measured(place: int) -> Numbers:
            nonlocal sure
            shot = self.shots[place]
            try:
                numbers = _numbers(self, model, shot, self.missing[place])
            except FovealError as error:
                if sure or isinstance(error, ImageError | TargetError):
                    raise
                raise EndOfWorkError(type(error)(f"{shot.where or shot.name}: {error}")) from error
            sure = True
            return numbers

        return measured


def _numbers(asked: PhotoQuestion, model: Model, shot: Shot, missing: Sequence[str]) -> Numbers:
    """Of each of the methods and baseline maps that are missing."""
    batch = load_images(shot.path, model.preprocessing)
    known: dict[str, Any] = {}
    if shot.mask is not None:
        known["masks"] = [_mask(shot.mask, batch)]
    if shot.boxes is not None:
        known["boxes"] = [shot.boxes]
    if not known and all(metric.needs in ("object", "boxes") for metric in find_metrics(asked.metrics).values()):
        raise ImageError("these metrics need the object: give its boxes or a mask in the index, or other metrics.")
    own = [name for name in missing if name in asked.methods]
    target = None if asked.predicted or shot.target is None else Class(shot.target, whole_names=True)
    scores = measure(
        model, batch, target, explanations={name: asked.methods[name] for name in own or [*asked.methods][:1]},
        metrics=asked.metrics, baseline_maps=len(own) < len(missing),
        # A table that grows by a method is the same as one made at once.
        setting=asked.setting or replace(default_setting(batch.tensor, steps=asked.steps), together=False),
        precision="float32", **known,
    )  # fmt: skip
    return {name: {m: values[0] for m, values in scores.values.get(name, {}).items()} for name in missing}


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
