"""Tars as of WebDataset: `000123.jpg` beside `000123.cls`, `000123.json` or `000123.txt`, which has its label."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

from foveal.datasets.columns import LABELS
from foveal.errors import ImageError
from foveal.images.folders import is_picture_name
from foveal.storage.reading import damage, opened

ENDING = ".tar"
BESIDE = ("cls", "json", "txt")
"""Members that hold the label of the pictures of the same key; the first of these that there is."""
LARGEST_LABEL = 2**20
PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")


def is_tar(path: Path) -> bool:
    """Whether a file of this name is a tar that is read in place."""
    return path.suffix.casefold() == ENDING


def members(tar: Path) -> Iterator[tuple[str, str | None, int, int]]:
    """The pictures of a tar in its order: name, label, first byte and size. Nothing of it is unpacked.

    Raises:
        ImageError: for a tar that is damaged, cut or packed.
    """
    with damage(f"Cannot read the tar {str(tar)!r}", ImageError), opened(tar) as file:
        if file.read(6).startswith(PACKED):
            raise ValueError("it is compressed, and its members are read in place; decompress it")
        file.seek(0)
        pictures, labels = list[tuple[str, str, int, int]](), dict[str, dict[str, str | None]]()
        try:
            with tarfile.open(fileobj=file, mode="r:") as content:
                for member in content:
                    if not member.isreg() or member.sparse is not None or Path(member.name).name.startswith("."):
                        continue
                    key, kind = _key(member.name)
                    if is_picture_name(member.name):
                        pictures.append((member.name, key, member.offset_data, member.size))
                    elif kind in BESIDE and member.size <= LARGEST_LABEL:
                        text = content.extractfile(member)
                        labels.setdefault(key, {})[kind] = _label(kind, text.read() if text else b"")
                    content.members = []  # type: ignore[attr-defined]  # what it remembers grows with the tar
        except tarfile.TarError as error:
            raise ValueError(str(error)) from error
    for name, key, start, size in pictures:
        known = labels.get(key, {})
        yield name, next((known[kind] for kind in BESIDE if known.get(kind)), None), start, size


def _key(name: str) -> tuple[str, str]:
    """What members of one sample have in common, up to the first dot of the file's name, and the kind of this one."""
    folder, _, file = name.rpartition("/")
    key, _, kind = file.partition(".")
    return f"{folder}/{key}", kind.casefold()


def _label(kind: str, content: bytes) -> str | None:
    text = content.decode("utf-8-sig").strip()
    if kind != "json":
        return text or None
    said = json.loads(text) if text else None
    if isinstance(said, dict):
        said = next((said[name] for name in LABELS if said.get(name) is not None), None)
    return str(said) if isinstance(said, str | int) and not isinstance(said, bool) else None
