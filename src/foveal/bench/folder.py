"""Methods on a folder of photos, by what the network says, and by boxes or masks of the object where there are any.

index.csv, in the folder or named, has a line a photo: `file`, and as far as known `target` (a class by name or number;
`class_index` is the same), `boxes` ([[x0, y0, x1, y1], …] in the photo's pixels) and `mask` (a picture of the photo's
size, not 0 on the object).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from foveal.bench.ledger import Ledger
from foveal.errors import ImageError
from foveal.images import load_images, pictures_in
from foveal.measuring import default_setting, measure
from foveal.metrics.placement import Box
from foveal.metrics.trial import Setting
from foveal.models import Model


@dataclass(frozen=True, eq=False)
class Shot:
    """A photo and what is known of it; target None is the predicted class."""

    path: Path
    target: str | int | None = None
    boxes: Sequence[Box] | None = None
    mask: Path | None = None


def shots(folder: Path, index: Path | None = None) -> list[Shot]:
    """The photos of a folder, with what the index says of them.

    Raises:
        ImageError: for an index that cannot be read, or names a photo that is not there.
    """
    index = index or folder / "index.csv"
    if not index.exists():
        return [Shot(path) for path in pictures_in([folder])]
    found = []
    with index.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            if "file" not in row or not (folder / row["file"]).exists():
                raise ImageError(
                    f"Line {number} of {str(index)!r} names no photo in {str(folder)!r}: its column is file."
                )
            found.append(_shot(folder, row, f"line {number} of {str(index)!r}"))
    return found


def folder(
    ledger: Ledger, model: Model, photos: Sequence[Shot], *, methods: Sequence[str], setting: Setting | None = None,
    steps: int = 28, predicted: bool = False,
) -> Iterator[tuple[str, int, int]]:  # fmt: skip
    """Measure what the ledger lacks; yields (photo, done, total) after each, or what went wrong with it.

    Args:
        predicted: explain the predicted class, whatever the index says.
    """
    for number, shot in enumerate(photos, 1):
        name = shot.path.name
        if ("photo", name) not in ledger.done:
            try:
                ledger.add(_rows(ledger, model, shot, methods, setting, steps, predicted))
            except ImageError as error:  # one bad file among many is a line, not the end
                name = str(error)
        yield name, number, len(photos)


def _rows(
    ledger: Ledger, model: Model, shot: Shot, methods: Sequence[str], setting: Setting | None, steps: int,
    predicted: bool,
) -> list[dict[str, Any]]:  # fmt: skip
    batch = load_images(shot.path, model.preprocessing)
    known: dict[str, Any] = {}
    if shot.mask is not None:
        known["masks"] = [np.asarray(Image.open(shot.mask)) != 0]
    if shot.boxes is not None:
        known["boxes"] = [shot.boxes]
    scores = measure(
        model, batch, list(methods), None if predicted else shot.target, metrics=ledger.metrics,
        setting=setting or default_setting(batch.tensor, steps=steps), **known,
    )  # fmt: skip
    return [
        {"decision": "photo", "picture": shot.path.name, "method": name, **{m: v[0] for m, v in found.items()}}
        for name, found in scores.values.items()
    ]


def _shot(folder: Path, row: dict[str, str], where: str) -> Shot:
    try:
        boxes = [tuple(float(v) for v in box) for box in json.loads(row["boxes"])] if row.get("boxes") else None
        if boxes is not None and any(len(box) != 4 for box in boxes):
            raise ValueError("a box has four numbers")
    except (ValueError, TypeError) as error:
        raise ImageError(f"Cannot read the boxes in {where}: write [[x0, y0, x1, y1], …] ({error}).") from error
    target = row.get("target") or row.get("class_index") or None
    mask = folder / row["mask"] if row.get("mask") else None
    return Shot(folder / row["file"], target, boxes, mask)  # type: ignore[arg-type]
