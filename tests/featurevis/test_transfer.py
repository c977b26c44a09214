"""Pictures that were made here, shown to another network."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from foveal.errors import MethodError
from foveal.featurevis.transfer import of_pictures
from foveal.images import Preprocessing, load_images


def test_a_range_declared_for_files_is_not_that_of_pictures_made_here() -> None:
    """White stays white: taken for one of 4095 values it would be nearly black."""
    plain = Preprocessing((8, 8), mean=0.0, std=1.0)
    of_files = Preprocessing((8, 8), mean=0.0, std=1.0, range=(0, 4095), frame=3)
    white = Image.fromarray(np.full((8, 8, 3), 255, np.uint8))
    assert float(load_images(white, of_pictures(of_files)).tensor.min()) == 1
    assert of_pictures(plain) is plain and of_pictures(None) is None
    with pytest.raises(MethodError, match="own units"):
        of_pictures(Preprocessing((8, 8), mean=0.0, std=1.0, range=(0, 1), clip=False))
