"""Layer-wise relevance propagation by name, excitation backpropagation and Relevance-CAM.

All are one backward pass in which operations share relevance by a rule (`engine/rules`). What arrives at a layer, G,
makes R = A ⊙ G its relevance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from foveal.attribution.method import Method
from foveal.engine.rules import LinearRule
from foveal.errors import UnknownMethod
from foveal.methods.cam import SPACE, hirescam, weighted
from foveal.targets.shares import class_shares

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.attribution.passes import PassResult
    from foveal.engine.rules.propagation import Propagation
    from foveal.targets import TargetScore

Sums = Literal["plain", "same-sign"]


ROUNDING = 1e-3
"""What of a sum may be missing: rounding of single precision is a thousand times less, an operation is more."""


@dataclass(frozen=True)
class Relevance:
    """LRP with one rule for convolutions and one for dense layers.

    Everything else follows from what the operation is: activation functions pass relevance through unchanged
    (R_x = R_y), gates and statistics of a normalization count as constants, sums share by size, or, with
    `sums="same-sign"`, among the parts that go the sum's way.

    Attributes:
        convolutions: the rule for everything that slides over the map, 1×1 layers included.
        dense: the rule for the layers of the head.
        sums: "plain" or "same-sign".
        seed: what starts: the "score"; "one", so that maps of the same stage can be compared; or "contrast", the
            score at the class, and as much against its rivals, shared among them; those of a margin are named.
    """

    convolutions: LinearRule
    dense: LinearRule
    sums: Literal["plain", "same-sign"] = "plain"
    seed: Literal["score", "one", "contrast"] = "score"

    def mode(self) -> Propagation:
        from foveal.engine.rules.propagation import Propagation

        return Propagation(self.convolutions, self.dense, same_sign=self.sums == "same-sign")

    def start(self, verdict: TargetScore) -> Tensor:
        """(n,), whose derivative at the class scores is the relevance to start with over those scores."""
        if self.seed == "score":
            return verdict.score
        size = torch.ones_like(verdict.score) if self.seed == "one" else verdict.score
        size = size.detach()
        scores = verdict.choices
        if scores is None:
            return verdict.score * size / _apart_from_zero(verdict.score.detach())
        shares, rivals = class_shares(verdict.spec, scores)
        if rivals is None and self.seed == "contrast":
            others = (shares == 0).to(shares)
            rivals = others / others.sum(1, keepdim=True).clamp(min=1)
        if rivals is not None:
            shares = shares - rivals
        return (scores * shares * size[:, None] / _apart_from_zero(scores.detach())).sum(1)

    def account(self, passed: PassResult, measured: dict[str, Any], cautions: list[str]) -> None:
        """How much relevance reached each layer, and what biases and epsilon terms took on the way."""
        assert passed.verdict is not None
        score = passed.verdict.score.detach()
        for layer, A in passed.activations.items():
            arrived = (A * passed.cotangents[layer]).flatten(1).sum(1)
            measured[layer] = {"score": score.tolist(), "relevance": arrived.tolist()}
        first = next(iter(passed.activations))
        if passed.lost is not None:
            measured[first]["taken by biases and stabilizers"] = passed.lost.tolist()
        cautions += self._words(measured, first) + self._cancels(passed)

    def missing(self, passed: PassResult) -> Tensor | None:
        """(n,), 0 where it is no more than rounding."""
        if passed.begun is None or passed.lost is None:
            return None
        first, R = self._arrived(passed)
        begun, lost = passed.begun[:, 0].to(R), passed.lost.to(R)
        missing = begun - R.sum(1) - lost
        scale = begun.abs() + lost.abs() + R.abs().sum(1)
        rounding = max(ROUNDING, 32 * torch.finfo(passed.activations[first].dtype).eps)
        return torch.where(missing.abs() > rounding * scale, missing, 0)

    def _arrived(self, passed: PassResult) -> tuple[str, Tensor]:
        """The first layer, and the relevance of each of its places, (n, places)."""
        first = next(iter(passed.activations))
        return first, (passed.activations[first].detach() * passed.cotangents[first]).double().sum(1).flatten(1)

    def _cancels(self, passed: PassResult) -> list[str]:
        """Whether relevance of both signs has grown so large that its sum, and with it all else, is rounding."""
        if passed.begun is None or passed.lost is None:
            return []
        first, R = self._arrived(passed)
        size = passed.begun[:, 1].to(R) + passed.lost.to(R).abs()
        if not bool((size < 1e-5 * R.abs().sum(1)).any()):
            return []
        words = f"positive and negative relevance at {first} are 100,000 times their sum, as after a normalization"
        return [f"{words} over positions, and this map is noise: use another layer, or hirescam"]

    def _words(self, measured: dict[str, Any], first: str) -> list[str]:
        if self.seed != "score":
            return []
        numbers = measured[first]
        score, arrived = numbers["score"][0], numbers["relevance"][0]
        taken = numbers.get("taken by biases and stabilizers", [0.0])[0]
        words = f"relevance at {first} sums to {arrived:.4g} of a score of {score:.4g}"
        which = f" (image 0 of {len(numbers['score'])}, counted from 0)" if len(numbers["score"]) > 1 else ""
        return [f"{words}; biases and epsilon terms took {taken:.4g}{which}"]


def _apart_from_zero(x: Tensor) -> Tensor:
    tiny = torch.finfo(x.dtype).tiny ** 0.5
    return torch.where(x < 0, x.clamp(max=-tiny), x.clamp(min=tiny))


def relevance_cam(A: Float[Tensor, "n c h w"], G: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
    """Σ_c ⟨R_c⟩ A_c with R = A ⊙ G (equation 6)."""
    return weighted(A, (A * G).mean(SPACE))


def epsilon(epsilon: float) -> Relevance:
    """LRP-ε: the ε-rule in all layers, with ε as a share of a layer's mean |y|."""
    rule = LinearRule("epsilon", epsilon=epsilon)
    return Relevance(rule, rule)


def gamma(gamma: float) -> Relevance:
    """LRP-γ: the γ-rule in convolutions, where contributions in favor weigh 1 + γ; the ε-rule in dense layers."""
    return Relevance(LinearRule("gamma", gamma=gamma), LinearRule("epsilon"))


def zplus(sums: Sums, bias: bool) -> Relevance:
    """LRP-z⁺: the z⁺-rule in convolutions, the ε-rule in dense layers.

    Args:
        sums: how the parts of a sum share: "plain", by size, or "same-sign", among those that go the sum's way.
        bias: whether biases take their share, which is lost to the picture.

    Raises:
        UnknownMethod: for other `sums`.
    """
    return Relevance(LinearRule("zplus", bias=bias), LinearRule("epsilon"), _known(sums))


def alphabeta(alpha: float, sums: Sums, bias: bool) -> Relevance:
    """LRP-αβ: in convolutions α times the share of what is in favor, less β = α − 1 times that of what is against.

    Dense layers have the ε-rule; `sums` and `bias` are as in `zplus`.

    Raises:
        UnknownMethod: for other `sums`.
    """
    return Relevance(LinearRule("alphabeta", alpha=alpha, bias=bias), LinearRule("epsilon"), _known(sums))


def excitation(sums: Sums) -> Relevance:
    """Excitation backpropagation: the z⁺-rule without biases in all layers, begun with 1 at the class.

    Raises:
        UnknownMethod: for other `sums`.
    """
    rule = LinearRule("zplus", bias=False)
    return Relevance(rule, rule, _known(sums), seed="one")


def contrastive(sums: Sums) -> Relevance:
    """Relevance-CAM's contrast: the z⁺-rule without biases, begun with the score, and as much against its rivals.

    Raises:
        UnknownMethod: for other `sums`.
    """
    rule = LinearRule("zplus", bias=False)
    return Relevance(rule, rule, _known(sums), seed="contrast")


def _known(sums: Sums) -> Sums:
    if sums not in ("plain", "same-sign"):
        raise UnknownMethod(
            f"sums={sums} is unknown: give plain (in proportion) or same-sign (only terms with the sign of the sum)"
        )
    return sums


FAMILY = (
    Method(
        "lrp-epsilon", "LRP-ε", hirescam, "gradients",
        "the score, shared by contribution (ε-rule); adds up to the score",
        "Bach et al., PLoS ONE 10, 2015",
        rules=epsilon, place="input", options={"epsilon": 1e-6},
    ),
    Method(
        "lrp-gamma", "LRP-γ", hirescam, "gradients",
        "positive contributions weigh more (γ-rule); less noise than lrp-epsilon",
        "Montavon et al., LNCS 11700, 2019",
        rules=gamma, place="input", options={"gamma": 0.25},
    ),
    Method(
        "lrp-zplus", "LRP-z⁺", hirescam, "gradients",
        "positive contributions only (z⁺-rule); in convolutions: smooth, little contrast between classes",
        "Montavon et al., Pattern Recognition 65, 2017, arXiv:1512.02479",
        rules=zplus, place="input", options={"sums": "same-sign", "bias": True},
    ),
    Method(
        "lrp-alphabeta", "LRP-αβ", hirescam, "gradients",
        "positive parts α times, negative α − 1 (αβ)",
        "Bach et al., PLoS ONE 10, 2015",
        rules=alphabeta, place="input", options={"alpha": 2.0, "sums": "same-sign", "bias": True},
    ),
    Method(
        "excitationbp", "Excitation backpropagation", hirescam, "gradients",
        "probability of a random walk from the class; winner-take-all, contrastive for margins",
        "Zhang et al., IJCV 126, 2018, arXiv:1608.00507",
        rules=excitation, options={"sums": "same-sign"},
    ),
    Method(
        "relevancecam", "Relevance-CAM", relevance_cam, "gradients",
        "channels weighted by their relevance; contrasted with rival classes, valid at early layers",
        "Lee et al., CVPR 2021",
        rules=contrastive, options={"sums": "same-sign"},
    ),
)  # fmt: skip
