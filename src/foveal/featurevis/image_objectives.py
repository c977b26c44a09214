"""Objectives that look at the image alone."""

from __future__ import annotations

from foveal.featurevis.few_passes import variation
from foveal.featurevis.objective import Objective


def smooth() -> Objective:
    """Total variation: the mean length of the gradient of the image, which is 0..1 valued."""

    return Objective(lambda seen: variation(seen.images) * (seen.images.shape[-1] / 100), "total variation")


def low_saturation() -> Objective:
    """‖x − ½‖² / N: penalizes saturated colors."""
    return Objective(lambda seen: (seen.images - 0.5).square().flatten(1).mean(1), "low saturation")
