"""The truth about a drawn scene: every part taken away in turn, beside what a map says of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from foveal.attribution.perturbed_score import PerturbedScore, perturbed_scores
from foveal.attribution.prepare import prepare, read
from foveal.report.answers.decision import asked_classes
from foveal.report.answers.truth import LayerShare, TruthAnswer, largest_effect, part_rows, sided, verdict_of
from foveal.synthetic.agreement import share
from foveal.synthetic.drawing import render
from foveal.synthetic.effects import effects
from foveal.webapp.ask import Progress, TargetQuery, ask
from foveal.webapp.asks.decision import DecisionQuery, explained, title_of
from foveal.webapp.scenes import scene_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from foveal.attribution.context import Context
    from foveal.models import Model
    from foveal.synthetic.effects import Score
    from foveal.synthetic.scene import Scene
    from foveal.webapp.studio import Studio

CHUNK = 16  # drawings between two reports of progress


class TruthQuery(DecisionQuery):
    """A decision about a drawn scene, and the map to judge; of its layers the last where none is named."""


@ask("truth")
def truth(studio: Studio, query: TruthQuery, progress: Progress) -> TruthAnswer:
    """About 30 drawings, and a forward pass for each."""
    began = time.perf_counter()
    model, photo = studio.model(query.model), studio.photo(query.photo)
    scene = scene_of(photo)
    labels = render(scene)[1]
    why = explained(studio, query.model_copy(update={"layer": None}), progress)
    layer = query.layer if query.layer in why.layers else why.layers[-1]
    maps = {at: why.on_photo(0, layer=at) for at in why.layers}
    with questioned(studio, query) as (context, question):
        drawings, found = effects_of(model, scene, question, progress)
        words = question.label
        stages = {stage.name: list(stage.receptive_field) for stage in context.tracing().stages}
        score, notes = question.whole, [*context.remarks(), *question.notes]
    map = sided(maps[layer], found)
    deciding, pointed, verdict = verdict_of(found, score, labels, map)
    return TruthAnswer(
        target=words,
        asked=asked_classes(words, why.target_spec),
        score=score,
        parts=part_rows(scene, labels, found, map),
        side="against" if largest_effect(found) < 0 else "for",
        deciding=deciding,
        pointed=pointed,
        verdict=verdict,
        layer=layer,
        method=why.method,
        title=title_of(studio, query.method),
        layers=[
            LayerShare(layer=at, share=share(sided(map, found), labels, [deciding]), sees=stages.get(at))
            for at, map in maps.items()
            if deciding
        ],
        drawings=drawings,
        seconds=time.perf_counter() - began,
        notes=list(dict.fromkeys([*why.notes, *notes])),
    )


@contextmanager
def questioned(studio: Studio, query: TargetQuery) -> Iterator[tuple[Context, PerturbedScore]]:
    """The decision about a photo, ready to be asked about other drawings: it stays what it was about the photo."""
    model = studio.model(query.model)
    context = prepare(model, [studio.photo(query.photo).image], studio.target(query.target, model))
    with perturbed_scores(context, "score") as (question,):
        yield context, question


def score_of(model: Model, question: PerturbedScore) -> Score:
    """Pictures (n, h, w, 3) to scores (n,)."""

    def scores(pictures: NDArray[np.uint8]) -> NDArray[np.floating]:
        answers: NDArray[np.floating] = question(read(model, list(pictures)).tensor).double().cpu().numpy()
        return answers

    return scores


def effects_of(
    model: Model, scene: Scene, question: PerturbedScore, progress: Progress
) -> tuple[int, dict[str, float]]:
    """How many drawings, and the effect of each part that the scene has and of the background."""
    drawn, ask_ = 0, score_of(model, question)

    def counted(pictures: NDArray[np.uint8]) -> NDArray[np.floating]:
        nonlocal drawn
        drawn += len(pictures)
        progress("drawing without one part after another", drawn, 0)
        return ask_(pictures)

    measured = effects([scene], counted, batch=CHUNK)
    return drawn, measured.row(0)
