"""The photos of a studio, addressed by their content."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from foveal.errors import FovealError, printable
from foveal.images.load import photo_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from foveal.images.load import OneImage
    from foveal.synthetic.scene import Scene

SHOWN = 1440  # long side in pixels that a page is given
MOST_UPLOADS = 200


class UnknownPhoto(FovealError, LookupError):
    """A hash that no photo of the studio has."""


@dataclass(frozen=True, eq=False)
class StudioPhoto:
    """One photo.

    Attributes:
        hash: of its pixels.
        name: what the person calls it; never a path.
        image: what the verbs get: a path, a picture or an array.
        pixels: (H, W, 3), upright, at most `SHOWN` wide or high: what the page draws.
        size: (height, width) of the photo.
        scene: how it was drawn, in the drawn world.
        uploaded: it came from a page.
        source: how code names it: a path on this machine, or a call.
    """

    hash: str
    name: str
    image: OneImage
    pixels: NDArray[np.uint8]
    size: tuple[int, int]
    scene: Scene | None = None
    uploaded: bool = False
    source: str = ""

    def encoded(self) -> bytes:
        """The picture as a file that browsers read (WebP)."""
        buffer = io.BytesIO()
        Image.fromarray(self.pixels).save(buffer, "WEBP", quality=90)
        return buffer.getvalue()


class Photos:
    """Photos in the order in which they came; of uploads the last `MOST_UPLOADS` are kept."""

    def __init__(self) -> None:
        self._by_hash: dict[str, StudioPhoto] = {}
        self._lock = Lock()

    def add(
        self, image: OneImage, name: str, *, scene: Scene | None = None, uploaded: bool = False, source: str = ""
    ) -> StudioPhoto:
        """Read a photo; one that is known already is that one.

        Raises:
            ImageError: for what cannot be read.
        """
        pixels = photo_of(image).pixels
        identity = blake2b(repr((pixels.shape, scene)).encode() + pixels.tobytes(), digest_size=12).hexdigest()
        shown = _drawn(scene) if scene else Image.fromarray(pixels)
        shown.thumbnail((SHOWN, SHOWN))
        with self._lock:
            photo = self._by_hash.setdefault(
                identity,
                StudioPhoto(
                    identity,
                    printable(name)[:200],
                    image,
                    np.asarray(shown),
                    (pixels.shape[0], pixels.shape[1]),
                    scene,
                    uploaded,
                    source or name,
                ),
            )
            uploads = [photo.hash for photo in self._by_hash.values() if photo.uploaded]
            for hash in uploads[:-MOST_UPLOADS]:
                del self._by_hash[hash]
        return photo

    def __getitem__(self, hash: str) -> StudioPhoto:
        photo = self._by_hash.get(hash)
        if photo is None:
            raise UnknownPhoto("this studio has no such photo (any more): choose one of those shown, or add it again")
        return photo

    def __iter__(self) -> Iterator[StudioPhoto]:
        return iter(list(self._by_hash.values()))

    def __len__(self) -> int:
        return len(self._by_hash)


def _drawn(scene: Scene) -> Image.Image:
    """A scene as large as a page shows it: drawn, not enlarged."""
    from dataclasses import replace

    from foveal.synthetic.drawing import render

    return Image.fromarray(render(replace(scene, size=4 * scene.size))[0])
