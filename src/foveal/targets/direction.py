"""A direction in the channels of a layer as the decision: of a part of a tree, or of the caller's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from foveal.errors import TargetError
from foveal.targets.target import ModelOutput, TargetScore

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from foveal.engine.select import LayerName

NAMED = 8  # channels that the spec lists


@dataclass(frozen=True, eq=False)
class Direction:
    """Σ_c u_c A_c, averaged over the map.

    Args:
        layer: a module of the model, or any layer address; the forward pass ends there.
        weights: (c,), u, one for each channel.
        name: what it is called; None is "direction in" the layer.
    """

    layer: LayerName
    weights: Float[Tensor, " c"] = field(repr=False)
    name: str | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        return (cast("str", self.layer),)  # what prepares a target gives modules their names

    def decide(self, outcome: ModelOutput) -> TargetScore:
        activation = outcome.activations[self.layers[0]]
        if activation.ndim < 2 or activation.shape[1] != len(self.weights):
            raise TargetError(
                f"layer {self.layer!r} gives {tuple(activation.shape)}, and the direction has {len(self.weights)} "
                "weights: give one for each channel"
            )
        along = (activation.flatten(2).mean(2) if activation.ndim > 2 else activation) @ self.weights.to(activation)
        strongest = self.weights.abs().argsort(descending=True)[:NAMED].tolist()
        spec = {"kind": "direction", "layer": self.layer, "channels": strongest}
        words = self.name or f"direction in {self.layer}"
        return TargetScore(along, (words,) * len(along), spec, per_image=(self,) * len(along))
