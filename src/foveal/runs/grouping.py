"""Decisions of one class as points by their reasons, and groups of these points.

A decision is described by the shares of the channels in it and by where its evidence lies. Groups are the components of
a Gaussian mixture, as many as the Bayesian information criterion (Schwarz, 1978) finds evidence for, or clusters of a
spectral embedding, as many as its largest eigengap says (Lapuschkin et al., Nature Communications, 2019).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from foveal.similarity.clusters import distinct, k_means, one_thread, scikit_learn

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Float, Int
    from numpy.typing import NDArray

    Points = Float[NDArray[np.float64], "n d"]
    Labels = Int[NDArray[np.intp], " n"]

CELLS = 5
"""Of each side, in which the evidence of a map is counted."""
SHAPE = 0.25
"""Weight of where evidence lies, beside that of channels, in the distance of two decisions."""
KEPT, DIMENSIONS = 0.9, 6
"""Principal components hold this share of the variance, and are no more."""
EACH = 6
"""Decisions that each dimension and each group need on average."""
SAME = 1e-3
"""Variance, as a share of the whole, below which points do not differ."""
STARTS = 3
NEIGHBORS = 7


def described(brings: Float[NDArray[Any], "n c"], maps: Float[NDArray[Any], "n h w"]) -> Points:
    """Decisions as points; both parts have the variance 1 in all, that of maps times the square of `SHAPE`."""
    shares = brings / np.maximum(np.abs(brings).sum(1, keepdims=True, dtype=np.float64), 1e-12)
    return np.concatenate([_unit(shares.astype(np.float64)), SHAPE * _unit(cell_shares(maps))], 1)


def cell_shares(maps: Float[NDArray[Any], "n h w"], cells: int = CELLS) -> Points:
    """The share of the positive evidence of each map in cells of equal size, `cells` along each side."""
    evidence = np.stack([_cells(map, cells) for map in np.maximum(maps, 0).astype(np.float64)])
    return np.asarray(evidence / np.maximum(evidence.sum(1, keepdims=True), 1e-12))


def components(points: Points, *, most: int | None = None) -> Points:
    """The principal components that hold most of the variance; their signs are such that the largest is positive."""
    U, S, _ = np.linalg.svd(points - points.mean(0), full_matrices=False)
    total = float((S**2).sum())
    if total <= 0:
        return np.zeros((len(points), 1))
    enough = int(np.searchsorted(np.cumsum(S**2) / total, KEPT)) + 1
    kept = max(1, min(enough, most or DIMENSIONS, len(points) // EACH))
    scores = (U * S)[:, :kept]
    largest = scores[np.abs(scores).argmax(0), np.arange(kept)]
    return np.asarray(scores * np.where(largest < 0, -1.0, 1.0))


def mixture(
    points: Points, *, most: int, seed: int = 0, tick: Callable[[], None] | None = None
) -> tuple[Labels, Float[NDArray[np.float64], " n"]]:
    """The component of each point in the mixture with the best criterion, and the point's log likelihood.

    Args:
        most: components, at most.
        seed: of the starts.
        tick: is called before each fit, and may raise.
    """
    if len(points) < 2:  # which no mixture is fitted to
        return np.zeros(len(points), np.intp), np.zeros(len(points))
    GaussianMixture = scikit_learn("mixture").GaussianMixture
    floor = SAME * max(float(points.var(0).sum()), 1e-12)
    best: tuple[float, Any] | None = None
    with one_thread():
        for k in range(1, max(1, min(most, len(points) // EACH, distinct(points))) + 1):
            for kind in ("diag", "tied", "full"):
                if tick:
                    tick()
                trial = GaussianMixture(
                    k, covariance_type=kind, reg_covar=floor, n_init=STARTS, max_iter=200, random_state=seed
                )
                trial.fit(points)
                bic = float(trial.bic(points))
                if best is None or bic < best[0] - 1e-6:
                    best = bic, trial
        assert best is not None
        return best[1].predict(points).astype(np.intp), best[1].score_samples(points)


def spectral(points: Points, *, most: int, seed: int = 0) -> Labels:
    """Clusters of the spectral embedding of the graph of nearest neighbors, as many as its largest eigengap says."""
    vectors, values = _embedding(points)
    limit = min(most, len(points) - 1)
    k = int(np.argmax(np.diff(values[: limit + 1]))) + 1
    if k == 1:
        return np.zeros(len(points), np.intp)
    return k_means(vectors[:, :k], k, starts=STARTS, seed=seed)


def apart(points: Points, own: NDArray[np.bool_]) -> float:
    """How far some points lie from the others, -1 to 1: the mean of their silhouettes (Rousseeuw, 1987)."""
    if not 1 < own.sum() < len(own):
        return 0.0
    silhouettes = scikit_learn("metrics").silhouette_samples
    with one_thread():
        return float(silhouettes(points, own.astype(int))[own].mean())


def _embedding(points: Points) -> tuple[Points, Float[NDArray[np.float64], " n"]]:
    """Eigenvectors and eigenvalues of the normalized Laplacian, the smallest first."""
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    near = np.argsort(distance, 1, kind="stable")[:, 1 : min(NEIGHBORS, len(points) - 1) + 1]
    W = np.zeros_like(distance)
    W[np.arange(len(points))[:, None], near] = 1
    W = np.maximum(W, W.T)
    scale = 1 / np.sqrt(W.sum(1))
    values, vectors = np.linalg.eigh(np.eye(len(points)) - scale[:, None] * W * scale[None])
    return vectors * scale[:, None], values


def _cells(map: Float[NDArray[Any], "h w"], cells: int) -> Float[NDArray[np.float64], " k"]:
    """The sums of a map over a few cells of equal size; a map with fewer positions as it is."""
    parts = [np.array_split(np.arange(side), min(cells, side)) for side in map.shape]
    return np.array([map[np.ix_(rows, columns)].sum() for rows in parts[0] for columns in parts[1]])


def _unit(block: Points) -> Points:
    """Centered, with the variance 1 in all; zero where points do not differ."""
    centered = block - block.mean(0)
    spread = float(np.sqrt((centered**2).sum(1).mean()))
    return np.asarray(centered / spread if spread > 1e-9 else centered * 0)
