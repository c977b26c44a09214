"""The main job on the bundled images: explain them by every method, beside what is known, as one report.

for step in foveal.demo.run("out/demo"):
    print(step.description, step.done, step.total)
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os


@dataclass(frozen=True)
class DemoStep:
    """What is being done, a verb and what it counts, and how far it is."""

    description: str
    done: int
    total: int


def run(
    out: str | os.PathLike[str], *, scenes: int = 200, intervened: int = 60, seed: int = 7
) -> Generator[DemoStep, None, None]:
    """Write `out`/report.html, one step at a time.

    The report with the explained images comes first, and is written again with the scores of the methods at the end.
    A run that is stopped, by Ctrl-C or by closing the iterator, leaves a report of what is done.

    Args:
        out: the folder, made if need be.
        scenes: newly drawn scenes that the methods are scored on.
        intervened: the number of them whose parts are removed one by one, to measure true effects.
        seed: of those scenes.
    """
    from foveal.demo.feature_images import feature_images_section
    from foveal.demo.page import report
    from foveal.demo.pictures import picture_section
    from foveal.demo.truth import TruthMeasurements, measure
    from foveal.models import load_model
    from foveal.report.report import Section, write_report
    from foveal.synthetic import CLASS_NAMES, demo_scenes, render
    from foveal.synthetic.splits import Example

    started = time.perf_counter()
    Path(out).mkdir(parents=True, exist_ok=True)  # now, not after the work is done
    model = load_model("demo")
    sections: list[Section] = []
    evidence = TruthMeasurements()
    written = (0, 0)

    def write() -> None:
        """The report of what is done, unless it is written already."""
        nonlocal written
        if sections and written != (len(sections), len(evidence.correct)):
            seconds = time.perf_counter() - started
            page = report(model, sections, evidence, seconds=seconds, seed=seed, command=f"foveal demo --out {out}")
            write_report(page, Path(out) / "report.html")
            written = (len(sections), len(evidence.correct))

    pictures = demo_scenes()
    try:
        for done, scene in enumerate(pictures):
            yield DemoStep("explaining images", done, len(pictures))
            sections.append(picture_section(model, Example(*render(scene), CLASS_NAMES.index(scene.class_name), scene)))
            if done == 0:
                write()
        yield DemoStep("explaining images", len(pictures), len(pictures))
        write()
        yield DemoStep("optimizing sections of feature images", 0, 1)
        sections.append(feature_images_section(model))
        write()
        yield DemoStep("optimizing sections of feature images", 1, 1)
        yield DemoStep("scoring scenes", 0, scenes)
        for done in measure(model, evidence, scenes=scenes, intervened=intervened, seed=seed):
            yield DemoStep("scoring scenes", done, scenes)
    finally:
        write()
