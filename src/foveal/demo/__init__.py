"""The main job on the bundled pictures: explain them by every method, beside what is known, as one report.

for step in foveal.demo.run("demo"):
    print(step.description, step.done, step.total)
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os


@dataclass(frozen=True)
class DemoStep:
    """What is being done, and how far it is."""

    description: str
    done: int
    total: int


def run(out: str | os.PathLike[str], *, scenes: int = 200, intervened: int = 60, seed: int = 7) -> Iterator[DemoStep]:
    """Write `out`/report.html, one step at a time.

    Args:
        out: the folder, made if need be.
        scenes: freshly drawn scenes that the methods are scored on.
        intervened: how many of them are taken apart to measure true effects.
        seed: of those scenes.
    """
    from foveal.demo.feature_images import feature_images_section
    from foveal.demo.page import report
    from foveal.demo.pictures import picture_section
    from foveal.demo.truth import TruthMeasurements, measure
    from foveal.models import load_model
    from foveal.report.report import write_report
    from foveal.synthetic import CLASS_NAMES, demo_scenes, render
    from foveal.synthetic.splits import Example

    started = time.perf_counter()
    Path(out).mkdir(parents=True, exist_ok=True)  # now, not after the work is done
    model = load_model("demo")
    sections = []
    pictures = demo_scenes()
    for done, scene in enumerate(pictures):
        yield DemoStep("explaining the bundled pictures", done, len(pictures))
        sections.append(picture_section(model, Example(*render(scene), CLASS_NAMES.index(scene.class_name), scene)))
    yield DemoStep("explaining the bundled pictures", len(pictures), len(pictures))
    yield DemoStep("portraying what the last stage sees", 0, 1)
    sections.append(feature_images_section(model))
    yield DemoStep("portraying what the last stage sees", 1, 1)
    evidence = TruthMeasurements()
    for done in measure(model, evidence, scenes=scenes, intervened=intervened, seed=seed):
        yield DemoStep("scoring the methods on fresh pictures", done, scenes)
    seconds = time.perf_counter() - started
    page = report(model, sections, evidence, seconds=seconds, seed=seed, command=f"foveal demo --out {out}")
    write_report(page, Path(out) / "report.html")
    yield DemoStep("writing the report", 1, 1)
