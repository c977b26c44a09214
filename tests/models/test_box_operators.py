"""The operators that detectors run, where torchvision's compiled part does not load."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from foveal.models.box_operators import nms, roi_align
from foveal.targets.box_overlap import overlap


def random_boxes(k: int, side: float, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    corner = torch.rand(k, 2, generator=random) * side
    return torch.cat([corner, corner + torch.rand(k, 2, generator=random) * side / 2], 1)


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_nms_keeps_what_no_better_box_covers(threshold: float) -> None:
    boxes, scores = random_boxes(60, 20), torch.rand(60, generator=torch.Generator().manual_seed(1))
    kept: list[int] = []
    for k in scores.argsort(descending=True).tolist():
        if all(float(overlap(boxes[k], boxes[[other]])[0]) <= threshold for other in kept):
            kept.append(k)
    assert nms(boxes, scores, threshold).tolist() == kept
    assert nms(boxes[:0], scores[:0], threshold).shape == (0,)


def bilinear(map: Tensor, y: float, x: float) -> Tensor:
    """A value between cells; outside of the map by more than a cell it is 0."""
    h, w = map.shape[1:]
    if not (-1 <= y <= h and -1 <= x <= w):
        return torch.zeros(len(map))
    y, x = min(max(y, 0), h - 1), min(max(x, 0), w - 1)
    top, left = math.floor(y), math.floor(x)
    low, right = min(top + 1, h - 1), min(left + 1, w - 1)
    a, b = y - top, x - left
    upper = (1 - b) * map[:, top, left] + b * map[:, top, right]
    lower = (1 - b) * map[:, low, left] + b * map[:, low, right]
    return (1 - a) * upper + a * lower


def slowly(maps: Tensor, rois: Tensor, scale: float, tall: int, wide: int, ratio: int, *, aligned: bool) -> Tensor:
    out = torch.zeros(len(rois), maps.shape[1], tall, wide)
    for k, (image, left, top, right, bottom) in enumerate(rois.tolist()):
        shift = 0.5 if aligned else 0.0
        y0, x0 = top * scale - shift, left * scale - shift
        height, width = bottom * scale - shift - y0, right * scale - shift - x0
        if not aligned:
            height, width = max(height, 1), max(width, 1)
        dy, dx = height / tall, width / wide
        ny = ratio if ratio > 0 else max(1, math.ceil(dy))
        nx = ratio if ratio > 0 else max(1, math.ceil(dx))
        for i in range(tall):
            for j in range(wide):
                points = [
                    bilinear(maps[int(image)], y0 + (i + (a + 0.5) / ny) * dy, x0 + (j + (b + 0.5) / nx) * dx)
                    for a in range(ny)
                    for b in range(nx)
                ]
                out[k, :, i, j] = torch.stack(points).mean(0)
    return out


@pytest.mark.parametrize("ratio", [2, -1])
@pytest.mark.parametrize("aligned", [True, False])
def test_roi_align_samples_between_the_cells(ratio: int, aligned: bool) -> None:
    maps = torch.randn(2, 3, 9, 12, generator=torch.Generator().manual_seed(2))
    boxes = torch.cat([random_boxes(8, 40), torch.tensor([[-12.0, -12, 60, 50], [3, 3, 3.5, 3.2]])])
    rois = torch.cat([(torch.arange(10) % 2).float()[:, None], boxes], 1)
    result = roi_align(maps, rois, 0.25, 3, 2, ratio, aligned)
    assert torch.allclose(result, slowly(maps, rois, 0.25, 3, 2, ratio, aligned=aligned), atol=1e-5)


def test_roi_align_has_the_gradient_of_a_linear_operation() -> None:
    maps = torch.randn(1, 2, 6, 6, dtype=torch.float64, requires_grad=True)
    rois = torch.tensor([[0, 1.0, 2, 17, 19], [0, 4, 0, 9, 30]], dtype=torch.float64)
    pooled = roi_align(maps, rois, 0.25, 2, 2, 2, False)
    (G,) = torch.autograd.grad(pooled.sum(), maps)
    assert float((G * maps.detach()).sum()) == pytest.approx(float(pooled.sum().detach()))


def test_a_map_without_boxes_is_part_of_the_graph() -> None:
    maps = torch.randn(1, 2, 6, 6, requires_grad=True)
    pooled = roi_align(maps, torch.zeros(0, 5), 0.25, 2, 2, 2, False)
    assert pooled.shape == (0, 2, 2, 2)
    (G,) = torch.autograd.grad(pooled.sum(), maps)
    assert not G.any()
