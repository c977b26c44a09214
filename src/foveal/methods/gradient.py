"""The gradient itself: at the input by default, where it has one value a pixel; at any other layer when one is named.

A, G   (n, c, h, w), activations and cotangents G = ∂score/∂A;  at the input A is what the network was given
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from foveal.attribution.method import Method

if TYPE_CHECKING:
    from jaxtyping import Float

CHANNELS = 1


def gradient(A: Float[Tensor, "n c h w"], G: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
    """max_c |G_c|: how much a small change here would move the score, up or down (section 3.1)."""
    return G.abs().amax(CHANNELS)


def input_x_gradient(A: Float[Tensor, "n c h w"], G: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
    """Σ_c A ⊙ G: sums to the score, up to biases, wherever the network is piecewise linear."""
    return (A * G).sum(CHANNELS)


FAMILY = (
    Method(
        "gradient", "Gradient", gradient, "gradients",
        "largest |gradient| over the colors; where the score is sensitive, not the evidence for it",
        "Simonyan et al., ICLR workshop 2014, arXiv:1312.6034",
        place="input",
    ),
    Method(
        "inputxgradient", "Input × Gradient", input_x_gradient, "gradients",
        "input times gradient, summed over colors; adds up to the score of piecewise-linear networks, up to biases",
        "Shrikumar et al., 2016, arXiv:1605.01713",
        place="input",
    ),
)  # fmt: skip
