"""The bytes of a picture's file that are no file of their own, with a name for people."""

from __future__ import annotations

from io import BytesIO


class NamedBytes(BytesIO):
    """What `foveal.images.load_images` reads as it reads a file.

    Args:
        name: what notes, errors and figures call it.
    """

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name
