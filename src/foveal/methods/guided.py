"""Guided backpropagation and the deconvolutional network: sharp pictures of patterns."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor

from foveal.engine.rules import Guided
from foveal.methods.method import Method

if TYPE_CHECKING:
    from jaxtyping import Float


def strongest_channel(A: Float[Tensor, "n c h w"], G: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
    """max_c |G_c|: how much the score reacts, by the rule, to a change of the pixel, whatever its colour."""
    return G.abs().amax(1)


FAMILY = (
    Method(
        "guidedbackprop", "Guided backpropagation", strongest_channel, "gradients",
        "edges that excite the units the score uses; says little about the decision",
        "Springenberg et al., ICLR workshop 2015, arXiv:1412.6806",
        rules=partial(Guided, "guided"), place="input",
    ),
    Method(
        "deconvnet", "Deconvnet", strongest_channel, "gradients",
        "the same without looking at what was active",
        "Zeiler & Fergus, ECCV 2014, arXiv:1311.2901",
        "networks with ReLU",
        rules=partial(Guided, "deconvnet"), place="input",
    ),
)  # fmt: skip
