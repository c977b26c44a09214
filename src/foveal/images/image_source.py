"""Many images of which a few are in memory: files are read when they are needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from foveal.images.load import NO_FILE, Batch

if TYPE_CHECKING:
    from foveal.images.load import ImageLike

Reader: TypeAlias = "Callable[[ImageLike | Batch], Batch]"


class ImageSource:
    """Images by their numbers. A list of files is read a few files at a time, everything else once.

    Attributes:
        sources: where each is from: a path, "image", "array" or "tensor".
    """

    def __init__(self, images: ImageLike | Batch, read: Reader) -> None:
        self._read = read
        self._files: list[str] = []
        self._batch: Batch | None = None
        if isinstance(images, list | tuple) and images and all(isinstance(one, str | os.PathLike) for one in images):
            self._files = [os.fspath(one) for one in images]
            self.sources: tuple[str, ...] = tuple(self._files)
        else:
            self._batch = read(images)
            self.sources = tuple(photo.source for photo in self._batch.photos)

    def __len__(self) -> int:
        return len(self.sources)

    def some(self, numbers: Sequence[int]) -> Batch:
        """These images, in this order.

        Raises:
            ImageError: for a file that cannot be read.
        """
        if self._batch is None:
            return self._read([self._files[i] for i in numbers])
        return Batch(self._batch.tensor[list(numbers)], tuple(self._batch.photos[i] for i in numbers))

    def batches(self, size: int) -> Iterator[Batch]:
        """All of them in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self.some(range(start, min(start + size, len(self))))

    def real_paths(self) -> list[str | None]:
        """The file that each comes from, links followed; None where it comes from no file."""
        return [None if source in NO_FILE else os.path.realpath(source) for source in self.sources]

    def names(self, what: str) -> tuple[str, ...]:
        """What each is called: its path, or "query 3"."""
        return tuple(f"{what} {i}" if source in NO_FILE else source for i, source in enumerate(self.sources))
