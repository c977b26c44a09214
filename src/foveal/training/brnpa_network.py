"""What is trained: the network, its teacher, the loss, the optimizer and its rate."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from foveal.models import load_model
from foveal.models.brnpa import PartsNet, named_backbone
from foveal.training.distillation import distillation
from foveal.training.settings import Settings, SettingsError


def build(settings: Settings, classes: int) -> PartsNet:
    """The network that the settings ask for."""
    return PartsNet(
        named_backbone(settings.backbone, pretrained=settings.pretrained),
        dropout=settings.dropout, checkpointing=settings.checkpointing, **network_arguments(settings, classes),
    )  # fmt: skip


def network_arguments(settings: Settings, classes: int) -> dict[str, Any]:
    """What a network has to be built with again."""
    return {
        "classes": classes, "pooling": settings.pooling, "count": settings.count, "layer": settings.layer or None,
        "resolution": settings.resolution, "mode": settings.mode, "size": settings.side,
    }  # fmt: skip


def teacher_of(settings: Settings, classes: int) -> nn.Module | None:
    """Frozen, in evaluation mode, whatever the student does."""
    if not settings.teacher:
        return None
    teacher = load_model(settings.teacher)
    known = teacher.labels
    if known is not None and len(known) != classes:
        raise SettingsError(f"the teacher {settings.teacher} knows {len(known)} classes, but the images have {classes}")
    return teacher.module.eval().requires_grad_(False)


def start_from(net: PartsNet, teacher: nn.Module, settings: Settings) -> None:
    """Initializes the student with all weights of the teacher, in place.

    Raises:
        SettingsError: where the two are different networks.
    """
    try:
        net.load_state_dict(teacher.state_dict())
    except RuntimeError as error:
        raise SettingsError(
            f"the network cannot start from {settings.teacher}, whose weights belong to another network: "
            "use the teacher's backbone, pooling and count, or start = 'backbone'"
        ) from error


def loss_of(net: nn.Module, teacher: nn.Module | None, images: Tensor, truth: Tensor, settings: Settings) -> Tensor:
    """Of a micro-batch; the teacher sees the same images."""
    known = None
    if teacher is not None:
        with torch.no_grad():
            known = teacher(images).float()
    return distillation(net(images).float(), known, truth, weight=settings.weight, temperature=settings.temperature)


def make_optimizer(settings: Settings, net: nn.Module) -> Optimizer:
    """By its name."""
    weights = [p for p in net.parameters() if p.requires_grad]
    if settings.optimizer == "sgd":
        return SGD(weights, settings.rate, settings.momentum, weight_decay=settings.decay)
    if settings.optimizer == "adamw":
        return AdamW(weights, settings.rate, weight_decay=settings.decay)
    return Adam(weights, settings.rate, weight_decay=settings.decay, amsgrad=settings.optimizer == "amsgrad")


def rate_at(settings: Settings, steps: int, step: int) -> float:
    """What the rate is multiplied with; "cosine" warms up over a twentieth of the steps."""
    if settings.schedule == "constant":
        return 1.0
    if settings.schedule == "step":
        return float(0.9 ** (step * settings.epochs // steps // 2))
    warm = max(1, steps // 20)
    return min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps))))
