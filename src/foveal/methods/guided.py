"""Guided backpropagation and the deconvolutional network: sharp pictures of patterns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor

from foveal.attribution.method import Method

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.attribution.passes import PassResult
    from foveal.engine.rules.guided import GuidedMode
    from foveal.targets import TargetScore


@dataclass(frozen=True)
class Guided:
    """Guided backpropagation and the deconvolutional network.

    At y = ReLU(x), with G arriving at y:  "guided" passes G ⊙ [x > 0] ⊙ [G > 0] (Springenberg et al. 2015),
    "deconvnet" G ⊙ [G > 0] alone (Zeiler & Fergus 2014). For activation functions other than ReLU "guided" is the
    derivative of the positive part of G; "deconvnet" is not defined there. Gates (sigmoids of squeeze-excitation)
    scale and do not activate: they follow the derivative. So does whatever else is not linear and no known activation
    function; the result names it, also maxima over features instead of places, and products with what was computed from
    features and detached. ReLU is known as the larger of x and 0, as x where it is above 0, as a product with whether
    it is.
    """

    kind: Literal["guided", "deconvnet"]

    def mode(self) -> GuidedMode:
        from foveal.engine.rules.guided import GuidedMode

        return GuidedMode(self.kind)

    def start(self, verdict: TargetScore) -> Tensor:
        return verdict.score

    def missing(self, passed: PassResult) -> None:
        return None

    def account(self, passed: PassResult, measured: dict[str, Any], cautions: list[str]) -> None:
        cautions.append("this map shows patterns of the image: much of it is the same for every target")


def strongest_channel(A: Float[Tensor, "n c h w"], G: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
    """max_c |G_c|: how much the score reacts, by the rule, to a change of the pixel, whatever its color."""
    return G.abs().amax(1)


FAMILY = (
    Method(
        "guidedbackprop", "Guided backpropagation", strongest_channel, "gradients",
        "edges that activate the units of the score; hardly depends on the target",
        "Springenberg et al., ICLR workshop 2015, arXiv:1412.6806",
        rules=partial(Guided, "guided"), place="input",
    ),
    Method(
        "deconvnet", "Deconvnet", strongest_channel, "gradients",
        "guided backprop that ignores the activations",
        "Zeiler & Fergus, ECCV 2014, arXiv:1311.2901",
        "networks with ReLU",
        rules=partial(Guided, "deconvnet"), place="input",
    ),
)  # fmt: skip
