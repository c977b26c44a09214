"""Work that is quick and can be foreseen: the mean of a picture, and a map of its corners."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from foveal.datasets.inside import Picture
from foveal.datasets.local import ShardStep, work_here
from foveal.datasets.parts import PartLayout, Row, Sealed
from foveal.datasets.plan import Item, Plan
from foveal.datasets.processes import Workers
from foveal.datasets.shard import ShardWork, Task
from foveal.images.load import photo_of

LAYOUT = PartLayout(("predicted",), ("score",), ("late",))
BATCH = 2


@dataclass
class Means:
    """The explainer: it waits a moment, so that it can be killed, and dies of pictures that are called so.

    Attributes:
        seconds: that each batch takes.
        deadly: kills the process, where it is in the name of a picture.
        once: kills it as long as there is a file of this name, which goes.
    """

    seconds: float = 0.0
    deadly: str = ""
    once: str = ""

    def read(self, picture: Picture) -> Any:
        return np.asarray(photo_of(picture).pixels, np.float32)

    def rows(self, items: Sequence[Item], pictures: Sequence[Any]) -> list[Row]:
        if self.deadly and any(self.deadly in item.uri for item in items):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.once and Path(self.once).exists():
            Path(self.once).unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.seconds)
        total = float(sum(picture.mean() for picture in pictures))  # tells which pictures were one batch
        return [
            Row(
                {"predicted": f"p{item.id % 3}", "score": float(picture.mean()) + total},
                {"late": picture[:4:2, :4:2, 0] - 99},
            )
            for item, picture in zip(items, pictures, strict=True)
        ]


@dataclass(frozen=True)
class Make:
    """What makes it, in any process."""

    means: Means

    def __call__(self) -> Means:
        return self.means


def drawn(folder: Path, count: int) -> list[tuple[str, str | None]]:
    """So many small pictures, and their listing."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for number in range(count):
        Image.fromarray(random.integers(0, 256, (6, 6, 3), np.uint8)).save(folder / f"{number:03d}.png")
    return [(f"{number:03d}.png", f"c{number % 2}") for number in range(count)]


def work(photos: Path, out: Path, seconds: float = 0.0, deadly: str = "", of: str = "mine") -> ShardWork:
    out.mkdir(exist_ok=True)
    return ShardWork(Make(Means(seconds, deadly)), photos, out, of, LAYOUT, BATCH)


def tasks(plan: Plan) -> list[Task]:
    return [Task(shard, plan.items(shard)) for shard in range(plan.shards)]


def done(work: ShardWork, tasks: Sequence[Task], workers: int = 0) -> list[Sealed]:
    """All parts, made here or by workers."""
    steps: list[ShardStep] = []
    each = Workers(work, workers, steps.append).each(tasks) if workers else work_here(work, tasks, steps.append)
    return sorted(each, key=lambda part: part.shard)


def parts(out: Path) -> dict[str, bytes]:
    """What lies in a folder."""
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}
