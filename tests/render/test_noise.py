"""What is all noise is written in silence: libraries print nothing on standard error."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image, ImageFile

from foveal.render.fragment import jpeg_uri


@pytest.mark.parametrize("quality", [10, 82, 92, 100])
@pytest.mark.parametrize("size", [(1, 1), (7, 300), (104, 104), (640, 480)])
def test_noise_makes_no_noise(quality: int, size: tuple[int, int], capfd: pytest.CaptureFixture[str]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    before = ImageFile.MAXBLOCK
    uri = jpeg_uri(Image.fromarray(pixels), quality=quality)
    assert capfd.readouterr() == ("", "")
    assert before == ImageFile.MAXBLOCK
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as again:
        assert again.size == size[::-1]
        if quality == 100:
            assert np.abs(np.asarray(again).astype(int) - pixels).mean() < 2
