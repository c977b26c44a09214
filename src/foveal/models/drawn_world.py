"""Whether an image may be one of the drawn world, which is all that the bundled networks know.

Of 1440 drawn images (three splits; as they are, as JPEG, at 64 and at 400 pixels) five statistics of the gray input
were taken. An image beyond their range, a tenth wider on both sides, is not drawn: that holds for 9 in 10 photos of
ImageNet, COCO, birds, pets and persons.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float32
    from numpy.typing import NDArray

    from foveal.images import Batch
    from foveal.models.model import Model

BLOCKS = 8  # a side
RANGES = {
    "darkest": (0.109, 0.559),  # 1 % of the pixels are darker
    "flattest": (0.0057, 0.0276),  # contrast inside a block, 1 block in 10 has less
    "contrast": (0.025, 0.1042),  # the same on average
    "brightness": (0.4024, 0.8596),
    "contrast of blocks": (0.0567, 0.1898),
}
UNLIKE = "{name} was trained on drawn birds only, and this image is not like them: its decision means nothing here"


def marked(batch: Batch, subject: Model) -> Batch:
    """The images, with a note on those that a network of the drawn world cannot know."""
    known = str(subject.card.get("data", "")).startswith("drawn world")
    p = subject.preprocessing
    if not known or p is None or batch.tensor.ndim != 4 or min(batch.tensor.shape[2:]) < BLOCKS:
        return batch
    photos, unlike = list(batch.photos), UNLIKE.format(name=subject.name)
    for number, photo in enumerate(photos):
        if photo.source != "tensor" and unlike not in photo.notes:
            light = p.undo(batch.tensor[number].detach().cpu().float().numpy()).astype(np.float32) / 255
            if not may_be_drawn(light.mean(2)):
                photos[number] = replace(photo, notes=(*photo.notes, unlike))
    return replace(batch, photos=tuple(photos))


def may_be_drawn(gray: Float32[NDArray[np.float32], "h w"]) -> bool:
    """Whether an image (values 0..1, sides of 8 pixels at least) looks as drawn ones do."""
    side, width = gray.shape[0] // BLOCKS, gray.shape[1] // BLOCKS
    blocks = gray[: side * BLOCKS, : width * BLOCKS].reshape(BLOCKS, side, BLOCKS, width)
    inside = blocks.std((1, 3))
    found = {
        "darkest": np.percentile(gray, 1),
        "flattest": np.percentile(inside, 10),
        "contrast": inside.mean(),
        "brightness": gray.mean(),
        "contrast of blocks": blocks.mean((1, 3)).std(),
    }
    return all(low <= found[name] <= high for name, (low, high) in RANGES.items())
