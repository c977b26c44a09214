"""Whether giving out shards holds actors up: many that only sleep, against one.

    python -m benchmarks.scheduler                 24 actors
    python -m benchmarks.scheduler --actors 4

All actors wait until the last one has started; what is compared is the shards a second from there on.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from foveal.datasets.inside import Picture
from foveal.datasets.on_ray import LOCAL, RayWorkers
from foveal.datasets.parts import PartLayout, Row
from foveal.datasets.plan import Item, Plan
from foveal.datasets.shard import ShardWork, Task

SLEEP, EACH = 1.0, 6


@dataclass(frozen=True)
class Sleeper:
    """A network that takes a second and no processor."""

    def read(self, picture: Picture) -> None:
        """Nothing."""

    def rows(self, items: Sequence[Item], pictures: Sequence[None]) -> list[Row]:
        """A number for each."""
        time.sleep(SLEEP)
        return [Row({"score": float(item.id)}) for item in items]


@dataclass(frozen=True)
class Together:
    """Makes the network once so many processes want it."""

    place: Path
    actors: int

    def __call__(self) -> Sleeper:
        with tempfile.NamedTemporaryFile(dir=self.place, delete=False):
            pass
        while len(list(self.place.iterdir())) < self.actors:
            time.sleep(0.05)
        return Sleeper()


def rate(actors: int) -> float:
    """Shards a second of so many actors, from the start of the first shard to the end of the last."""
    with tempfile.TemporaryDirectory() as folder:
        place, out = Path(folder) / "started", Path(folder) / "out"
        place.mkdir()
        out.mkdir()
        plan = Plan.of([(f"{k}.png", None) for k in range(actors * EACH)], place, shard=1)
        work = ShardWork(Together(place, actors), place, out, "sleep", PartLayout((), ("score",), ()), 1)
        tasks = [Task(shard, plan.items(shard)) for shard in range(plan.shards)]
        began = ended = 0.0
        for _ in RayWorkers(work, actors, lambda step: None, LOCAL).each(tasks):
            began, ended = began or time.perf_counter() - SLEEP, time.perf_counter()
        assert len(list(out.glob("part-*"))) == len(tasks)
        return len(tasks) / (ended - began)


def main(actors: int) -> None:
    one, many = rate(1), rate(actors)
    print(f"{actors} sleeping actors: {many:.2f} shards a second, one: {one:.2f}; "
          f"{many / one:.1f} times as many (at least 20 of 24)")  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--actors", type=int, default=24)
    from benchmarks import scheduler  # under the name by which actors know it

    scheduler.main(parser.parse_args().actors)
