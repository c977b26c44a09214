"""The images a command is given: one that cannot be read is a line at the end and does not stop the others."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from foveal.cli.console import error, libraries_silent, print_json
from foveal.cli.wording import as_options
from foveal.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from foveal.images import Batch, Preprocessing
    from foveal.models import Model


AT_ONCE = 8  # photos, for commands that take them in batches


class Pictures:
    """Reads images for a command and remembers which it could not read.

    Attributes:
        unread: the files, and why.
    """

    def __init__(self, preprocessing: Preprocessing | None, *, json: bool, axes: int = 2) -> None:
        self.unread: dict[Path, str] = {}
        self._axes = axes
        self._preprocessing, self._json = preprocessing, json
        self._named: set[Path] = set()

    def one_by_one(self, files: Sequence[Path]) -> Iterator[tuple[int, Batch]]:
        """The images that can be read, one after another, each with the number of its file."""
        for number, file in enumerate(files):
            batch = self._read(file)
            if batch is not None:
                yield number, batch

    def batches(self, files: Sequence[Path], count: int) -> Iterator[tuple[int, Batch]]:
        """The same in batches of `count`; with each, how many files are done then."""
        import torch

        from foveal.images import Batch

        for start in range(0, len(files), count):
            some = [batch for _, batch in self.one_by_one(files[start : start + count])]
            if some:
                whole = Batch(
                    torch.cat([batch.tensor for batch in some]), tuple(p for batch in some for p in batch.photos)
                )
                yield min(start + count, len(files)), whole

    def readable(self, files: Sequence[Path]) -> list[Path]:
        """The files that can be read, for a command that needs all of them together; ends it if there is none."""
        return [files[number] for number in self.numbers(files)]

    def numbers(self, files: Sequence[Path]) -> list[int]:
        """The same as numbers of files, by which their classes are known."""
        numbers = [number for number, _ in self.one_by_one(files)]
        self.need(numbers)
        return numbers

    def need(self, results: Sequence[object]) -> None:
        """End the command if no image gave a result."""
        if not results:
            if self._json:
                print_json({"unread": self.failures()})
            self.tell()
            raise typer.Exit(1)

    def end(self) -> None:
        """Name the images that could not be read; the exit status is 1 if there are any."""
        self.tell()
        if self.unread:
            raise typer.Exit(1)

    def tell(self) -> None:
        """Name the images that could not be read, each once."""
        for file, why in self.unread.items():
            if file not in self._named:
                error(as_options(why))
        self._named |= self.unread.keys()

    def failures(self) -> list[dict[str, str]]:
        """What could not be read, for machines."""
        return [{"photo": str(file), "error": as_options(why)} for file, why in self.unread.items()]

    def _read(self, file: Path) -> Batch | None:
        from foveal.images import load_images
        from foveal.images.array_file import is_array_file, load_array_files

        try:
            with libraries_silent():
                if self._axes != 2 and is_array_file(file, self._axes):
                    return load_array_files([file], self._axes)
                return load_images(file, self._preprocessing)
        except ImageError as reason:
            self.unread.setdefault(file, str(reason))
            return None


@contextmanager
def pictures(network: Model, *, json: bool) -> Iterator[Pictures]:
    """`Pictures` that `end` with the block, or are named when it is interrupted.

    Files of arrays are read for networks of signals and volumes.
    """
    from foveal.attribution.prepare import space_axes
    from foveal.engine.guard import unwrap

    read = Pictures(network.preprocessing, json=json, axes=space_axes(unwrap(network.module)))
    try:
        yield read
    except BaseException:
        read.tell()
        raise
    read.end()
