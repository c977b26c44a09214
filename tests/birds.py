"""Birds of the drawn world, drawn once: pictures for tests that need some."""

from __future__ import annotations

from functools import cache

from PIL import Image

from foveal.synthetic import Split


@cache
def drawn_bird(number: int, of: int = 20) -> Image.Image:
    """The picture with this number among so many of the split `classes`; nobody alters it."""
    return Image.fromarray(Split("classes", of)[number].image)
