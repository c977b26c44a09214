"""Differences to a reference, shared out operation by operation, at every layer at once.

The picture and its reference go through the network as one batch. The backward takes slopes between the two instead
of derivatives (`foveal.engine.rescale`), so that at every layer l that all of the network passes through

    score(x) − score(reference) = Σ m_l ⊙ (A_l(x) − A_l(reference))          (Shrikumar et al. 2017, arXiv:1704.02685)

Biases take nothing, as both have them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from foveal.attribution.batching import BatchSlice, joined
from foveal.attribution.context import Context
from foveal.attribution.passes import PassResult, decided, forward_backward
from foveal.engine.rescale import Rescale
from foveal.errors import ImageError

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.targets import TargetScore


@dataclass(frozen=True)
class Differences:
    """A backward that starts from the first half of a batch, pictures; their references are the second."""

    def mode(self) -> None:
        """All of the pass runs in one, the target, too."""

    def start(self, verdict: TargetScore) -> Tensor:
        """The scores of the pictures; those of the references start nothing."""
        score = verdict.score
        return score * (torch.arange(len(score), device=score.device) < len(score) // 2)

    def account(self, passed: PassResult, measured: dict[str, Any], cautions: list[str]) -> None:
        """Nothing is lost."""

    def missing(self, passed: PassResult) -> Tensor | None:
        return None


def with_reference(context: Context, reference: Float[Tensor, "1 c *space"]) -> tuple[Context, PassResult]:
    """One picture and its reference as a batch, asked for what was decided about the picture; and that decision.

    Raises:
        ImageError: for a reference of another shape, or one that is the picture itself.
    """
    if reference.shape != context.x.shape:
        raise ImageError(
            f"the reference has the shape {tuple(reference.shape)} and the image {tuple(context.x.shape)}: "
            "give an image that becomes an input of the same shape"
        )
    if torch.equal(reference, context.x):
        raise ImageError("the reference is the image itself, so there is no difference to explain: choose another one")
    passed = decided(context)
    assert passed.verdict is not None
    fixed = passed.verdict.per_image[0] if passed.verdict.per_image else context.target
    both = torch.cat([context.x, reference.to(context.x)])
    return replace(context, x=both, target=fixed, photos=()), passed


def difference_pass(both: Context, layers: Sequence[str]) -> PassResult:
    """Activations and multipliers at the layers: rows 0 and 1 are the picture and its reference."""
    with Rescale():
        return forward_backward(both, layers, gradient=True, backward=True, rules=Differences())


def differences(context: Context, layers: Sequence[str], reference: Callable[[Tensor], Tensor]) -> PassResult:
    """Of each image on its own: A − A of its reference in the place of activations, and the multipliers.

    The two, multiplied and summed, are at every layer the score less the reference's.

    Args:
        reference: an image (1, c, h, w) -> what it is compared with.
    """
    n, passes = len(context.x), []
    for i in range(n):
        target = BatchSlice(context.target, i, i + 1, n) if context.target and n > 1 else context.target
        arguments = context.arguments.rows(i, i + 1) if n > 1 else context.arguments
        alone = replace(context, x=context.x[i : i + 1], target=target, arguments=arguments)
        both, decision = with_reference(alone, reference(alone.x))
        passed = difference_pass(both, layers)
        passes.append(
            PassResult(
                decision.verdict,
                {layer: A[:1] - A[1:] for layer, A in passed.activations.items()},
                {layer: G[:1] for layer, G in passed.cotangents.items()},
                {},
                None,
                passed.notes,
            )
        )
    return joined(passes)
