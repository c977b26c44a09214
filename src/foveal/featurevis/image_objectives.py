"""Objectives that look at the image alone."""

from __future__ import annotations

from torch import Tensor

from foveal.featurevis.objective import Objective
from foveal.featurevis.seen import Seen


def smooth() -> Objective:
    """Total variation: the mean length of the gradient of the image, which is 0..1 valued."""

    def variation(seen: Seen) -> Tensor:
        x = seen.images
        dy, dx = x.diff(dim=2)[..., :-1], x.diff(dim=3)[..., :-1, :]
        return (dy.square() + dx.square() + 1e-8).sqrt().flatten(1).mean(1) * x.shape[-1] / 100

    return Objective(variation, "total variation")


def low_saturation() -> Objective:
    """‖x − ½‖² / N: penalizes saturated colors."""
    return Objective(lambda seen: (seen.images - 0.5).square().flatten(1).mean(1), "low saturation")
