"""The photos of a studio, addressed by their content."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING

from PIL import Image

from foveal.errors import FovealError, printable
from foveal.images.load import photo_of
from foveal.images.samples import STRETCHED
from foveal.images.selection import TO_LOOK_AT, Selection

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from foveal.images.load import OneImage
    from foveal.synthetic.scene import Scene

SHOWN = 1440  # long side in pixels that a page is given
MOST_UPLOADS = 200
MOST_UPLOADED = 2**29  # bytes of their files together


class UnknownPhoto(FovealError, LookupError):
    """A hash that no photo of the studio has."""


@dataclass(frozen=True, eq=False)
class StudioPhoto:
    """One photo.

    Attributes:
        hash: of its pixels.
        name: what the person calls it; never a path.
        origin: a path, a picture or an array; the bytes of the file that a page sent.
        size: (height, width) of the photo.
        scene: how it was drawn, in the drawn world.
        source: how code names it: a path on this machine, or a call.
        selection: which frame of its file it is.
    """

    hash: str
    name: str
    origin: OneImage | bytes
    size: tuple[int, int]
    scene: Scene | None = None
    source: str = ""
    selection: Selection = TO_LOOK_AT

    @property
    def image(self) -> OneImage:
        """What the verbs get: a path, a file in memory, a picture or an array."""
        return io.BytesIO(self.origin) if isinstance(self.origin, bytes) else self.origin

    def shown(self, side: int = SHOWN) -> Image.Image:
        """The picture as a page draws it, upright and at most `side` wide or high.

        Raises:
            ImageError: when its file cannot be read any more.
        """
        picture = _drawn(self.scene) if self.scene else Image.fromarray(photo_of(self.image, self.selection).pixels)
        picture.thumbnail((side, side))
        return picture

    def encoded(self) -> bytes:
        """The same as WebP."""
        buffer = io.BytesIO()
        self.shown().save(buffer, "WEBP", quality=90)
        return buffer.getvalue()


class Photos:
    """Photos in the order in which they came; of those that a page sent the last `MOST_UPLOADS` are kept.

    Args:
        selection: which frame of their files they are.
    """

    def __init__(self, selection: Selection = TO_LOOK_AT) -> None:
        self._selection = selection
        self._by_hash: dict[str, StudioPhoto] = {}
        self._lock = Lock()

    def add(
        self, image: OneImage, name: str, *, data: bytes = b"", scene: Scene | None = None, source: str = ""
    ) -> StudioPhoto:
        """Read a photo; one that is known already is that one.

        Args:
            image: whatever a verb takes.
            name: what the page calls it.
            data: the file of the image that a page sent; it is kept instead.
            scene: how it was drawn, in the drawn world.
            source: how code names it.

        Raises:
            ImageError: for what cannot be read.
        """
        look = photo_of(image, self._selection)
        pixels, stretched = look.pixels, any(STRETCHED in note for note in look.notes)
        # What only looks the same may have other values.
        identity = _identity(pixels, scene, (data or str(image).encode()) if stretched else b"")
        height, width = pixels.shape[:2]
        name, source = printable(name)[:200], source or name
        photo = StudioPhoto(identity, name, data or image, (height, width), scene, source, self._selection)
        with self._lock:
            photo = self._by_hash.setdefault(identity, photo)
            self._drop_uploads()
        return photo

    def _drop_uploads(self) -> None:
        """The oldest, until the others are few and small enough."""
        sizes = {photo.hash: len(photo.origin) for photo in self._by_hash.values() if isinstance(photo.origin, bytes)}
        while len(sizes) > MOST_UPLOADS or sum(sizes.values()) > MOST_UPLOADED:
            oldest = next(iter(sizes))
            del sizes[oldest], self._by_hash[oldest]

    def has(self, hash: str) -> bool:
        """Whether there is a photo of this hash."""
        return hash in self._by_hash

    def find(self, pixels: NDArray[np.uint8]) -> StudioPhoto | None:
        """The photo with exactly these pixels, drawn or not."""
        plain = self._by_hash.get(_identity(pixels, None))
        drawn = (photo for photo in self if photo.scene and photo.hash == _identity(pixels, photo.scene))
        return plain or next(drawn, None)

    def __getitem__(self, hash: str) -> StudioPhoto:
        photo = self._by_hash.get(hash)
        if photo is None:
            raise UnknownPhoto("this studio has no such photo (any more): choose one of those shown, or add it again")
        return photo

    def __iter__(self) -> Iterator[StudioPhoto]:
        return iter(list(self._by_hash.values()))

    def __len__(self) -> int:
        return len(self._by_hash)


def _identity(pixels: NDArray[np.uint8], scene: Scene | None, content: bytes = b"") -> str:
    return blake2b(repr((pixels.shape, scene)).encode() + pixels.tobytes() + content, digest_size=12).hexdigest()


def _drawn(scene: Scene) -> Image.Image:
    """A scene as large as a page shows it: drawn, not enlarged."""
    from dataclasses import replace

    from foveal.synthetic.drawing import render

    return Image.fromarray(render(replace(scene, size=4 * scene.size))[0])
