"""Pictures inside pages."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from foveal.render.fragment import data_uri, jpeg_uri


@pytest.mark.parametrize("quality", [None, 60, 92])
@pytest.mark.parametrize("side", [16, 104, 300])
def test_pictures_come_back_also_where_they_are_noise(quality: int | None, side: int) -> None:
    """Pillow cannot optimize every noisy JPEG within its buffer."""
    noise = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)
    uri = data_uri(Image.fromarray(noise), quality=quality)
    head, _, content = uri.partition(",")
    assert head == f"data:image/{'png' if quality is None else 'webp'};base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as back:
        found = np.asarray(back.convert("RGB")).astype(float)
    assert found.shape == noise.shape
    assert np.abs(found - noise).mean() <= (0 if quality is None else 60)  # WebP halves the resolution of color


@pytest.mark.parametrize("quality", [60, 92])
def test_jpeg_keeps_the_resolution_of_color(quality: int) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (104, 104, 3), dtype=np.uint8)
    head, _, content = jpeg_uri(Image.fromarray(noise), quality=quality).partition(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as back:
        assert np.abs(np.asarray(back).astype(float) - noise).mean() <= 40
