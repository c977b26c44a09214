"""Feature activation maps: channels weighed by what they add to a similarity. Specification: FAM, sections 3 to 5.

    p_k     what channel k adds to the similarity that decided; Σ_k p_k is that similarity
    α       weights made of p, or given by the metric
    G       ∂(α·v)/∂A, one vector–Jacobian product through whatever makes the embedding v of the map A
    map     Σ_c A ⊙ G

A channel below zero in both embeddings adds to their similarity as much as one above: its α > 0 must not turn into
evidence against. So G starts from α ⊙ sign v. The published form has no sign; behind a ReLU it is the same, and behind
a projection it mixes up what speaks for and against (docs/match.md has the numbers). `oriented=false` gives it.

Behind global average pooling G = α/hw, so the map is Σ_c α_c A_c / hw: the published one, in units in which `linear`
sums to the similarity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from foveal.attribution.method import Method
from foveal.errors import MethodError, UnknownMethod
from foveal.targets.comparison import Comparison

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.attribution.passes import PassResult
    from foveal.targets import TargetScore


def contribution(c: Comparison) -> Float[Tensor, "n e"]:
    """(p − min p) / (max p − min p), image by image; 1 where p is constant."""
    p = c.contributions
    low, high = p.amin(1, keepdim=True), p.amax(1, keepdim=True)
    return torch.where(high > low, (p - low) / torch.where(high > low, high - low, 1), 1)


def positive(c: Comparison) -> Float[Tensor, "n e"]:
    """ReLU(p) / Σ ReLU(p): a channel that adds nothing weighs nothing."""
    p = c.contributions.relu()
    total = p.sum(1, keepdim=True)
    return p / torch.where(total > 0, total, 1)


def margin(c: Comparison) -> Float[Tensor, "n e"]:
    """p less that of the runner-up, whether the decision explained is a margin or not."""
    if c.margin is None:
        raise MethodError(
            "fam:weights=margin needs a runner-up: compare several classes with foveal.episode "
            "(in Python also target=foveal.Prototypes(…) or foveal.Neighbors(…))"
        )
    return c.margin


CHANNELS: dict[str, Callable[[Comparison], Tensor]] = {
    "contribution": contribution,
    "positive": positive,
    "margin": margin,
}
"""Weights of channels. `linear` has one a channel, or one a channel and place, and needs no entry."""


def oriented(alpha: Float[Tensor, "... e"], v: Float[Tensor, "... e"]) -> Float[Tensor, "... e"]:
    """α ⊙ sign v: along each channel, away from zero is more."""
    return torch.where(v < 0, -alpha, alpha)


@dataclass(frozen=True)
class Weighed:
    """A backward pass that starts from the embedding, weighed, rather than from its similarity."""

    weights: str
    oriented: bool = True

    def mode(self) -> None:
        return None

    def start(self, verdict: TargetScore) -> Tensor:
        """(n,), α·v with α held fixed."""
        c = verdict.comparison
        assert c is not None, "the method says that it needs one"
        if self.weights == "linear":
            return (c.linear.weights * c.query).flatten(1).sum(1)
        if self.weights not in CHANNELS:
            raise UnknownMethod(f"there are no fam weights {self.weights!r}: say {', '.join([*CHANNELS, 'linear'])}")
        v = c.described.mean((2, 3)) if c.described.ndim == 4 else c.described
        alpha = CHANNELS[self.weights](c)
        return ((oriented(alpha, v.detach()) if self.oriented else alpha) * v).sum(1)

    def missing(self, passed: PassResult) -> None:
        return None

    def account(self, passed: PassResult, measured: dict[str, Any], cautions: list[str]) -> None:
        """How many channels carry the similarity, and which most."""
        assert passed.verdict is not None
        c = passed.verdict.comparison
        assert c is not None
        shares = c.contributions.abs() / c.contributions.abs().sum(1, keepdim=True).clamp(min=1e-30)
        top = c.contributions.abs().topk(min(5, shares.shape[1]), dim=1).indices
        numbers = {
            "similarity": passed.verdict.score.tolist(),
            "channels that carry it": (1 / (shares**2).sum(1)).tolist(),
            "strongest channels": top.tolist(),
            "their parts": c.contributions.gather(1, top).tolist(),
        }
        if self.weights == "linear":
            numbers["constant part"] = c.linear.remainder.tolist()
        measured |= dict.fromkeys(passed.activations, numbers)


def map_of(A: Float[Tensor, "n c h w"], G: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
    """Σ_c A ⊙ G."""
    return (A * G).sum(1)


FAMILY = (
    Method(
        "fam", "Feature Activation Map", map_of, "gradients",
        "channels by what they add to a similarity; weights=linear sums to it",
        "Liao et al., 2023, arXiv:2307.05017",
        "decisions by similarity",
        rules=Weighed, similarity=True,
        options={"weights": "contribution", "oriented": True},
    ),
)  # fmt: skip
