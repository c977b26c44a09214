"""Photos whose object is known: species of birds, breeds of pets, points on birds; read from a data folder.

The folder holds `images/birds`, `images/birds_parts` and `images/pets`, each with an index.csv. It is no part of the
repository.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from foveal.metrics.placement import energy, pointing

TRIMAP_BACKGROUND = 2


@dataclass(frozen=True)
class RealPhoto:
    """One photo.

    Attributes:
        label: species or breed, a number.
        size: (height, width) in pixels.
        box: of the object, x0, y0, x1, y1 in pixels, where known.
        trimap: file with the silhouette, where known.
        points: visible parts, name -> (x, y) in pixels.
        known: class of `mobilenet_v2_inat_bird`, or -1.
    """

    file: Path
    label: int
    size: tuple[int, int]
    box: tuple[float, float, float, float] | None = None
    trimap: Path | None = None
    points: dict[str, tuple[float, float]] = field(default_factory=dict)
    known: int = -1

    def inside(self) -> NDArray[np.bool_] | None:
        """(height, width): where the object is, None where that is unknown."""
        if self.trimap is not None:
            return np.asarray(Image.open(self.trimap)) != TRIMAP_BACKGROUND
        if self.box is None:
            return None
        mask = np.zeros(self.size, bool)
        x0, y0, x1, y1 = (max(0, round(end)) for end in self.box)
        mask[y0:y1, x0:x1] = True
        return mask


def rows_of(folder: Path, name: str = "index.csv") -> list[dict[str, str]]:
    with (folder / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def birds(data: Path) -> list[RealPhoto]:
    """Ten species: 120 photos of which nothing else is known, 60 with a box and points."""
    folder = data / "images" / "birds"
    plain = [
        RealPhoto(folder / row["file"], int(row["class"]), _size(row), known=int(row["inat_bird_class"]))
        for row in rows_of(folder)
    ]
    return plain + bird_parts(data)


def bird_parts(data: Path) -> list[RealPhoto]:
    """60 photos of these ten species, with a box and the points of the visible parts."""
    folder = data / "images" / "birds_parts"
    points: dict[str, dict[str, tuple[float, float]]] = {}
    for row in rows_of(folder, "parts.csv"):
        points.setdefault(row["file"], {})[row["part"]] = (float(row["x"]), float(row["y"]))
    return [
        RealPhoto(
            folder / row["file"], int(row["class"]), _size(row), points=points.get(row["file"], {}),
            box=tuple(float(row[f"box_{end}"]) for end in ("x0", "y0", "x1", "y1")),  # type: ignore[arg-type]
            known=int(row["inat_bird_class"]),
        )
        for row in rows_of(folder)
    ]  # fmt: skip


def pets(data: Path) -> list[RealPhoto]:
    """60 photos of three breeds, with silhouettes."""
    folder = data / "images" / "pets"
    rows = rows_of(folder)
    breeds = sorted({row["breed"] for row in rows})
    return [
        RealPhoto(folder / row["file"], breeds.index(row["breed"]), _size(row), trimap=folder / row["trimap"])
        for row in rows
    ]


def folds(labels: Sequence[int], count: int, seed: int = 0) -> Iterator[tuple[list[int], list[int]]]:
    """(numbers to learn from, numbers to test on): each image is tested once, each class is spread evenly."""
    random = np.random.default_rng(seed)
    fold = np.zeros(len(labels), int)
    for label in sorted(set(labels)):
        own = random.permutation(np.flatnonzero(np.asarray(labels) == label))
        fold[own] = np.arange(len(own)) % count
    for k in range(count):
        yield np.flatnonzero(fold != k).tolist(), np.flatnonzero(fold == k).tolist()


def on_object(map: NDArray[Any], inside: NDArray[np.bool_] | None) -> tuple[float, float, float]:
    """(hit, share of the positive evidence on the object, share of the area): of what the network saw of the photo.

    Args:
        map: (height, width) of the photo, NaN where the network did not look.
    """
    if inside is None:
        return (float("nan"),) * 3
    seen = np.isfinite(map)
    values, mask = torch.from_numpy(map[seen]), torch.from_numpy(inside[seen])
    return pointing(values, mask), energy(values, mask), float(mask.double().mean())


def _size(row: dict[str, str]) -> tuple[int, int]:
    return int(row["height"]), int(row["width"])
