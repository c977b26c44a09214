"""Linear heads on embeddings, fitted on a few examples, as a metric: a class is compared with its row of weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.similarity.clusters import scikit_learn
from foveal.similarity.metric import Linear
from foveal.similarity.pooled import Dot, length, unit

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True)
class LinearHead(Dot):
    """W_c · q̂ + b_c, with s_c = (W_c, b_c) of one number more than q has."""

    name: str = "linear head"
    scale_free: bool = True

    def score(self, q: Tensor, s: Tensor) -> Float[Tensor, "*pairs"]:
        return super().score(unit(q), s[..., :-1]) + s[..., -1]

    def contributions(self, q: Tensor, s: Tensor) -> Float[Tensor, "*pairs d"]:
        """q̂_k W_ck; they sum to the score less its bias."""
        return super().contributions(unit(q), s[..., :-1])

    def linear(self, q: Tensor, s: Tensor) -> Linear:
        weights = s[..., :-1] / length(q.detach())
        return Linear(weights, s[..., -1] + torch.zeros_like(weights[..., 0]))

    def mirrored(self, q: Tensor, s: Tensor) -> Linear:
        raise NotImplementedError("the rows of a head are not images")


def fit_head(s: Float[Tensor, "m d"], index: Int[Tensor, " m"], rule: str) -> Float[Tensor, "c d+1"]:
    """Rows (W_c, b_c) of a logistic regression or a linear SVM on unit embeddings, by scikit-learn.

    Two classes share one row of weights, with opposite signs.
    """
    linear_model, svm = scikit_learn("linear_model"), scikit_learn("svm")
    head = linear_model.LogisticRegression(max_iter=1000) if rule == "logistic" else svm.LinearSVC(random_state=0)
    head.fit(unit(s.detach()).double().cpu().numpy(), index.numpy())
    rows = torch.from_numpy(head.coef_), torch.from_numpy(head.intercept_)
    both = torch.cat([rows[0], rows[1][:, None]], 1)
    return (torch.cat([-both, both]) if len(both) == 1 else both).to(s)
