"""Work in the making, to be gone on with: sealed, so that damage is seen, and marked with what it is of.

A seal is the SHA-256 of all that comes before it, as the comment at the end of the zip archive that torch writes;
torch itself does not look at the checksums in there.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

import torch

from foveal.errors import ResultError
from foveal.storage.atomic import write_bytes
from foveal.storage.reading import damage, opened

MARK = b"foveal-seal/1 "
COMMENT = len(MARK) + 64
END = b"PK\x05\x06"  # of a zip archive, 22 bytes from its end where it has no comment


def save_state(path: Path, state: Mapping[str, Any], of: str) -> None:
    """Plain data and tensors, whole or not at all; `of` is the fingerprint of what the work is of."""
    write_bytes(path, state_bytes(state, of))


def state_bytes(state: Mapping[str, Any], of: str) -> bytes:
    """The same as the content of a file."""
    content = io.BytesIO()
    torch.save({"of": of, "state": dict(state)}, content)
    seal(content)
    return content.getvalue()


def load_state(path: Path, of: str) -> Mapping[str, Any] | None:
    """What was saved, tensors on the CPU; None where it is of something else.

    Raises:
        ResultError: for what is damaged, or no checkpoint.
    """
    with going_on(path), opened(path) as file:
        check_seal(file)
        saved = torch.load(file, map_location="cpu", weights_only=True)
        return dict(saved["state"]) if saved["of"] == of else None


def going_on(path: Path) -> AbstractContextManager[None]:
    """Where this fails, the checkpoint is at fault, and that is said."""
    return damage(f"Cannot continue from {os.fspath(path)!r} (delete it to start from the beginning)", ResultError)


def seal(file: BinaryIO) -> None:
    """Put the seal on an archive, open for reading and writing."""
    file.seek(-22, os.SEEK_END)
    if file.read(4) != END:
        raise ValueError("it is not a zip archive")
    file.seek(-2, os.SEEK_END)
    file.write(struct.pack("<H", COMMENT))
    file.write(MARK + _digest(file, file.seek(0, os.SEEK_END)))


def check_seal(file: BinaryIO) -> None:
    """Raises ValueError unless the file is as it was when it was sealed; leaves it at its start."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - COMMENT))
    sealed = file.read()
    if not sealed.startswith(MARK) or sealed[len(MARK) :] != _digest(file, size - COMMENT):
        raise ValueError("it was changed or cut since it was written")
    file.seek(0)


def _digest(file: BinaryIO, size: int) -> bytes:
    file.seek(0)
    hasher = hashlib.sha256()
    while size > 0 and (block := file.read(min(size, 1 << 22))):
        hasher.update(block)
        size -= len(block)
    file.seek(0, os.SEEK_END)
    return hasher.hexdigest().encode()
