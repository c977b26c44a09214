"""One unit of a network as the decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from foveal.errors import UnknownTarget
from foveal.targets.target import ModelOutput, TargetScore

if TYPE_CHECKING:
    from foveal.engine.select import LayerName


@dataclass(frozen=True)
class Neuron:
    """The activation of one channel of a layer, at one position or averaged over the map.

        foveal.Neuron("layer3", 17)    foveal.Neuron("layer3", 17, position=(4, 9))    foveal.Neuron("fc", 3)

    Args:
        layer: a module of the model, or any layer address; the forward pass ends there.
        channel: index along dimension 1.
        position: (row, column) in the layer's own map, (sample,) of signals, (slice, row, column) of volumes; None
            averages over the map.
    """

    layer: LayerName
    channel: int
    position: tuple[int, ...] | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        return (cast("str", self.layer),)  # what prepares a target gives modules their names

    def decide(self, outcome: ModelOutput) -> TargetScore:
        activation = outcome.activations[self.layers[0]]
        if activation.ndim < 2 or not -activation.shape[1] <= self.channel < activation.shape[1]:
            raise UnknownTarget(
                f"layer {self.layer!r} gives {tuple(activation.shape)}, so it has no channel {self.channel}"
            )
        unit = activation[:, self.channel]
        if self.position is None:
            score, where = unit.flatten(1).mean(1) if unit.ndim > 1 else unit, "average"
        else:
            sides = unit.shape[1:]
            if len(self.position) != len(sides) or not all(
                0 <= at < side for at, side in zip(self.position, sides, strict=True)
            ):
                raise UnknownTarget(
                    f"layer {self.layer!r} gives {tuple(activation.shape)}, so it has no position {self.position}"
                )
            score, where = unit, f"({', '.join(map(str, self.position))})"
            for at in self.position:
                score = score[:, at]
        words = f"{self.layer}, channel {self.channel}, {where}"
        position = list(self.position) if self.position else None
        spec = {"kind": "neuron", "layer": self.layer, "channel": self.channel, "position": position}
        return TargetScore(score, (words,) * len(score), spec, per_image=(self,) * len(score))
