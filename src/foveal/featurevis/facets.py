"""The kinds of image in a set, as a layer sees them.

    z_i → unit length → PCA → k-means        facets; K given, or where the silhouette is best, or one
    w   = softmax(−d / τ)                     the images nearest to the center count most; τ is the median distance
    a   = Σ w_i z_i                           the target

(Stergiou, ICIP 2021; specification: minds_eye, section 4.2. k-means, PCA, silhouette: scikit-learn.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import torch
from torch import Tensor

from foveal.errors import MethodError, UnknownMethod
from foveal.results.facet import Facet
from foveal.similarity.clusters import best_k_means, k_means
from foveal.similarity.plane import reduced

if TYPE_CHECKING:
    from jaxtyping import Float, Int

FacetCount: TypeAlias = "int | Literal['auto']"
Weighting: TypeAlias = "Literal['softmax', 'inv_exp']"
MOST = 10  # facets that "auto" looks for
APART = 0.1  # silhouette below which a set counts as one facet


def find_facets(
    z: Float[Tensor, "n c"],
    count: FacetCount = "auto",
    *,
    keep: int = 10,
    weighting: Weighting = "softmax",
    unit: bool = True,
    seed: int = 0,
) -> tuple[Facet, ...]:
    """The facets of n images, the largest first.

    Images with the same features are one kind, so there may be fewer than asked for.

    Args:
        z: pooled features.
        count: how many; "auto" takes the number with the best silhouette, or one where no number separates them.
        keep: images of each that make its target, at most: the nearest to its center.
        weighting: "softmax" of −d / median d; "inv_exp" of 1 / (d / median d), at most 20, near the published code.
        unit: compare directions of features, not lengths.
        seed: of k-means.

    Raises:
        MethodError: for a count that does not fit.
        MissingExtra: when more than one facet is asked for and scikit-learn is not installed.
    """
    n = len(z)
    if count != "auto" and not 1 <= count <= n:
        raise MethodError(f"{n} images cannot be divided into {count} facets: give 1 to {n}, or auto")
    points = reduced(z, unit=unit)
    labels = (
        torch.zeros(n, dtype=torch.long) if count == 1 or (n < 4 and count == "auto") else _grouped(points, count, seed)
    )
    facets = [_facet(points, (labels == label).nonzero().flatten(), keep, weighting) for label in labels.unique()]
    return tuple(sorted(facets, key=lambda facet: (-facet.size, facet.members)))


def weights_of(distances: Float[Tensor, " m"], weighting: Weighting = "softmax") -> Float[Tensor, " m"]:
    """At least 0, sum to 1, the nearer the more; finite at distance 0."""
    scale = distances.median()
    relative = distances / scale if scale > 0 else torch.zeros_like(distances)
    if weighting == "softmax":
        return (-relative).softmax(0)
    if weighting == "inv_exp":
        return (1 / relative.clamp(min=1 / 20)).softmax(0)
    raise UnknownMethod(f"weighting={weighting!r} is unknown: give softmax or inv_exp")


def _grouped(points: Tensor, count: FacetCount, seed: int) -> Int[Tensor, " n"]:
    array = points.numpy()
    if count == "auto":
        labels = best_k_means(array, most=min(MOST, len(array) // 2), least=APART, seed=seed)
    else:
        labels = k_means(array, count, seed=seed)
    return torch.from_numpy(labels)


def _facet(points: Tensor, members: Tensor, keep: int, weighting: Weighting) -> Facet:
    own = points[members]
    distances = (own - own.mean(0)).norm(dim=1)
    order = distances.argsort(stable=True)[:keep]
    weights = weights_of(distances[order], weighting)
    return Facet(tuple(members[order].tolist()), weights, len(members))
