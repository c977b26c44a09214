"""What a run of a data set costs beside a plain loop, how its memory grows, and how large its files are.

python -m benchmarks.runs                 all three
python -m benchmarks.runs --count 50000   memory over so many tiny pictures
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

import foveal
from benchmarks.timing import spread
from foveal.datasets.parts import PartLayout, Row
from foveal.datasets.plan import Plan
from foveal.images import Preprocessing
from foveal.models import Model
from foveal.models.extras import import_torchvision

BATCH = 8


def classifier(width: int, size: int) -> Model:
    """Four stages with random weights, quick to make."""
    torch.manual_seed(0)
    channels = [3, width, 2 * width, 4 * width, 8 * width]
    stages = [
        nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.ReLU(), nn.Conv2d(b, b, 3, 1, 1), nn.ReLU())
        for a, b in pairwise(channels)
    ]
    module = nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8 * width, 10)).eval()
    return Model(module, "four stages", Preprocessing((size, size)), tuple("abcdefghij"), task="classes")


def photos(folder: Path, count: int, side: int, kind: str) -> list[str]:
    """So many noisy pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    random, names = np.random.default_rng(0), []
    for number in range(count):
        names.append(str(folder / f"{number:06d}.{kind}"))
        Image.fromarray(random.integers(0, 256, (side, side, 3), np.uint8)).save(names[-1])
    return names


def networks() -> dict[str, Model]:
    """ResNet-18 with random weights, and the network that comes with foveal."""
    torch.manual_seed(0)
    resnet = import_torchvision().models.resnet18(weights=None).eval()
    labels = tuple(f"class {number}" for number in range(1000))
    return {
        "ResNet-18": Model(resnet, "resnet18", Preprocessing((224, 224)), labels, task="classes"),
        "the bundled network": foveal.load_model("demo"),
    }


def ratio(place: Path, count: int = 96, repeats: int = 5) -> None:
    """A run against the loop that a person would write, in processor time of all threads and in time on the clock."""
    names = photos(place / "photos", count, 300, "jpg")
    torch.set_num_threads(1)
    for which, model in networks().items():

        def loop(number: int, model: Model = model) -> None:
            for start in range(0, count, BATCH):
                foveal.explain(model, names[start : start + BATCH])

        def run(number: int, model: Model = model, which: str = which) -> None:
            foveal.run(model, names, out=place / f"{which}-{number}", batch=BATCH)

        ratios: list[tuple[float, float]] = []
        for number in range(repeats):
            order = (loop, run) if number % 2 else (run, loop)
            seconds = {action: timed(action, number) for action in order}
            clock, processor = (a / b for a, b in zip(seconds[run], seconds[loop], strict=True))
            ratios.append((clock, processor))
        clock, processor = (spread([*each]) for each in zip(*ratios, strict=True))
        print(
            f"{which}: run / loop over {count} photos, {clock} on the clock (at most 1.10), "
            f"{processor} of processor time"
        )


def timed(action: Callable[[int], None], number: int) -> tuple[float, float]:
    """Seconds on the clock, and of processor time."""
    began = time.perf_counter(), time.process_time()
    action(number)
    return time.perf_counter() - began[0], time.process_time() - began[1]


def memory(place: Path, count: int) -> None:
    """How memory grows while a process explains so many pictures, and the largest it needs for all and for a fifth."""
    names = photos(place / "tiny", count, 16, "png")
    peaks = {}
    for part in (count // 5, count):
        out = place / f"run-of-{part}"
        listed = place / f"{part}.csv"
        listed.write_text("path\n" + "\n".join(names[:part]) + "\n")
        call = [sys.executable, "-m", "benchmarks.runs", "--explain", str(listed), "--out", str(out)]
        said = subprocess.run(call, check=True, capture_output=True, text=True).stdout
        slope, peaks[part] = map(float, said.split()[-2:])
    (few, low), (many, high) = peaks.items()
    print(f"memory while {many} pictures are explained: {slope:+.2f} MB for each 10,000 (less than 1)")
    print(f"at most {low:.0f} MB for {few} pictures and {high:.0f} MB for {many}, listed and read back: "
          f"{1000 * (high - low) / (many - few):.2f} KB a picture")  # fmt: skip


def explain_listed(listed: Path, out: Path) -> None:
    """Explain them, and print by how many MB memory grows with 10,000 pictures, after the first fifth, and its peak."""
    seen: list[tuple[int, float]] = []

    def look(what: str, done: int, total: int) -> None:
        if done >= total / 5:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            seen.append((done, pages * resource.getpagesize() / 2**20))

    foveal.run(classifier(4, 16), listed, out=out, batch=32, progress=look)
    slope, _ = np.polyfit(*np.array(seen).T, 1)
    print(10_000 * slope, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def sizes(place: Path, count: int = 50_000) -> None:
    """The files of so many maps of 7×7 cells, with paths and numbers as of ImageNet's validation set."""
    random, folder = np.random.default_rng(0), place / "sizes"
    folder.mkdir()
    listed = [(f"n{i % 1000:08d}/ILSVRC2012_val_{i:08d}.JPEG", f"n{i % 1000:08d}") for i in range(count)]
    plan = Plan.of(listed, place, batch=BATCH)
    plan.save(folder)
    layout = PartLayout(("predicted", "target"), ("score", "probability"), ("layer4",))
    for shard in range(plan.shards):
        rows = [
            Row(
                {"predicted": f"class {item.id % 1000}", "target": f"class {item.id % 1000}",
                 "score": float(random.normal()), "probability": float(random.random())},
                {"layer4": np.maximum(random.normal(size=(7, 7)), 0)},
            )
            for item in plan.items(shard)
        ]  # fmt: skip
        layout.write(folder, shard, "size", plan.items(shard), rows)
    total = sum(path.stat().st_size for path in folder.iterdir())
    print(f"files of {count} maps of 7×7: {total / 1e6:.1f} MB in {plan.shards} parts (less than 12)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--photos", type=int, default=96, help="of the comparison with a loop")
    parser.add_argument("--explain", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.explain:
        explain_listed(given.explain, given.out)
    else:
        with tempfile.TemporaryDirectory() as folder:
            sizes(Path(folder))
            ratio(Path(folder), given.photos)
            memory(Path(folder), given.count)
