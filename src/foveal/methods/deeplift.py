"""DeepLIFT: differences to a reference, shared out operation by operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.attribution.method import Method
from foveal.engine.address import INPUT
from foveal.engine.rescale import Rescale
from foveal.errors import MethodError
from foveal.methods.reference import baseline as baseline_of
from foveal.methods.reference import gap_of

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.attribution.perturbation import PerturbationScorer


def deeplift(probe: PerturbationScorer, *, baseline: str = "zero", tolerance: float = 0.01) -> Float[Tensor, "h w"]:
    """(x − b) ⊙ m with m the multipliers of the rescale rule (section 3.5.1), summed over the colors.

    It sums to f(x) − f(b). Where an operation without a rule is on the way it does not, and that is refused if the
    gap is more than `tolerance` (see `gap_of`).
    """
    if probe.layer != INPUT:
        raise MethodError(f"deeplift explains the input only, not {probe.layer}: leave the layer out")
    b = baseline_of(probe.x, baseline)
    with torch.enable_grad(), Rescale():
        pair = torch.cat([probe.x, b]).requires_grad_()
        y = probe.ask(pair)
        if not y.requires_grad:
            raise MethodError("deeplift needs gradients, which this network's forward turns off")
        (m,) = torch.autograd.grad(y[0], pair)
    M = ((probe.x - b) * m[:1])[0].sum(0)
    at_x, at_b = y.tolist()
    gap, share = gap_of(M, at_x, at_b)
    probe.measured |= {"gap": gap, "gap as a share": share}
    if share > tolerance and abs(gap) > 1e-4 * max(abs(at_x), abs(at_b)):  # less is rounding
        raise MethodError(
            f"deeplift is not valid for this network: its parts sum to {float(M.sum()):.3g}, the score rises by "
            f"{at_x - at_b:.3g} from the {baseline} baseline, so an operation without a rule is on the way; "
            "use integratedgradients, which needs none"
        )
    return M


FAMILY = (
    Method(
        "deeplift", "DeepLIFT", deeplift, "forwards",
        "difference to a baseline (rescale rule); sums to the difference of the scores, or is refused",
        "Shrikumar et al., ICML 2017, arXiv:1704.02685",
        "networks whose operations have a rule",
        place="input",
        options={"baseline": "zero", "tolerance": 0.01},
        cost="2 + 2",
        looks_inside=True,
    ),
)  # fmt: skip
