"""How much each class counts in a score, for backward passes that begin with something else than its derivative."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jaxtyping import Float


def class_shares(
    spec: Mapping[str, Any], scores: Float[Tensor, "n classes"]
) -> tuple[Float[Tensor, "n classes"], Float[Tensor, "n classes"] | None]:
    """What counts for the decision, a distribution over classes, and what against it; None where it has no rivals.

    Args:
        spec: of a decision about classes, see `TargetScore.spec`.
        scores: of all classes.
    """
    kind = spec.get("kind")
    if kind == "margin":
        return _one_hot(spec["a"], scores), _one_hot(spec["b"], scores)
    if kind == "against":
        rivals = torch.zeros_like(scores)
        for row, others in zip(rivals, spec["rivals"], strict=True):
            row[others] = spec["strength"] / len(others)
        return _one_hot(spec["index"], scores), rivals
    if kind == "group":
        own = scores.detach()[:, spec["classes"]]
        own = own if spec["of"] == "probability" else own.softmax(1)
        shares = torch.zeros_like(scores)
        shares[:, spec["classes"]] = own / own.sum(1, keepdim=True).clamp(min=torch.finfo(own.dtype).tiny)
        return shares, None
    return _one_hot(spec["index"], scores), None


def _one_hot(classes: Sequence[int], scores: Tensor) -> Tensor:
    index = torch.tensor(classes, device=scores.device)[:, None]
    return torch.zeros_like(scores).scatter_(1, index, 1)
