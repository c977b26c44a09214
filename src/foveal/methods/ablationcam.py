"""Ablation-CAM: a channel weighs what the score loses without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from foveal.attribution.method import Method
from foveal.errors import MethodError
from foveal.methods.axes import behind_first
from foveal.methods.cam import weighted
from foveal.methods.masks import single

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.attribution.perturbation import PerturbationScorer


def ablationcam(
    probe: PerturbationScorer, *, fill: Literal["zero", "mean"] = "zero", chunk: int | None = None
) -> Float[Tensor, "*space"]:
    """Σ_c w_c A_c, w_c = y − y_c with y_c the score without channel c   (equations 4 and 5, before the ReLU).

    The paper divides all weights by y. That factor is the same for every channel of an image, turns the map round
    where y < 0 and has no value at y = 0, as margins have: it is left out, and a weight is a drop of the score.
    """
    A = single(probe.A[0])
    without = _filled(A, fill)
    channels = (without != A).flatten(1).any(1).nonzero()[:, 0]  # the others lose nothing
    scores = probe.exchanged(channels, without[channels], chunk=chunk)
    weights = A.new_zeros(len(A))
    weights[channels] = probe.score - scores.to(A)
    if fill == "mean" and probe.unmoved:
        probe.cautions.append("after average pooling only a channel's mean is left: use fill=zero")
    return weighted(A[None], weights[None])[0]


def _filled(A: Float[Tensor, " c *space"], fill: str) -> Float[Tensor, " c *space"]:
    """What stands for each channel when it is ablated."""
    if fill == "zero":
        return torch.zeros_like(A)
    if fill == "mean":
        # Clamped, so that a constant channel is its own mean exactly.
        space = behind_first(A)
        mean = A.mean(space, keepdim=True)
        return mean.clamp(A.amin(space, keepdim=True), A.amax(space, keepdim=True)).expand_as(A)
    raise MethodError(f"cannot fill an ablated channel with {fill!r}: say fill=zero or fill=mean")


FAMILY = (
    Method(
        "ablationcam", "Ablation-CAM", ablationcam, "forwards",
        "what the score loses without each channel; exact where channels add up",
        "Desai & Ramaswamy, WACV 2020",
        options={"fill": "zero", "chunk": None},
        cost="1/channel",
    ),
)  # fmt: skip
