"""Pictures that are no files of their own: members of tars, and cells of tables; read in place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from foveal.datasets.image_tables import PictureCells, is_rows
from foveal.errors import ImageError, shown
from foveal.images.named_bytes import NamedBytes
from foveal.storage.reading import damage, opened

if TYPE_CHECKING:
    from foveal.datasets.plan import Inside, Item

Picture: TypeAlias = "Path | BytesIO"
"""What is read: a file, or the bytes of one."""
LARGEST = 2**31
"""No picture in a tar is larger, as no file of one is."""


class PictureFiles:
    """Gives the pictures of a plan; of those inside of files, the file that was last read stays open."""

    def __init__(self, root: Path) -> None:
        self._root, self._file = root, ""
        self._held = ExitStack()
        self._open: Any = None

    def get(self, item: Item) -> Picture:
        """The file of a picture, or its bytes.

        Raises:
            ImageError: where it is inside of a file that cannot be read.
        """
        if item.inside is None:
            return self._root / item.uri
        with damage(f"Cannot read {item.uri!r}", ImageError):
            return NamedBytes(self._bytes(item.inside), item.uri)

    def close(self) -> None:
        """Nothing stays open."""
        self._held.close()
        self._file = ""

    def _bytes(self, inside: Inside) -> bytes:
        if inside.file != self._file:
            self.close()
            path = self._root / inside.file
            self._open = self._held.enter_context(PictureCells.opened(path) if is_rows(path) else opened(path))
            self._file = inside.file
        if isinstance(self._open, PictureCells):
            return self._open[inside.start]
        if not 0 <= inside.size <= LARGEST:
            raise ValueError(f"it has {inside.size:,} bytes, and no picture has more than {LARGEST:,}")
        self._open.seek(inside.start)
        content: bytes = self._open.read(inside.size)
        if len(content) < inside.size:
            raise EOFError(f"{shown(inside.file)} ends before it")
        return content


@contextmanager
def picture_files(root: Path) -> Iterator[PictureFiles]:
    """The pictures below a root; nothing stays open afterwards."""
    files = PictureFiles(root)
    try:
        yield files
    finally:
        files.close()
