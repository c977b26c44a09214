"""What each channel contributes to the score of each picture, beside the maps of a verb."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foveal.attribution.channel_sums import channel_sums
from foveal.engine.address import INPUT
from foveal.errors import MethodError
from foveal.models.black_box import BlackBox

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float32
    from numpy.typing import NDArray

    from foveal.attribution.context import Context
    from foveal.results import Explanation


@dataclass(frozen=True)
class ChannelContributions:
    """Of the channels of a layer.

    Attributes:
        layer: the deepest layer that is explained; the last stage where that is the input, whose channels mean little.
        values: (n, c) each: "sum" over positions, and "max", at the position where it is largest.
    """

    layer: str
    values: Mapping[str, Float32[NDArray[np.float32], "n c"]]

    @classmethod
    def of(cls, context: Context, why: Explanation) -> ChannelContributions:
        """Raises MethodError where the network gives scores alone."""
        if isinstance(context.model, BlackBox):
            raise MethodError(
                "channel contributions need activations and gradients, and this network gives scores alone"
            )
        layer = context.layers(None)[-1] if why.layers[-1] == INPUT else why.layers[-1]
        sums = channel_sums(context, layer)
        assert sums.brings is not None and sums.largest is not None
        both = {"sum": sums.brings, "max": sums.largest}
        return cls(layer, {of: values.detach().float().cpu().numpy() for of, values in both.items()})
