"""Detectors for tests: torchvision's heads on a tiny pyramid, and a single-stage one that finds drawn birds."""

from __future__ import annotations

from collections import OrderedDict
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.models.box_operators import nms
from foveal.models.extras import import_torchvision
from foveal.synthetic import LABELS, PARTS, class_scene, render
from foveal.synthetic.classes import CLASS_NAMES
from foveal.synthetic.dataset import normalized

SIDE = 64  # of a drawn bird's half of a picture
STRIDE = 8


class Pyramid(nn.Module):
    """Two levels, at strides 4 and 8, the finer with what the coarser knows."""

    out_channels = 8

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU())
        self.deep = nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        fine = self.stem(x)
        coarse = self.deep(fine)
        return OrderedDict({"0": fine + functional.interpolate(coarse, fine.shape[2:]), "1": coarse})


def torchvision_detector(kind: str, classes: int = 4) -> nn.Module:
    """ "fasterrcnn", "retinanet" or "ssd" with random weights, for images of 48 × 64 pixels."""
    torch.manual_seed(0)
    detection: Any = import_torchvision().models.detection
    anchors = detection.anchor_utils.AnchorGenerator(((16,), (32,)), ((0.5, 1.0),) * 2)
    size = {"min_size": 48, "max_size": 64}
    if kind == "fasterrcnn":
        pool = import_torchvision().ops.MultiScaleRoIAlign(["0", "1"], 3, 2)
        model = detection.FasterRCNN(
            Pyramid(), classes, rpn_anchor_generator=anchors, box_roi_pool=pool, **size, rpn_post_nms_top_n_test=12,
            box_score_thresh=0.0, box_detections_per_img=5,
        )  # fmt: skip
    elif kind == "retinanet":
        model = detection.RetinaNet(
            Pyramid(), classes, anchor_generator=anchors, **size, score_thresh=0.0, topk_candidates=20,
            detections_per_img=5,
        )  # fmt: skip
    else:
        defaults = detection.anchor_utils.DefaultBoxGenerator([[2], [2]], scales=[0.2, 0.5, 0.9])
        model = detection.ssd.SSD(
            Pyramid(), defaults, (64, 64), classes, score_thresh=0.0, topk_candidates=20, detections_per_img=5,
            head=detection.ssd.SSDHead([8, 8], defaults.num_anchors_per_location(), classes),
        )  # fmt: skip
    with torch.no_grad():  # scores that differ, and move
        for name, parameter in model.named_parameters():
            if "cls" in name or "classification" in name:
                parameter.normal_(0, 0.3)
    built: nn.Module = model.eval()
    return built


class BirdFinder(nn.Module):
    """At each cell, the logit of a bird whose middle is near, and the distances to the four sides of its box."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for given, made, stride in ((3, 16, 2), (16, 24, 2), (24, 32, 2), (32, 32, 1), (32, 32, 1)):
            layers += [nn.Conv2d(given, made, 3, stride, 1, bias=False), nn.BatchNorm2d(made), nn.ReLU()]
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Conv2d(32, 5, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(x))  # type: ignore[no-any-return]


def read_birds(output: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Boxes, labels and scores of a `BirdFinder`'s output, image by image."""
    boxes, labels, scores = [], [], []
    for image in output:
        every, chances = decoded(image).reshape(4, -1).T, image[0].flatten().sigmoid()
        likely = (chances.detach() > 0.3).nonzero()[:, 0]
        kept = likely[nms(every[likely].detach(), chances[likely].detach(), 0.5)]
        boxes.append(every[kept])
        scores.append(chances[kept])
        labels.append(torch.zeros_like(kept))
    return boxes, labels, scores


def decoded(image: Tensor) -> Tensor:
    """(4, h, w), left, top, right, bottom in pixels."""
    h, w = image.shape[1:]
    y = (torch.arange(h) + 0.5)[:, None].expand(h, w) * STRIDE
    x = (torch.arange(w) + 0.5)[None].expand(h, w) * STRIDE
    left, top, right, bottom = functional.softplus(image[1:]) * STRIDE
    return torch.stack([x - left, y - top, x + right, y + bottom])


@cache
def two_birds(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Pictures (n, 3, 64, 128) of one bird on each side, and their boxes (n, 2, 4)."""
    pictures, boxes = [], []
    for number in range(count):
        halves = []
        for k in (0, 1):
            own = seed + 2 * number + k
            image, labels = render(class_scene(CLASS_NAMES[own % len(CLASS_NAMES)], own))
            small = functional.interpolate(
                torch.from_numpy(image).permute(2, 0, 1)[None].float(), (SIDE, SIDE), mode="area"
            )
            halves.append(small[0].round().to(torch.uint8))
            y, x = np.nonzero(np.isin(labels, [code for name, code in LABELS.items() if name in PARTS]))
            scale = SIDE / labels.shape[0]
            corners = torch.tensor([x.min(), y.min(), x.max() + 1, y.max() + 1], dtype=torch.float32) * scale
            boxes.append(corners + torch.tensor([k * SIDE, 0, k * SIDE, 0]))
        pictures.append(torch.cat(halves, 2))
    return normalized(torch.stack(pictures)), torch.stack(boxes).unflatten(0, (count, 2))


@cache
def bird_finder() -> BirdFinder:
    """One trained on drawn birds, in about ten seconds."""
    x, boxes = two_birds(96, 0)
    torch.manual_seed(0)
    model = BirdFinder()
    steps = 160
    optimizer = torch.optim.AdamW(model.parameters(), 4e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, steps)
    for _step in range(steps):
        rows = torch.randperm(len(x))[:24]
        loss = _loss(model(x[rows]), boxes[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def _loss(output: Tensor, boxes: Tensor) -> Tensor:
    n, _, h, w = output.shape
    y = ((torch.arange(h) + 0.5) * STRIDE)[:, None].expand(h, w)
    x = ((torch.arange(w) + 0.5) * STRIDE)[None].expand(h, w)
    present, sides = torch.zeros(n, h, w), torch.zeros(n, 4, h, w)
    for i in range(n):
        for left, top, right, bottom in boxes[i]:
            near = ((x - (left + right) / 2).abs() < (right - left) / 5) & (
                (y - (top + bottom) / 2).abs() < (bottom - top) / 5
            )
            present[i][near] = 1
            sides[i][:, near] = torch.stack([x - left, y - top, right - x, bottom - y])[:, near] / STRIDE
    here = present > 0
    apart = (functional.softplus(output[:, 1:]) - sides).abs().mean(1)
    return functional.binary_cross_entropy_with_logits(output[:, 0], present) + apart[here].mean()
