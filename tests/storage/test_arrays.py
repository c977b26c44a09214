"""Arrays come back to the bit, and no file makes a reader take more memory than it may."""

from __future__ import annotations

import io
import resource
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from foveal.errors import ResultError
from foveal.storage.arrays import described, read_arrays, write_arrays
from foveal.storage.reading import damage, opened


def read(path: Path, listed: Any) -> dict[str, torch.Tensor]:
    with damage("Cannot load it"), opened(path) as file:
        return read_arrays(file, listed)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int64", "uint8", "bool", "complex64"])
def test_every_kind_of_number_comes_back(dtype: str, tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(0)
    plain = torch.randn(3, 4, 5, generator=draw).to(getattr(torch, dtype))
    arrays = {"a": plain, "": plain[0, 0, 0], "file": plain[:0], "x/ä.b": plain.transpose(0, 2), "d": plain[:, ::2]}
    write_arrays(tmp_path / "a.npz", arrays)
    found = read(tmp_path / "a.npz", described(arrays))
    assert list(found) == list(arrays)
    for name, tensor in arrays.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor)
    with np.load(tmp_path / "a.npz") as others:
        assert others["a"].shape == (3, 4, 5)


def test_arrays_of_numpy_itself_are_read(tmp_path: Path) -> None:
    arrays = {"f": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "b": np.arange(3, dtype=">i4")}
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    listed = [{"name": "f", "shape": [2, 3], "dtype": "float64"}, {"name": "b", "shape": [3], "dtype": "int32"}]
    found = read(tmp_path / "a.npz", listed)
    assert all(np.array_equal(found[name].numpy(), array) for name, array in arrays.items())


def packed(**members: bytes) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file


def head(said: str, version: int = 1) -> bytes:
    size = struct.pack("<H" if version == 1 else "<I", len(said))
    return b"\x93NUMPY" + bytes([version, 0]) + size + said.encode()


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}"


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x93NUMPY", b"PK\x03\x04", head(GOOD), head(GOOD) + bytes(7), head(GOOD) + bytes(9), head(""), head("["),
        head(GOOD.replace("(2,)", "(10**15,)")), head(GOOD.replace("(2,)", "(1000000000000000,)")) + bytes(8),
        head(GOOD.replace("(2,)", "(-2,)")) + bytes(8), head(GOOD.replace("2,", "True, 2,")) + bytes(8),
        head(GOOD.replace("<f4", "|O")) + bytes(16), head(GOOD.replace("<f4", "<U9")) + bytes(72),
        head(GOOD.replace("'descr'", "'d'")) + bytes(8), head("(" * 5000) + bytes(8), head("x" * 20000, 2) + bytes(8),
        head("__import__('os').abort()"), head("{'descr': '<f4'}") + bytes(8),
    ],
)  # fmt: skip
def test_arrays_that_are_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(packed(a=content).getvalue())
    with pytest.raises(ResultError, match=r"^Cannot load it: "):
        read(tmp_path / "a.npz", [{"name": "a", "shape": [2], "dtype": "float32"}])


@pytest.mark.parametrize(
    "listed",
    [
        [{}], [{"name": "a"}], [{"name": "b", "shape": [2], "dtype": "float32"}], 7, None, [[]], ["a"],
        [{"name": "a", "shape": [3], "dtype": "float32"}], [{"name": "a", "shape": [-2], "dtype": "float32"}],
        [{"name": "a", "shape": "2", "dtype": "float32"}], [{"name": "a", "shape": [2], "dtype": "load"}],
        [{"name": "a", "shape": [2], "dtype": 5}], [{"name": "a", "shape": [2], "dtype": "nn"}],
    ],
)  # fmt: skip
def test_lists_that_do_not_fit(listed: Any, tmp_path: Path) -> None:
    write_arrays(tmp_path / "a.npz", {"a": torch.ones(2)})
    with pytest.raises(ResultError, match=r"^Cannot load it: "):
        read(tmp_path / "a.npz", listed)


@pytest.mark.timeout(60)
def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """Five arrays of 128 MiB of zeros, packed small, in order down to their checksums; and one listed very often."""
    one = head(GOOD.replace("(2,)", f"({2**25},)")) + bytes(2**27)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in range(5):
            archive.writestr(f"{name}.npy", one)
    listed = [{"name": str(name), "shape": [2**25], "dtype": "float32"} for name in range(5)]
    with pytest.raises(ResultError, match=r"it would fill 671,\d+,\d+ bytes of memory"):
        read(tmp_path / "a.npz", listed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = read(tmp_path / "a.npz", listed[:1] * 1000)
    assert len(found) == 1 and resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # KiB
