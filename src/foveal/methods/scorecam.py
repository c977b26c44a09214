"""Score-CAM and its smoothed and integrated forms: a channel weighs what is left of the score behind its mask.

    M_c = the activation of channel c, upsampled to the input and scaled to 0 … 1
    y_c = score of x ⊙ M_c,  averaged over noise on M_c in SS-CAM, over the way from black to M_c in IS-CAM
    map = Σ_c w_c A_c,  w = softmax over the channels of y_c − y_black

y_black, the score of the black image, is the same for every channel and drops out of the softmax. A channel that is
constant has no mask: its weight is 0, and the softmax is over the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from foveal.attribution.formula import Option
from foveal.attribution.method import Method
from foveal.errors import MethodError
from foveal.methods.cam import weighted
from foveal.methods.clusters import cluster
from foveal.methods.masks import MaskSet, measure, sample, scaled

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.attribution.perturbation import PerturbationScorer
    from foveal.engine.precision import Precision

Scaling = Literal["after", "before"]
Weights = Literal["softmax", "difference"]


def scorecam(
    probe: PerturbationScorer,
    *,
    scaling: Scaling = "after",
    align_corners: bool = False,
    weights: Weights = "softmax",
    clusters: int | None = None,
    precision: Precision = "float32",
    chunk: int | None = None,
) -> Float[Tensor, "*space"]:
    """Σ_c w_c A_c, w_c from the score of the image behind the mask of channel c   (section 3, algorithm 1)."""
    masks = MaskSet(probe, scaling, align_corners, precision, chunk)
    if clusters is None or clusters >= len(masks.channels):
        scores = masks.scores(masks.A[masks.channels])
    else:
        scores = _shared(probe, masks, clusters)
    if weights == "softmax":
        return _summed(masks, scores.softmax(0))
    if weights == "difference":
        return _summed(masks, scores - probe.scores(lambda a, b: torch.zeros_like(probe.x), 1, shown=False))
    raise MethodError(f"cannot make weights {weights!r} of scores: say weights=softmax or weights=difference")


def sscorecam(
    probe: PerturbationScorer,
    *,
    samples: int = 10,
    sigma: float = 2.0,
    scaling: Scaling = "after",
    align_corners: bool = False,
    precision: Precision = "float32",
    chunk: int | None = None,
) -> Float[Tensor, "*space"]:
    """Score-CAM of scores averaged over M_c + δ, δ ~ N(0, σ²) at every pixel; the same noise for every channel."""
    masks = MaskSet(probe, scaling, align_corners, precision, chunk)
    seed = torch.Generator().manual_seed(0)
    noise = sigma * torch.randn(samples, 1, *probe.x.shape[2:], generator=seed, device="cpu").to(masks.A)
    scores = masks.scores(masks.A[masks.channels], lambda M, i: M + noise[i], samples)
    return _summed(masks, scores.softmax(0))


def iscorecam(
    probe: PerturbationScorer,
    *,
    samples: int = 10,
    scaling: Scaling = "after",
    align_corners: bool = False,
    precision: Precision = "float32",
    chunk: int | None = None,
) -> Float[Tensor, "*space"]:
    """Score-CAM of scores averaged over i/N · M_c, i = 1 … N: on the way from the black image to the masked one."""
    masks = MaskSet(probe, scaling, align_corners, precision, chunk)
    share = (torch.arange(samples, device=masks.A.device).view(-1, *[1] * (probe.x.ndim - 1)) + 1) / samples
    scores = masks.scores(masks.A[masks.channels], lambda M, i: M * share[i], samples)
    return _summed(masks, scores.softmax(0))


def _shared(probe: PerturbationScorer, masks: MaskSet, clusters: int) -> Float[Tensor, " v"]:
    """The score of each channel behind the mean mask of channels like it; a sample behind their own, to measure."""
    planes = scaled(masks.A[masks.channels])
    group = cluster(planes.flatten(1), clusters)
    means = torch.stack([planes[group == g].mean(0) for g in range(int(group.max()) + 1)])
    chosen = sample(len(planes))
    scores = masks.scores(torch.cat([means, planes[chosen]]))
    shared = scores[: len(means)][group]
    measure(probe, "cluster", shared[chosen], scores[len(means) :])
    return shared


def _summed(masks: MaskSet, weights: Float[Tensor, " v"]) -> Float[Tensor, "*space"]:
    every = masks.A.new_zeros(len(masks.A))
    every[masks.channels] = weights.to(every)
    return weighted(masks.A[None], every[None])[0]


_COMMON: dict[str, Option] = {"scaling": "after", "align_corners": False, "precision": "float32", "chunk": None}

FAMILY = (
    Method(
        "scorecam", "Score-CAM", scorecam, "forwards",
        "the score when only a channel's region shows; needs no gradient",
        "Wang et al., CVPR workshops 2020, arXiv:1910.01279",
        options={"weights": "softmax", "clusters": None, **_COMMON},
        cost="1/channel",
    ),
    Method(
        "sscorecam", "Smoothed Score-CAM", sscorecam, "forwards",
        "Score-CAM averaged over noise on the masks",
        "Wang et al., 2020, arXiv:2006.14255",
        options={"samples": 10, "sigma": 2.0, **_COMMON},
        cost="10/channel",
    ),
    Method(
        "isscorecam", "Integrated Score-CAM", iscorecam, "forwards",
        "Score-CAM averaged over rising mask weights; from the black image to the masked one",
        "Naidu et al., 2020, arXiv:2010.03023",
        options={"samples": 10, **_COMMON},
        cost="10/channel",
    ),
)  # fmt: skip
