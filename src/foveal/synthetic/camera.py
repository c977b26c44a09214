"""What the camera does to an image: exposure and warmth, blur, noise."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.synthetic.scene import Camera, Light

NOISE = 7  # key of the noise's random stream


def develop(pixels: NDArray[Any], light: Light, camera: Camera, seed: int) -> NDArray[np.uint8]:
    """Float colors to the 8-bit image.

    The blur has finite support, so a change in one place stays within `camera.blur` pixels of it, and the
    noise depends on the seed alone.
    """
    tint = np.array([1 + 0.07 * light.warmth, 1 + 0.01 * light.warmth, 1 - 0.08 * light.warmth], np.float32)
    exposed = np.clip(pixels * (tint * np.float32(camera.exposure)), 0, 255)
    for _ in range(camera.blur):
        exposed = _binomial(_binomial(exposed, 0), 1)
    if camera.noise:
        exposed = exposed + _noise(exposed.shape, camera.noise, seed)
    # Rounding at a sixteenth first: a last-bit difference between machines cannot flip a gray level.
    quantized = np.rint(exposed * 16).astype(np.int32)
    levels: NDArray[np.uint8] = np.clip((quantized + 8) >> 4, 0, 255).astype(np.uint8)
    return levels


def _binomial(pixels: NDArray[Any], axis: int) -> NDArray[Any]:
    """One 1-2-1 filter, edges repeated."""
    h, w = pixels.shape[:2]
    if axis:
        padded = np.concatenate([pixels[:, :1], pixels, pixels[:, -1:]], 1)
        before, after = padded[:, :w], padded[:, 2:]
    else:
        padded = np.concatenate([pixels[:1], pixels, pixels[-1:]], 0)
        before, after = padded[:h], padded[2:]
    blurred: NDArray[np.float32] = (before + pixels * 2 + after) * np.float32(0.25)
    return blurred


def _noise(shape: tuple[int, ...], amplitude: int, seed: int) -> NDArray[Any]:
    """Triangular noise from whole numbers, standard deviation about `amplitude`."""
    bits = np.random.default_rng([seed, NOISE]).integers(0, 256, (2, *shape), np.uint8)
    drawn = bits[0].astype(np.int16) + bits[1] - 255
    noise: NDArray[np.float32] = drawn.astype(np.float32) * np.float32(amplitude / 104)
    return noise
