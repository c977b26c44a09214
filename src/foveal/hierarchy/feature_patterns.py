"""What in the image drives a feature: derivatives by the pixels. Specification: gAP, sections 5.4, 6.1 and 6.4.

    guided       ∂ y / ∂ x by guided backpropagation. An image of a pattern and no more: it is partly an edge detector
    smoothgrad   x ⊙ the mean of ∂ y / ∂ x over noisy copies: no rule but the derivative
    region       the box that leaves out 1.25 % of |∂ y / ∂ x| on each side, so holds 95 % of it at least

A neuron of an early stage sees little, so the network runs on windows of the image, all features of a stage at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from foveal.engine.address import INPUT
from foveal.engine.capture import capture
from foveal.engine.chunks import WHOLE, Chunks, fitting
from foveal.engine.layout import channels_first
from foveal.engine.memory import load_of
from foveal.engine.positions.where import Cells
from foveal.engine.rules.guided import GuidedMode
from foveal.engine.structure import Stage
from foveal.errors import FovealError, MethodError, ModelError, UnknownMethod
from foveal.hierarchy.feature_value import feature_values
from foveal.hierarchy.windows import Windows
from foveal.results.feature_graph import Pattern

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.engine.arguments import Arguments
    from foveal.results.feature_graph import Feature

KINDS = ("guided", "smoothgrad")
COPIES, NOISE = 8, 0.1  # noisy copies; standard deviation in units of the image's range
OUTSIDE = 0.0125  # of |∂ y / ∂ x|, on each side of the region


@dataclass(eq=False)
class FeaturePatterns:
    """Looks at one image through a network, up to its stages.

    Attributes:
        calls: of each stage, the number of its module's last call.
        slack: a stage's number -> how much its windows have to spare; None where it looks at the whole image.
    """

    model: nn.Module
    x: Float[Tensor, "1 c h w"]
    arguments: Arguments
    stages: tuple[Stage, ...]
    calls: Sequence[int]
    slack: dict[int, int | None] = field(default_factory=dict)

    def compute(self, features: Sequence[Feature], kind: str) -> list[Pattern]:
        """The patterns of features of one stage."""
        if kind not in KINDS:
            raise UnknownMethod(f"unknown pattern {kind!r}: give {', '.join(KINDS)}")
        patterns: list[Pattern] = []
        while len(patterns) < len(features):
            stage = features[0].stage
            windows = self._windows(stage, neurons=features[0].weights is None)
            crop = self.x[:, :, : windows.side[0], : windows.side[1]]
            load = load_of(self.model, crop, kind, self.stages[stage].name, self.arguments.key(), graph=True)
            chunks, rest = Chunks(fitting(crop, WHOLE), load), features[len(patterns) :]
            compute = partial(self._computed, rest, windows, kind)
            try:
                chunks.weigh(compute, len(rest))
                for part in chunks.parts(compute, len(rest)):
                    patterns += part
            except _NotLocalError:
                if windows.are_whole:
                    raise MethodError(f"{self.stages[stage].name} cannot be run up to its features alone") from None
                self.slack[stage] = 2 if self.slack.get(stage, 0) == 0 else None
        return patterns

    def _windows(self, stage: int, *, neurons: bool) -> Windows:
        _, c, h, w = self.x.shape
        pixels = Cells((0.5, 0.5), (1.0, 1.0))
        whole = Stage(INPUT, (c, h, w), (1.0, 1.0), (1, 1), True, "signed", 0, place=pixels)
        return Windows.between(whole, self.stages[stage], self.slack.get(stage, 0) if neurons else None)

    def _computed(
        self, features: Sequence[Feature], windows: Windows, kind: str, start: int, stop: int
    ) -> list[Pattern]:
        features = features[start:stop]
        places = torch.tensor([feature.place for feature in features])
        corners = windows.corners(places)
        crops, at = windows.cut(self.x, corners), windows.local(places, corners)
        recorded = torch.tensor([feature.value for feature in features])
        values, G = self._derivative(features, crops, at, None, alone=not windows.are_whole)
        if not torch.allclose(values, recorded.to(values), rtol=1e-3, atol=1e-4 * float(recorded.abs().max())):
            raise _NotLocalError
        if kind == "guided":
            _, shown = self._derivative(features, crops, at, GuidedMode("guided"))
        else:
            shown = crops * self._smoothed(features, crops, at)
        return [
            Pattern(kind, shown[i].detach().cpu(), (y, x), _region(G[i], (y, x)))
            for i, (y, x) in enumerate(corners.tolist())
        ]

    def _smoothed(self, features: Sequence[Feature], crops: Tensor, at: Tensor) -> Tensor:
        random = torch.Generator().manual_seed(0)
        deviation = NOISE * float(self.x.amax() - self.x.amin())
        total = torch.zeros_like(crops)
        for _ in range(COPIES):
            noise = torch.randn(crops.shape, generator=random).to(crops)
            total += self._derivative(features, crops + deviation * noise, at, None)[1]
        return total / COPIES

    def _derivative(
        self, features: Sequence[Feature], crops: Tensor, at: Tensor, mode: GuidedMode | None, *, alone: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Each feature's number and its derivative by its window of the image."""
        stage = self.stages[features[0].stage]
        calls = {stage.name: self.calls[features[0].stage]}
        with capture(self.model, [INPUT, stage.name], last_calls=calls) as run:
            try:
                run.forward(crops, self.arguments, stop=True, mode=mode)
            except ModelError:
                if alone:  # some networks insist on one size
                    raise _NotLocalError from None
                raise
            values = feature_values(features, at)(channels_first(run.activations[stage.name], stage.layout))
            return values.detach(), run.gradients(values, linear=mode is None)[INPUT].detach()


class _NotLocalError(FovealError):
    """In this window the feature is not what it is in the image."""


def _region(G: Float[Tensor, "c y x"], corner: tuple[int, int]) -> tuple[float, float, float, float]:
    """The box in the network's input that leaves out a little of |G| on each side; NaN where nothing matters."""
    mass = G.abs().double().sum(0)
    if not float(mass.sum()) > 0:
        return (float("nan"),) * 4
    (y0, y1), (x0, x1) = (_interval(mass.sum(axis)) for axis in (1, 0))
    return float(x0 + corner[1]), float(y0 + corner[0]), float(x1 + corner[1]), float(y1 + corner[0])


def _interval(mass: Float[Tensor, " s"]) -> tuple[int, int]:
    """First cell and the one after the last."""
    before = mass.cumsum(0) / mass.sum()
    first = int((before > OUTSIDE).nonzero()[0])
    last = int((before >= 1 - OUTSIDE).nonzero()[0])
    return first, last + 1
