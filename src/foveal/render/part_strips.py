"""What stands below a part: photos in which it is strong, and an image made for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from foveal.images import Geometry, Photo
from foveal.render.feature_images import as_picture
from foveal.render.part_picture import part_picture

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from foveal.render.drawable_trees import PartPhoto

EXAMPLES_ACROSS = 2  # photos side by side below a part


def example_picture(example: PartPhoto, side: int, *, against: bool = False) -> Image.Image:
    """What was kept of a photo, as a square, dim where the part is not; the line is blue for one against."""
    pixels = example.pixels.numpy()
    photo = Photo(pixels, Geometry.identity((pixels.shape[0], pixels.shape[1])), example.file.name)
    evidence = np.nan_to_num(example.map.numpy())
    drawn = part_picture(photo, -evidence if against else evidence, None, side=side, against=against)
    return drawn.resize((side, side), Image.Resampling.BICUBIC)


def image_picture(image: Float[Tensor, "c h w"], side: int) -> Image.Image:
    """An image that was made, as a square."""
    return as_picture(image).resize((side, side), Image.Resampling.LANCZOS)
