"""What all results have in common: they save, load and draw themselves, and are told as plain data."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from foveal.errors import NoSuchItem, ResultError
from foveal.storage.folder import written_aside
from foveal.storage.manifest import Saved, load, write_manifest

if TYPE_CHECKING:
    import os

    from PIL import Image


class Result(ABC):
    """What a verb gives.

    Attributes:
        FORMAT: what its manifest says it is.
        notes: what a reader must know before believing it.
        seconds: the time it took.
        versions: what it was made with.
    """

    FORMAT: ClassVar[str]
    notes: tuple[str, ...]
    seconds: float
    versions: Mapping[str, str]

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """The folder, now holding pictures, numbers and manifest.json.

        Whole or not at all: an interrupted save leaves nothing that loads. The files of an earlier result in the
        folder are replaced; other files stay.

        Raises:
            ResultError: where something else is in the way, or nothing can be written.
        """
        return self._saved(Path(folder), self._write)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """The result saved in a folder; tensors on the CPU.

        Raises:
            ResultError: if anything is missing or changed, or it is of another kind.
        """
        return load(Path(folder), cls.FORMAT, cls._read)

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """The findings as plain data that JSON has words for; None for numbers that are undefined."""

    @abstractmethod
    def figure(self, kind: str = ..., *, side: int = ...) -> Image.Image:
        """One picture of the result. Raises ResultError for a kind there is not."""

    @abstractmethod
    def _write(self, aside: Path) -> Mapping[str, Any]:
        """Put its files into a new folder; what the manifest is to say."""

    @classmethod
    @abstractmethod
    def _read(cls, saved: Saved) -> Self:
        """The result that `_write` wrote."""

    def _saved(self, folder: Path, write: Callable[[Path], Mapping[str, Any]]) -> Path:
        with written_aside(folder) as aside:
            write_manifest(aside, {"format": self.FORMAT, **write(aside)})
        return folder

    def to_html(self) -> str:
        """What a notebook shows, an HTML fragment: pictures, then what `str` says. Needs no other file."""
        from foveal.render.fragment import result_fragment

        return result_fragment(self._shown(), str(self))

    def _repr_html_(self) -> str:
        return self.to_html()

    def _shown(self) -> Sequence[tuple[Image.Image, str]]:
        """The pictures for a notebook, each with a text for those who do not see it."""
        first, *_ = str(self).splitlines() or [""]
        return [(self.figure(), f"{type(self).__name__}: {first}")]


def check_kind(kind: str, *kinds: str) -> None:
    """Raises ResultError for a kind of figure that a result does not have."""
    if kind not in kinds:
        raise ResultError(f"There is no figure {kind!r} of this result; there are {', '.join(kinds)}.")


def checked_index(i: int, count: int, what: str = "image") -> int:
    """The number of an item, from 0; negative ones count from the end.

    Raises:
        NoSuchItem: where there are not so many.
    """
    if not -count <= i < count:
        have = f"is 1 {what}, number 0" if count == 1 else f"are {count} {what}s, numbers 0 to {count - 1}"
        raise NoSuchItem(f"There is no {what} {i} here: there {have}.")
    return i % count


def finite(value: Any) -> Any:
    """Plain data with None for numbers that are none, and lists for tuples."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(inside) for key, inside in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inside) for inside in value]
    return value
