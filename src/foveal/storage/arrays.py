"""Arrays in one .npz file: under any names, and read no larger than they were said to be."""

from __future__ import annotations

import ast
import math
import struct
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

FREELY = 2**29
"""Bytes that any file may hold; more only if they are no more than `PACKED` times the file."""
PACKED = 100
KINDS = {
    order + kind: np.dtype(order + kind)
    for order in "<>|"
    for kind in ("f2", "f4", "f8", "b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "c8", "c16")
}


def write_arrays(path: Path, arrays: Mapping[str, Tensor]) -> None:
    """An .npz whose arrays may have any name: numpy's own writer cannot call one "file"."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in arrays.items():
            tensor = value.detach().cpu()
            array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def described(arrays: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    """What a manifest says of each: {"name": …, "shape": […], "dtype": "float32"}."""
    return [
        {"name": name, "shape": list(value.shape), "dtype": dtype_name(value)} for name, value in arrays.items()
    ]  # fmt: skip


def read_arrays(file: BinaryIO, listed: Iterable[Mapping[str, Any]]) -> dict[str, Tensor]:
    """The arrays of a file that a manifest describes, each of the shape and type it says.

    Raises:
        ValueError and the rest of `DAMAGE`: when they are not.
    """
    wanted = {str(entry["name"]): entry for entry in listed}
    with zipfile.ZipFile(file) as archive:
        size = sum(archive.getinfo(f"{name}.npy").file_size for name in wanted)
        if size > FREELY and size > PACKED * file.seek(0, 2):
            raise ValueError(f"it would fill {size:,} bytes of memory")
        arrays = {}
        for name, entry in wanted.items():
            info = archive.getinfo(f"{name}.npy")
            with archive.open(info) as member:
                array = _array(member, info.file_size)
            if list(array.shape) != entry["shape"]:
                raise ValueError(f"the array {name!r} has another shape")
            arrays[name] = torch.from_numpy(array).to(_dtype(entry["dtype"]))
    return arrays


def dtype_name(tensor: Tensor) -> str:
    """ "float32"."""
    return str(tensor.dtype).removeprefix("torch.")


def _array(file: IO[bytes], size: int) -> NDArray[Any]:
    """One array; its header is believed only where it fits the number of bytes that follow it."""
    start = file.read(8)
    if start[:6] != b"\x93NUMPY" or len(start) < 8:
        raise ValueError("an array has no head")
    (length,) = struct.unpack("<H", file.read(2)) if start[6] == 1 else struct.unpack("<I", file.read(4))
    if length > 10_000:
        raise ValueError("the head of an array is too long")
    head = ast.literal_eval(file.read(length).decode("latin-1"))
    shape, dtype = tuple(head["shape"]), KINDS[head["descr"]]
    if any(type(side) is not int or side < 0 for side in shape):
        raise ValueError("an array has no such shape")
    expected = math.prod(shape) * dtype.itemsize
    if expected != size - length - (10 if start[6] == 1 else 12):
        raise ValueError("an array is longer or shorter than its head says")
    content = file.read(expected)
    file.read(1)  # the end of a member is where its checksum is looked at
    flat = np.frombuffer(content, dtype).astype(dtype.newbyteorder("="))
    return flat.reshape(shape, order="F" if head["fortran_order"] else "C")


def _dtype(name: Any) -> torch.dtype:
    dtype = getattr(torch, name)
    if not isinstance(dtype, torch.dtype):
        raise TypeError(f"{name!r} is not a type of numbers")
    return dtype
