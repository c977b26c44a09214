"""Folders of small pictures, and runs of a small network on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import foveal
from foveal.images import Preprocessing
from foveal.models import Model
from foveal.runs.result import Run
from tests.results.kinds import Tiny

LABELS = ("a", "b", "c")


def network() -> Model:
    return Model(Tiny().eval(), "tiny", Preprocessing((16, 16)), LABELS, task="classes")


def drawn(folder: Path, count: int = 20) -> Path:
    """Pictures of two classes, each in its folder."""
    random = np.random.default_rng(1)
    for number in range(count):
        place = folder / LABELS[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (20, 24, 3), np.uint8)).save(place / f"{number:02d}.png")
    return folder


def ran(photos: Any, out: Path, **options: Any) -> Run:
    return foveal.run(options.pop("model", None) or network(), photos, out=out, batch=4, shard=4, **options)


def parts(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.glob("*.parquet"))}
