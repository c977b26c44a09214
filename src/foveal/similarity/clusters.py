"""Groups of points by k-means (scikit-learn), their number by the silhouette (Rousseeuw 1987)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from foveal.errors import MissingExtra

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from numpy.typing import NDArray

    Points = Float[NDArray[np.float64], "n d"]
    Labels = Int[NDArray[np.intp], " n"]

MARGIN = 1e-9  # by which a silhouette has to be better, above rounding


def k_means(points: Points, k: int, *, starts: int = 10, seed: int = 0) -> Labels:
    """The cluster of each point; fewer clusters than asked for where fewer points are distinct.

    Args:
        starts: k-means runs this often, and the tightest clusters are kept.
        seed: of the starts.

    Raises:
        MissingExtra: when scikit-learn is not installed.
    """
    KMeans = scikit_learn("cluster").KMeans
    with one_thread():
        labels: Labels = KMeans(min(k, distinct(points)), n_init=starts, random_state=seed).fit(points).labels_
    return labels.astype(np.intp)


def best_k_means(points: Points, *, most: int, least: float, starts: int = 10, seed: int = 0) -> Labels:
    """Clusters in the number, 2 to `most`, that has the best silhouette; all in one where none is above `least`.

    Raises:
        MissingExtra: when scikit-learn is not installed.
    """
    silhouette_score = scikit_learn("metrics").silhouette_score
    best, labels = least, np.zeros(len(points), np.intp)
    for k in range(2, min(most, distinct(points)) + 1):
        trial = k_means(points, k, starts=starts, seed=seed)
        if not 1 < len(np.unique(trial)) < len(points):
            continue  # the silhouette is not defined
        with one_thread():
            score = float(silhouette_score(points, trial))
        if score > best + MARGIN:
            best, labels = score, trial
    return labels


def distinct(points: Points) -> int:
    """How many points differ, up to rounding."""
    return len(np.unique(points.round(9), axis=0))


def one_thread() -> Any:
    """Few points: threads cost more than they bring, and sums depend on their number."""
    return _import("threadpoolctl").threadpool_limits(1)


def scikit_learn(part: str) -> Any:
    """A module of scikit-learn.

    Raises:
        MissingExtra: when it is not installed.
    """
    return _import(f"sklearn.{part}")


def _import(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "cannot cluster images: scikit-learn is not installed; pip install 'foveal[sklearn]'"
        ) from error
