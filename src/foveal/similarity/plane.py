"""Features as points in the plane, for a picture of a set. PCA, t-SNE: scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.similarity.clusters import one_thread, scikit_learn

if TYPE_CHECKING:
    from jaxtyping import Float

COMPONENTS = 50


def reduced(z: Float[Tensor, "n c"], *, unit: bool = True) -> Float[Tensor, "n p"]:
    """Principal components, at most 50 and n − 1; their signs are such that the largest entry is positive."""
    z = z.detach().double().cpu()
    z = torch.nn.functional.normalize(z, dim=1) if unit else z
    U, S, _ = torch.linalg.svd(z - z.mean(0), full_matrices=False)
    kept = max(1, min(COMPONENTS, len(z) - 1, z.shape[1]))
    components = (U * S)[:, :kept]
    largest = components.gather(0, components.abs().argmax(0, keepdim=True))
    signs: Tensor = torch.where(largest < 0, -1.0, 1.0)
    signed: Tensor = components * signs
    return signed


def places(z: Float[Tensor, "n c"], *, seed: int = 0) -> Float[Tensor, "n 2"]:
    """Points in the plane for a picture of the set: t-SNE; the first two principal components of a small set."""
    points = reduced(z)
    if len(z) < 12:
        return torch.cat([points, points.new_zeros(len(z), 2)], 1)[:, :2]
    TSNE = scikit_learn("manifold").TSNE
    perplexity = max(3.0, min(30.0, len(z) / 10))
    with one_thread():
        embedded = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(points.numpy())
    return torch.from_numpy(embedded).double()
