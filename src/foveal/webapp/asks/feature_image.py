"""A feature image of a channel in the making: a little further at every question, so that other questions come between.

The page asks to go on from a step; what it gets is a frame. It pauses by not asking.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from foveal.api.visualize import optimize
from foveal.featurevis.objective_weights import ObjectiveWeights
from foveal.featurevis.schedule import Octave, Schedule
from foveal.report.answers.channels import FeatureFrame
from foveal.targets import Neuron
from foveal.webapp.ask import Progress, Query, ask
from foveal.webapp.scenes import picture

if TYPE_CHECKING:
    from foveal.featurevis.run import FeatureVisRun
    from foveal.webapp.studio import Studio

STEPS = 160
BOUT = 0.25  # seconds of work a question


class FeatureImageQuery(Query):
    """Go on with the feature image of a channel.

    Attributes:
        done: the steps that the page has seen.
        steps: of the whole optimization.
        smoothness, low_saturation: weights, see `ObjectiveWeights`; other weights make another image.
        stop: do not go on; give the best so far.
    """

    model: str = Field(max_length=300)
    layer: str = Field(max_length=300)
    channel: int = Field(ge=0, le=10**6)
    done: int = Field(default=0, ge=0, le=2000)
    steps: int = Field(default=STEPS, ge=1, le=2000)
    smoothness: float = Field(default=2.0, ge=0, le=50, allow_inf_nan=False)
    low_saturation: float = Field(default=0.0, ge=0, le=50, allow_inf_nan=False)
    stop: bool = False


@ask("feature_image", lasting=False)
def feature_image(studio: Studio, query: FeatureImageQuery, progress: Progress) -> FeatureFrame:
    """As many steps as fit in a quarter of a second, one at least."""
    weights = query.steps, query.smoothness, query.low_saturation
    key = ("feature image", query.model, query.layer, query.channel, *weights)
    progress("preparing the image", 0, query.steps)
    making = studio.kept(key, lambda: Making(studio, query))
    until = time.perf_counter() + BOUT
    while not query.stop and making.going_on and making.run.done <= query.done:
        making.step()
        while making.going_on and time.perf_counter() < until:
            progress("optimizing the image", making.run.done, query.steps)
            making.step()
    return making.frame(best=query.stop)


class Making:
    """One optimization, and the step it has come to."""

    def __init__(self, studio: Studio, query: FeatureImageQuery) -> None:
        schedule = Schedule((Octave(1.0, query.steps),))
        self.unit = Neuron(query.layer, query.channel)
        weights = ObjectiveWeights(smoothness=query.smoothness, low_saturation=query.low_saturation)
        self.run: FeatureVisRun = optimize(
            studio.model(query.model), target=self.unit, schedule=schedule, objective_weights=weights
        )
        self._steps = iter(self.run)
        self.going_on = True

    def step(self) -> None:
        """One step; `going_on` is False when there is none left."""
        self.going_on = next(self._steps, None) is not None and self.run.done < self.run.schedule.steps

    def frame(self, *, best: bool) -> FeatureFrame:
        """The image as it is, or the best."""
        if best or not self.going_on:
            if not self.run.best or best:
                self.run.check()
            shown = self.run.best[0].image
        else:
            shown = self.run.shown()[0]
        seen = self.run.network.look(shown[None].to(self.run.network.device), [self.unit.layers[0]], gradient=False)
        pixels = (shown.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
        return FeatureFrame(
            image=picture(pixels if pixels.shape[2] == 3 else np.repeat(pixels[:, :, :1], 3, 2)),
            done=self.run.done,
            total=self.run.schedule.steps,
            peak=float(seen.maps[self.unit.layers[0]][0, self.unit.channel].max()),
            finished=not self.going_on,
            notes=list(self.run.notes),
        )
