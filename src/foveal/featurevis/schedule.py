"""What is to become of images, how they are made, and where that stands."""

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
    """So many steps at images of a size that is `scale` times the network's."""

    scale: float
    steps: int


@dataclass(frozen=True)
class Schedule:
    """How images are made.

    Attributes:
        octaves: one after the other; the image is enlarged between them.
        optimizer: "adam", "sgd" or "descent".
        rate: of a step, times the parametrization's own; falls to a tenth along a cosine.
        views: random, before each look of the network.
        check: steps between two evaluations without random views.
        patience: evaluations without an improvement of 0.1 % after which an image is done; 0 for never.
        even: divide each gradient by its root mean square.
        mask: of a size, gives (h, w); the gradient of the image is multiplied by it.
        retouch: (images, done, total) -> images, after each step; None for none.
        relu_leak: for so many steps at first gradients go through rectifiers that are off, so that sleeping units wake;
            for units a quarter of all steps unless it is said, −1 for none.
        seed: decides everything random.
        batch: images in a forward, at most.
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
        """Of all octaves together."""
        return sum(octave.steps for octave in self.octaves)


@dataclass(frozen=True, eq=False)
class FeatureTask:
    """What is to become of the images of one facet, layer or unit.

    Attributes:
        name: tells it from the others; with it the seed of its randomness.
        objective: to be made small.
        parametrization: makes one for images (h, w).
        watched: the layer whose pooled features are kept of the best.
        start: (c, h, w), what it begins with; None for noise.
        seeds: an image each.
    """

    name: str
    objective: Objective
    parametrization: Callable[[Size], Parametrization]
    watched: str | None = None
    start: Float[Tensor, "c h w"] | None = None
    seeds: tuple[int, ...] = (0,)


@dataclass(frozen=True, eq=False)
class Best:
    """The best image so far.

    Attributes:
        image: (c, h, w) in 0..1.
        loss: its objective, without random views.
        step: when it was found.
        features: (c,), pooled, of the watched layer.
    """

    image: Float[Tensor, "c h w"]
    loss: float
    step: int
    features: Float[Tensor, " c"] | None


@dataclass(frozen=True)
class ScheduleStep:
    """Where the optimization stands after a step.

    Attributes:
        done, total: steps.
        losses: of the images still worked on, with random views.
        checked: whether the best was looked for just now.
        active: how many images are not done.
    """

    done: int
    total: int
    losses: tuple[float, ...]
    checked: bool
    active: int
