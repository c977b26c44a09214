"""Opti-CAM: the mixture of channels behind which the score is highest, found by gradient ascent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.attribution.method import Method
from foveal.errors import MethodError
from foveal.methods.cam import weighted
from foveal.methods.masks import MaskSet

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.attribution.perturbation import PerturbationScorer


def opticam(probe: PerturbationScorer, *, steps: int = 100, rate: float = 0.1) -> Float[Tensor, "*space"]:
    """Σ_c softmax(u)_c A_c with u = argmax score of x ⊙ M(u), M(u) that map upsampled and scaled   (equations 7 to 11).

    From equal weights, by Adam. One forward and one backward a step.
    """
    masks = MaskSet(probe, "after", False, "float32", None)
    A = masks.A[None, masks.channels]
    u = A.new_zeros(A.shape[:2])
    adam = _Adam(u, rate)
    for step in range(steps if A.numel() else 0):
        with torch.enable_grad():
            u = u.requires_grad_()
            y = probe.ask(probe.x * masks.of(weighted(A, u.softmax(1))).to(probe.x.dtype))
            if not y.requires_grad:
                raise MethodError("opticam needs gradients, which this network's forward turns off: use scorecam")
            (slope,) = torch.autograd.grad(y.sum(), u)
        u = adam.up(u.detach(), slope)
        if step == 0:
            probe.measured["score of equal weights"] = float(y.detach())
        probe.tick(step + 1, steps)
    M = weighted(A, u.softmax(1))
    if A.numel():
        probe.measured["score of these weights"] = float(probe.ask(probe.x * masks.of(M).to(probe.x.dtype)))
    return M[0]


class _Adam:
    """Kingma & Ba, 2015, uphill."""

    def __init__(self, u: Tensor, rate: float) -> None:
        self._rate, self._steps = rate, 0
        self._mean, self._square = torch.zeros_like(u), torch.zeros_like(u)

    def up(self, u: Tensor, slope: Tensor) -> Tensor:
        self._steps += 1
        self._mean = 0.9 * self._mean + 0.1 * slope
        self._square = 0.999 * self._square + 0.001 * slope**2
        mean, square = self._mean / (1 - 0.9**self._steps), self._square / (1 - 0.999**self._steps)
        return u + self._rate * mean / (square.sqrt() + 1e-8)


FAMILY = (
    Method(
        "opticam", "Opti-CAM", opticam, "forwards",
        "the channel mixture that keeps the score; when only its region is shown",
        "Zhang et al., 2023, arXiv:2301.07002",
        options={"steps": 100, "rate": 0.1},
        cost="100 + 100",
        looks_inside=True,
    ),
)  # fmt: skip
