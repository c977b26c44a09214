"""The two compiled operators that detectors of torchvision run, for installations whose compiled part does not load.

    nms            boxes by falling score, without those that overlap an earlier one by more than a threshold
    roi_align      the features in each box, sampled between the cells (He et al., Mask R-CNN, 2017, section 3)

Written after torchvision's documentation of them, in torch's own operations: as exact, differentiable, and slower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from jaxtyping import Float, Int

SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align": (
        "roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, "
        "int sampling_ratio, bool aligned) -> Tensor"
    ),
}


def supply(library: torch.library.Library) -> None:
    """Give the declared operators kernels for every device."""
    library.impl("nms", nms, "CompositeExplicitAutograd")
    library.impl("roi_align", roi_align, "CompositeImplicitAutograd")


def nms(dets: Float[Tensor, "k 4"], scores: Float[Tensor, " k"], iou_threshold: float) -> Int[Tensor, " kept"]:
    """The numbers of the boxes that are kept, by falling score."""
    order = scores.argsort(descending=True, stable=True)
    boxes = dets[order]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    left = torch.arange(len(boxes), device=boxes.device)
    kept = []
    while len(left):
        first, left = left[0], left[1:]
        kept.append(first)
        corner = torch.maximum(boxes[first, :2], boxes[left, :2])
        shared = (torch.minimum(boxes[first, 2:], boxes[left, 2:]) - corner).clamp(min=0).prod(1)
        left = left[~(shared / (areas[first] + areas[left] - shared) > iou_threshold)]
    return order[torch.stack(kept)] if kept else order


def roi_align(
    input: Float[Tensor, "n c h w"],
    rois: Float[Tensor, "k 5"],
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> Float[Tensor, "k c y x"]:
    """The mean of evenly spaced samples in each cell of a grid on each box.

    Args:
        rois: number of the image, left, top, right, bottom.
        spatial_scale: cells a pixel.
        sampling_ratio: samples a cell and axis; below 1 as many as a cell of the grid has cells of the map.
        aligned: whether the middle of the first cell is at 0.5; else at 0.
    """
    pooled = (pooled_height, pooled_width)
    start = rois[:, [2, 1]] * spatial_scale - 0.5 * aligned  # y, x
    size = rois[:, [4, 3]] * spatial_scale - 0.5 * aligned - start
    size = size if aligned else size.clamp(min=1)
    cell = size / size.new_tensor(pooled)
    samples = torch.full_like(cell, sampling_ratio) if sampling_ratio > 0 else cell.ceil().clamp(min=1)
    # A map that no box is taken from is part of the graph all the same.
    out = input.new_zeros(len(rois), input.shape[1], *pooled) + input[:0].sum()
    groups = torch.cat([rois[:, :1], samples], 1).detach()
    for group in groups.unique(dim=0) if len(rois) else ():
        rows = (groups == group).all(1).nonzero()[:, 0]
        image, tall, wide = (int(number) for number in group)
        out = out.index_copy(0, rows, _sampled(input[image], start[rows], cell[rows], pooled, (tall, wide)))
    return out


def _sampled(
    map: Float[Tensor, "c h w"],
    start: Float[Tensor, "k 2"],
    cell: Float[Tensor, "k 2"],
    pooled: tuple[int, int],
    samples: tuple[int, int],
) -> Float[Tensor, "k c y x"]:
    """Boxes on one map that all have as many samples a cell."""
    k, axes, inside = len(start), [], []
    for axis, (cells, many, side) in enumerate(zip(pooled, samples, map.shape[1:], strict=True)):
        steps = (torch.arange(cells * many, device=map.device, dtype=cell.dtype) + 0.5) / many
        at = start[:, axis, None] + steps * cell[:, axis, None]
        inside.append((at >= -1) & (at <= side))  # what lies farther out counts as zero
        axes.append((at.clamp(0, side - 1) + 0.5) * 2 / side - 1)
    y, x = axes
    grid = torch.stack([x[:, None].expand(k, y.shape[1], -1), y[:, :, None].expand(-1, -1, x.shape[1])], -1)
    taken = functional.grid_sample(map[None], grid.flatten(0, 1)[None].to(map), "bilinear", "border", False)
    taken = taken[0].unflatten(1, (k, y.shape[1])).transpose(0, 1)
    taken = taken * (inside[0][:, None, :, None] & inside[1][:, None, None, :])
    return functional.avg_pool2d(taken, samples)
