"""An image processor of transformers as a foveal Preprocessing, if the two give the same input."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from foveal.errors import FovealError
from foveal.images.preprocessing import Preprocessing
from foveal.storage.reading import DAMAGE

FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers of filters."""
WARPED = 384
"""ConvNeXt's processor crops below this side, and squeezes from there on."""
TOLERANCE = 3 / 255
"""Mean difference of pixels: transformers resizes in another library than Pillow, which rounds otherwise."""


def as_preprocessing(processor: Any, channels: int = 3) -> tuple[Preprocessing | None, list[str]]:
    """What the processor does, and notes; None where it does something else than resize, crop and normalize.

    Whether it is the same is found out: both are given one photo.
    """
    does = processor.to_dict()
    unknown = f"transformers' {type(processor).__name__} does what foveal cannot repeat, so pass a preprocessing"
    try:
        ours = Preprocessing(**_geometry(does), **_numbers(does, channels))
        same = _agree(processor, ours)
    except (KeyError, TypeError, FovealError):
        return None, [unknown]
    return (ours, []) if same else (None, [unknown])


def _geometry(does: dict[str, Any]) -> dict[str, Any]:
    """Size, resize and filter."""
    size, crop = does.get("size") or {}, does.get("crop_size") if does.get("do_center_crop") else None
    made: dict[str, Any] = {"interpolation": FILTERS[int(does.get("resample", 2))]}
    if not does.get("do_resize", True):
        raise KeyError("size")
    if "shortest_edge" in size:
        short = int(size["shortest_edge"])
        if crop:
            return {**made, "size": _sides(crop), "resize_to": short}
        share = does.get("crop_pct")
        if share and short >= WARPED:
            return {**made, "size": (short, short), "resize": "exact"}
        return {**made, "size": (short, short), "resize_to": int(short / share) if share else short}
    if crop and _sides(crop) != _sides(size):
        raise KeyError("crop_size")
    return {**made, "size": _sides(size), "resize": "exact"}


def _sides(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size["height"]), int(size["width"]))


def _numbers(does: dict[str, Any], channels: int) -> dict[str, Any]:
    """Mean and deviation for pixels of 0 to 1: (p · factor − offset − mean) / std, once or twice over std."""
    factor = float(does.get("rescale_factor", 1 / 255)) if does.get("do_rescale", True) else 1.0
    normalizes = does.get("do_normalize", True)
    mean = np.atleast_1d(np.asarray(does["image_mean"] if normalizes else 0.0, float))
    std = np.atleast_1d(np.asarray(does["image_std"] if normalizes else 1.0, float))
    if does.get("rescale_offset"):
        mean = mean + 1
    if does.get("include_top"):
        std = std**2  # EfficientNet's processor divides again
    count = 1 if channels == 1 else 3
    flipped = does.get("do_flip_channel_order")
    return {
        "mean": tuple(np.broadcast_to(mean / factor / 255, count).tolist()),
        "std": tuple(np.broadcast_to(std / factor / 255, count).tolist()),
        "channels": "L" if count == 1 else "BGR" if flipped else "RGB",
    }


def _agree(processor: Any, ours: Preprocessing) -> bool:
    """Whether both make the same of a photo that is wider than high; of its center, where one of them keeps more."""
    y, x = np.mgrid[0:150, 0:190] / 150
    photo = np.stack([255 * x / x.max(), 255 * (0.5 + 0.5 * np.sin(9 * x * y)), 255 * y], 2).astype(np.uint8)
    image = Image.fromarray(photo).convert("L" if ours.channels == "L" else "RGB")
    try:
        theirs = np.asarray(processor(images=image, return_tensors="np")["pixel_values"][0], np.float32)
    except DAMAGE:
        return False
    own = ours.apply(image)
    if theirs.shape != own.shape:
        return False
    std = np.asarray(ours.std, np.float32)[:, None, None]
    return bool(np.abs((theirs - own) * std).mean() < TOLERANCE)
