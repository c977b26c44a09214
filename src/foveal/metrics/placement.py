"""Whether a map lies on the object: agreement with annotators, which is not faithfulness. Specification: metrics, 7.

Maps and masks are (h, w) on one grid. Negative evidence counts as none. An empty mask, or one that is the whole
image, leaves a metric undefined (NaN), never right or wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from foveal.metrics.connected import largest_part

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1."""


def pointing(map: Float[Tensor, "h w"], inside: Bool[Tensor, "h w"], *, tolerance: int = 0) -> float:
    """1 if the highest position lies inside, or within `tolerance` pixels of it, else 0 (Zhang et al., IJCV 2018).

    Of several highest positions the share that hits counts; the paper allows 15 pixels.
    """
    if not bool(inside.any()):
        return math.nan
    if tolerance:
        size = 2 * tolerance + 1
        inside = functional.max_pool2d(inside[None, None].float(), size, 1, tolerance)[0, 0] > 0
    return float(inside[map == map.max()].double().mean())


def energy(map: Float[Tensor, "h w"], inside: Bool[Tensor, "h w"]) -> float:
    """The share of the positive evidence inside, 0 to 1 (Wang et al., Score-CAM, 2020)."""
    positive = map.detach().double().clamp(min=0)
    total = float(positive.sum())
    return float(positive[inside].sum()) / total if total > 0 and bool(inside.any()) else math.nan


def lift(map: Float[Tensor, "h w"], inside: Bool[Tensor, "h w"]) -> float:
    """The energy inside as a multiple of the area inside: 1 for a random map."""
    area = float(inside.double().mean())
    return energy(map, inside) / area if 0 < area < 1 else math.nan


def rank_accuracy(map: Float[Tensor, "h w"], inside: Bool[Tensor, "h w"]) -> float:
    """Of the highest |inside| positions, how many lie inside (relevance rank accuracy, Arras et al., 2022).

    Ties share their chance.
    """
    k = int(inside.sum())
    if not k:
        return math.nan
    edge = map.flatten().topk(k).values[-1]
    above, level = map > edge, map == edge
    sure, left = int((above & inside).sum()), k - int(above.sum())
    return (sure + left * float((level & inside).sum()) / float(level.sum())) / k


def roc_area(map: Float[Tensor, "h w"], inside: Bool[Tensor, "h w"]) -> float:
    """The chance that a position inside is higher than one outside, ties counting half; 0.5 for a random map."""
    flat = map.detach().double().flatten()
    _, index, counts = flat.unique(return_inverse=True, return_counts=True)
    rank = (counts.cumsum(0) - (counts - 1) / 2)[index]
    n = int(inside.sum())
    outside = inside.numel() - n
    if not n or not outside:
        return math.nan
    return (float(rank[inside.flatten()].sum()) - n * (n + 1) / 2) / (n * outside)


def average_precision(map: Float[Tensor, ...], inside: Bool[Tensor, ...]) -> float:
    """Σ precision · Δ recall over all thresholds, 0 to 1; of the pixels of many images together it is PxAP.

    (Choe et al., CVPR 2020, arXiv:2001.07437, whose maps are scaled to 0 … 1 each.)
    """
    flat, hit = map.detach().double().flatten(), inside.flatten()
    if not bool(hit.any()):
        return math.nan
    order = flat.argsort(descending=True)
    hits = hit[order].double().cumsum(0)
    last = torch.cat([flat[order].diff() != 0, torch.ones(1, dtype=torch.bool, device=flat.device)])
    hits, taken = hits[last], torch.arange(1, len(flat) + 1, device=flat.device)[last]
    recall = hits / hits[-1]
    return float((hits / taken * torch.cat([recall[:1], recall.diff()])).sum())


def box_of(map: Float[Tensor, "h w"], *, threshold: float = 0.2) -> Box:
    """The box around the largest connected part above `threshold` of the maximum; 0, 0, 0, 0 where there is none."""
    top = float(map.max())
    if top <= 0:
        return 0.0, 0.0, 0.0, 0.0
    ys, xs = largest_part(map >= threshold * top).nonzero().T
    return float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1)


def iou(a: Box, b: Box) -> float:
    """Of two boxes: what they share, of what they cover together."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, wide) * max(0.0, high)
    both = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - shared
    return shared / both if both > 0 else 0.0


def box_overlap(map: Float[Tensor, "h w"], boxes: Sequence[Box], *, threshold: float = 0.2) -> float:
    """The best overlap of the map's box with one of the object's; at 0.5 the object counts as localized (GT-known).

    (Zhou et al., CVPR 2016: threshold 0.2.) Choose a threshold on other images than those it is reported on.
    """
    own = box_of(map, threshold=threshold)
    return max((iou(own, box) for box in boxes), default=math.nan)


def max_box_accuracy(
    maps: Sequence[Float[Tensor, "h w"]], boxes: Sequence[Sequence[Box]], *, overlaps: Sequence[float] = (0.3, 0.5, 0.7)
) -> float:
    """MaxBoxAccV2: the share localized at the best threshold, averaged over these overlaps (arXiv:2001.07437)."""
    thresholds = torch.linspace(0.05, 0.95, 19).tolist()
    accuracies = torch.tensor(
        [[box_overlap(map, own, threshold=t) for t in thresholds] for map, own in zip(maps, boxes, strict=True)]
    )
    return sum(float((accuracies >= overlap).double().mean(0).max()) for overlap in overlaps) / len(overlaps)
