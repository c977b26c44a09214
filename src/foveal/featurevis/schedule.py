"""The tasks, schedule and state of an optimization of images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from torch import Tensor

from foveal.featurevis.objective import Objective
from foveal.featurevis.optimizers import OptimizerName
from foveal.featurevis.parametrization import Parametrization
from foveal.featurevis.transforms import USUAL, Views

if TYPE_CHECKING:
    from jaxtyping import Float

Size: TypeAlias = tuple[int, int]


@dataclass(frozen=True)
class Octave:
    """A number of steps with images of `scale` times the network's input size."""

    scale: float
    steps: int


@dataclass(frozen=True)
class Schedule:
    """The settings of an optimization.

    Attributes:
        octaves: one after the other; the image is enlarged between them.
        optimizer: "adam", "sgd" or "descent".
        rate: learning rate, times the parametrization's own; decays to a tenth along a cosine.
        views: random views, before each forward pass.
        check: steps between two evaluations without random views.
        patience: evaluations without an improvement of 0.1 % after which an image is done; 0 to disable.
        even: divide each gradient by its root mean square.
        mask: takes a size, returns (h, w); multiplies the gradient of the image.
        retouch: (images, done, total) -> images, after each step; None for none.
        relu_leak: number of first steps in which gradients pass inactive ReLUs, so that inactive units can become
            active; the default for units is a quarter of all steps, −1 is none.
        seed: random seed.
        batch: the largest number of images in a forward pass.
    """

    octaves: tuple[Octave, ...] = (Octave(1.0, 256),)
    optimizer: OptimizerName = "adam"
    rate: float = 1.0
    views: Views = USUAL
    check: int = 25
    patience: int = 4
    even: bool = False
    mask: Callable[[Size], Float[Tensor, "h w"]] | None = None
    retouch: Callable[[Tensor, int, int], Tensor] | None = None
    relu_leak: int = 0
    seed: int = 0
    batch: int = 16

    @property
    def steps(self) -> int:
        """The number of steps of all octaves."""
        return sum(octave.steps for octave in self.octaves)


@dataclass(frozen=True, eq=False)
class FeatureTask:
    """The objective of the images of one facet, layer or unit.

    Attributes:
        name: a unique name, which also seeds its random numbers.
        objective: to be minimized.
        parametrization: takes (h, w), returns a parametrization.
        watched: the layer whose pooled features are kept for the best image.
        start: (c, h, w), the start image; None for noise.
        seeds: one image per seed.
    """

    name: str
    objective: Objective
    parametrization: Callable[[Size], Parametrization]
    kept_layer: str | None = None
    start: Float[Tensor, "c h w"] | None = None
    seeds: tuple[int, ...] = (0,)


@dataclass(frozen=True, eq=False)
class Best:
    """The best image so far.

    Attributes:
        image: (c, h, w) in 0..1.
        loss: the value of its objective, without random views.
        step: the step at which it was found.
        features: (c,), pooled, of the watched layer.
    """

    image: Float[Tensor, "c h w"]
    loss: float
    step: int
    features: Float[Tensor, " c"] | None


@dataclass(frozen=True)
class ScheduleStep:
    """The state of the optimization after a step.

    Attributes:
        done, total: steps.
        losses: of the images that are not done, with random views.
        checked: whether the images were just evaluated.
        active: the number of images that are not done.
    """

    done: int
    total: int
    losses: tuple[float, ...]
    checked: bool
    active: int
