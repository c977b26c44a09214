"""Layer-wise relevance propagation by name, excitation backpropagation and Relevance-CAM.

All are one backward pass in which operations share relevance by a rule (`engine/rules`). What arrives at a layer, G,
makes R = A ⊙ G its relevance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from torch import Tensor

from foveal.engine.rules import LinearRule, Relevance
from foveal.errors import MethodError
from foveal.methods.cam import SPACE, hirescam, weighted
from foveal.methods.method import Method

if TYPE_CHECKING:
    from jaxtyping import Float

Sums = Literal["plain", "same-sign"]


def relevance_cam(A: Float[Tensor, "n c h w"], G: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
    """Σ_c ⟨R_c⟩ A_c with R = A ⊙ G (equation 6)."""
    return weighted(A, (A * G).mean(SPACE))


def epsilon(epsilon: float) -> Relevance:
    rule = LinearRule("epsilon", epsilon=epsilon)
    return Relevance(rule, rule)


def gamma(gamma: float) -> Relevance:
    return Relevance(LinearRule("gamma", gamma=gamma), LinearRule("epsilon"))


def zplus(sums: Sums, bias: bool) -> Relevance:
    return Relevance(LinearRule("zplus", bias=bias), LinearRule("epsilon"), _known(sums))


def alphabeta(alpha: float, sums: Sums, bias: bool) -> Relevance:
    return Relevance(LinearRule("alphabeta", alpha=alpha, bias=bias), LinearRule("epsilon"), _known(sums))


def excitation(sums: Sums) -> Relevance:
    rule = LinearRule("zplus", bias=False)
    return Relevance(rule, rule, _known(sums), seed="one")


def contrastive(sums: Sums) -> Relevance:
    rule = LinearRule("zplus", bias=False)
    return Relevance(rule, rule, _known(sums), seed="contrast")


def _known(sums: Sums) -> Sums:
    if sums not in ("plain", "same-sign"):
        raise MethodError(f"sums={sums} is unknown: it is plain (by size) or same-sign (parts that go the sum's way)")
    return sums


FAMILY = (
    Method(
        "lrp-epsilon", "LRP-ε", hirescam, "gradients",
        "the score shared among the pixels in proportion to their contributions",
        "Bach et al., PLoS ONE 10, 2015",
        rules=epsilon, place="input", options={"epsilon": 1e-6},
    ),
    Method(
        "lrp-gamma", "LRP-γ", hirescam, "gradients",
        "the same with contributions in favour weighing more; less noisy",
        "Montavon et al., LNCS 11700, 2019",
        rules=gamma, place="input", options={"gamma": 0.25},
    ),
    Method(
        "lrp-zplus", "LRP-z⁺", hirescam, "gradients",
        "contributions in favour only in convolutions; smooth, little contrast between classes",
        "Montavon et al., Pattern Recognition 65, 2017, arXiv:1512.02479",
        rules=zplus, place="input", options={"sums": "same-sign", "bias": True},
    ),
    Method(
        "lrp-alphabeta", "LRP-αβ", hirescam, "gradients",
        "contributions in favour α times, against α − 1 times",
        "Bach et al., PLoS ONE 10, 2015",
        rules=alphabeta, place="input", options={"alpha": 2.0, "sums": "same-sign", "bias": True},
    ),
    Method(
        "excitationbp", "Excitation backpropagation", hirescam, "gradients",
        "the probability that a winner-take-all walk down from the class passes here; contrastive for margins",
        "Zhang et al., IJCV 126, 2018, arXiv:1608.00507",
        rules=excitation, options={"sums": "same-sign"},
    ),
    Method(
        "relevancecam", "Relevance-CAM", relevance_cam, "gradients",
        "channels weighted by their relevance, contrasted with rival classes; holds at early layers",
        "Lee et al., CVPR 2021",
        rules=contrastive, options={"sums": "same-sign"},
    ),
)  # fmt: skip
