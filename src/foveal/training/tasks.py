"""What parts are good for beyond naming classes: finding the same individual again, and classes of a few examples.

re-identification   queries against a gallery of another camera; CMC at rank r, mean average precision
                    (Zheng et al., ICCV 2015: pictures of the same individual by the same camera do not count)
few shots           prototypes are means of the examples' vectors, rank by rank; the most similar class wins
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from foveal.errors import TargetError
from foveal.results.part_similarity import similarities

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Float, Int


@dataclass(frozen=True, eq=False)
class RetrievalScores:
    """How well individuals were found again.

    Attributes:
        cmc: (r,), the share of queries with a right answer among the first 1 … r.
        precision: (n,), average precision of each query; its mean is mAP.
    """

    cmc: Float[Tensor, " r"]
    precision: Float[Tensor, " n"]

    @property
    def map(self) -> float:
        """Mean average precision, 0..1."""
        return float(self.precision.mean())

    def __str__(self) -> str:
        return f"rank 1 {100 * float(self.cmc[0]):.1f} %, mAP {100 * self.map:.1f} %"


def retrieval(
    similarity: Float[Tensor, "n m"],
    who: tuple[Int[Tensor, " n"], Int[Tensor, " m"]],
    cameras: tuple[Int[Tensor, " n"], Int[Tensor, " m"]] | None = None,
    *,
    ranks: int = 20,
) -> RetrievalScores:
    """CMC and average precision of n queries in a gallery of m.

    Args:
        who: individuals of queries and gallery; −1 in the gallery is junk that neither helps nor harms.
        cameras: where known, pictures of the same individual by the same camera are left out.

    Raises:
        TargetError: when a query's individual is nowhere in what is left of the gallery.
    """
    right = who[0][:, None] == who[1]
    ignored = (who[1] == -1).expand_as(right)
    if cameras is not None:
        ignored = ignored | (right & (cameras[0][:, None] == cameras[1]))
    order = similarity.masked_fill(ignored, -torch.inf).argsort(dim=1, descending=True, stable=True)
    hits = (right & ~ignored).gather(1, order)
    if not bool(hits.any(1).all()):
        raise TargetError("some queries have no image of the same individual by another camera in the gallery")
    hits_so_far = hits.cumsum(1)
    places = torch.arange(1, hits.shape[1] + 1)
    precision = (hits_so_far / places * hits).sum(1) / hits.sum(1)
    cmc = (hits_so_far[:, : min(ranks, hits.shape[1])] > 0).double().mean(0)
    return RetrievalScores(cmc, precision.double())


def few_shot_accuracy(
    vectors: Float[Tensor, "n k c"],
    labels: Int[Tensor, " n"],
    *,
    ways: int = 5,
    shots: int = 1,
    queries: int = 15,
    episodes: int = 500,
    seed: int = 0,
    compare: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> tuple[float, float]:
    """The share of queries named rightly, and half of its 95 % interval over episodes.

    Args:
        vectors: of pictures of classes that were not trained on.
        compare: (n, k, c), (m, k, c) -> (n, m); the sum of cosines by rank if left out.

    Raises:
        TargetError: for too few classes, or pictures of one.
    """
    by_class = [torch.nonzero(labels == c)[:, 0] for c in labels.unique()]
    by_class = [own for own in by_class if len(own) >= shots + queries]
    if len(by_class) < ways:
        raise TargetError(
            f"episodes of {ways} classes with {shots} + {queries} images each need as many classes; there are "
            f"{len(by_class)}"
        )
    random = np.random.default_rng(seed)
    compare = compare or (lambda q, s: similarities(q, s).sum(2))
    shares = []
    for _ in range(episodes):
        chosen = random.choice(len(by_class), ways, replace=False)
        drawn = [by_class[c][torch.from_numpy(random.permutation(len(by_class[c])))] for c in chosen]
        prototypes = torch.stack([vectors[own[:shots]].mean(0) for own in drawn])
        asked = torch.cat([own[shots : shots + queries] for own in drawn])
        truth = torch.arange(ways).repeat_interleave(queries)
        shares.append(float((compare(vectors[asked], prototypes).argmax(1) == truth).float().mean()))
    return float(np.mean(shares)), 1.96 * float(np.std(shares)) / len(shares) ** 0.5
