"""The loss of a student: what the teacher says, and what is true."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from jaxtyping import Float, Int


def distillation(
    student: Float[Tensor, "n classes"],
    teacher: Float[Tensor, "n classes"] | None,
    truth: Int[Tensor, " n"] | Float[Tensor, "n classes"],
    *,
    weight: float = 0.5,
    temperature: float = 6.0,
) -> Float[Tensor, ""]:
    """λ T² KL(softmax(z_t / T) ‖ softmax(z_s / T)) + (1 − λ) CE(z_s, y); CE alone without a teacher.

    The teacher's logits take no gradient. (Hinton, Vinyals, Dean, 2015; specification: BR-NPA, section 4.)

    Args:
        truth: classes, or their probabilities.
        weight: λ, 0..1.
        temperature: T.
    """
    known = functional.cross_entropy(student, truth)
    if teacher is None:
        return known
    soft = functional.kl_div(
        (student / temperature).log_softmax(1), (teacher.detach() / temperature).log_softmax(1), log_target=True,
        reduction="batchmean",
    )  # fmt: skip
    return weight * temperature**2 * soft + (1 - weight) * known
