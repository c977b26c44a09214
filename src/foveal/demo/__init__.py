"""The main job on the bundled images: explain them by every fast method, beside what is known, as one page.

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
    out: str | os.PathLike[str], *, images: int = 8, scenes: int = 200, intervened: int = 60, seed: int = 7
) -> Generator[DemoStep, None, None]:
    """Write `out`/report.html, one step at a time.

    The page is a studio with recorded answers. It is there after the first image, and is written again with the scores
    of the methods at the end. A run that is stopped, by Ctrl-C or by closing the iterator, leaves a page of what is
    done.

    Args:
        out: the folder, made if need be.
        images: the number of bundled images that are explained.
        scenes: newly drawn scenes that the methods are scored on.
        intervened: the number of them whose parts are removed one by one, to measure true effects.
        seed: of those scenes.
    """
    from foveal.demo.page import measured_answer
    from foveal.demo.truth import TruthMeasurements, measure
    from foveal.demo.views import BY_PARTS, MODEL, VIEWS
    from foveal.models import load_model
    from foveal.storage.atomic import write_text
    from foveal.synthetic import demo_scenes
    from foveal.webapp.record import StudioRecord
    from foveal.webapp.studio import Studio

    started = time.perf_counter()
    Path(out).mkdir(parents=True, exist_ok=True)  # now, not after the work is done
    model = load_model(MODEL)
    studio = Studio({MODEL: model, BY_PARTS: load_model(BY_PARTS)})
    studio.add_scenes(demo_scenes()[:images])
    record, evidence = StudioRecord(studio), TruthMeasurements()
    written = (0, 0)

    def write() -> None:
        """The page of what is done, unless it is written already."""
        nonlocal written
        if record.answers and written != (len(record.answers), len(evidence.correct)):
            written = (len(record.answers), len(evidence.correct))
            seconds = time.perf_counter() - started
            command = f"foveal demo --out {out}"
            record.keep("measured", {}, measured_answer(model, evidence, seconds=seconds, seed=seed, command=command))
            page = record.page("#/decision", title="Why did the network look there?", coarse=True)
            write_text(Path(out) / "report.html", page)

    photos = [photo.hash for photo in studio.photos]
    try:
        for done, photo in enumerate(photos):
            yield DemoStep("explaining images", done, len(photos))
            for view in VIEWS.values():
                view(record, studio, photo)
            if done == 0:
                write()
        yield DemoStep("explaining images", len(photos), len(photos))
        write()
        yield DemoStep("scoring scenes", 0, scenes)
        for done in measure(model, evidence, scenes=scenes, intervened=intervened, seed=seed):
            yield DemoStep("scoring scenes", done, scenes)
    finally:
        write()
