"""What people hand over by mistake, or strangers on purpose: right, or one sentence."""

from __future__ import annotations

import os
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import foveal
from foveal.errors import ImageError
from foveal.images import Preprocessing, load_images
from tests.networks import tiny

SMALL = Preprocessing((8, 8), mean=(0.5,) * 3, std=(0.5,) * 3)
X = torch.rand(2, 3, 16, 16)


def refused(images: Any, words: str) -> None:
    with pytest.raises(ImageError, match=words) as caught:
        load_images(images, SMALL)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)
    if isinstance(images, torch.Tensor):
        with pytest.raises(foveal.FovealError, match=words):
            foveal.explain(tiny(), images, 0)


def nested(layout: Any) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nested.nested_tensor([torch.rand(3, 8, 8), torch.rand(3, 9, 8)], layout=layout)


def compressed() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return X[0, 0].to_sparse_csr()


def quantized() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(X, 0.1, 0, torch.quint8)


def fake() -> torch.Tensor:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        return torch.rand(2, 3, 16, 16)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: X.to("meta"), "meta device"),
        (lambda: X[0].to("meta"), "meta device"),
        (lambda: X.to(torch.uint8).to("meta"), "meta device"),
        (lambda: X.to_sparse(), "not stored densely"),
        (compressed, "not stored densely"),
        (lambda: X[0].to_mkldnn() if torch.backends.mkldnn.is_available() else X[0].to_sparse(), "not stored densely"),
        (quantized, "quantized"),
        (lambda: nested(torch.strided), "nested"),
        (lambda: nested(torch.jagged), "nested"),
        (lambda: X.to(torch.complex64), "complex"),
        (lambda: X.to(torch.complex64).conj(), "complex"),
        (lambda: X.to(torch.float8_e4m3fn), "8 bits"),
        (lambda: X.to(torch.float8_e5m2)[0], "8 bits"),
        (fake, "FakeTensor"),
        (lambda: torch.full((2, 3, 8, 8), 1e300, dtype=torch.float64), "NaN or infinite"),
    ],
)
def test_tensors_without_plain_numbers_are_refused(made: Any, words: str) -> None:
    refused(made(), words)
    refused([made()], words)


@pytest.mark.parametrize("transform", ["vmap", "grad", "jvp"])
def test_inside_of_torch_func_it_says_so(transform: str) -> None:
    net, said = tiny(), []

    def looked(x: torch.Tensor) -> torch.Tensor:
        with pytest.raises(ImageError, match=r"torch\.func") as caught:
            foveal.explain(net, x, 0)
        said.append(str(caught.value))
        return x.sum()

    if transform == "vmap":
        torch.func.vmap(looked)(X)
    elif transform == "grad":
        torch.func.grad(looked)(X)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, of its first jvp
            torch.func.jvp(looked, (X,), (torch.ones_like(X),))
    assert said


def test_unusual_memory_is_read_right() -> None:
    """Views with odd strides, negated views, inference tensors, leaves that want gradients: the same numbers."""
    net = tiny()
    expected = foveal.explain(net, X, 0).map
    wide = torch.rand(2, 16, 32, 6)
    wide[:, :, ::2, ::2] = X.permute(0, 2, 3, 1)
    with torch.inference_mode():
        inference = X.clone()
    forms = {
        "strided": wide[:, :, ::2, ::2].permute(0, 3, 1, 2),
        "channels last": X.contiguous(memory_format=torch.channels_last),
        "flipped twice": X.flip(3).flip(3),
        "negated": torch.complex(torch.zeros_like(X), -X).conj().imag,
        "inference": inference,
        "wants gradients": X.clone().requires_grad_(),
        "in a graph": X.clone().requires_grad_() * 1,
        "parameter": torch.nn.Parameter(X.clone()),
    }
    assert forms["negated"].is_neg()
    for name, form in forms.items():
        assert torch.allclose(foveal.explain(net, form, 0).map, expected, atol=1e-6), name
    row = X[:1].expand(3, -1, -1, -1)
    assert torch.allclose(foveal.explain(net, row, 0).map, expected[:1].expand(3, -1, -1), atol=1e-6)
    one = X[0].permute(1, 2, 0).mul(255).round().to(torch.uint8).permute(2, 0, 1)
    assert torch.equal(load_images(one, SMALL).tensor, load_images(one.contiguous(), SMALL).tensor)


def selfish() -> list[Any]:
    holder: list[Any] = []
    holder.append(holder)
    return holder


class Bytes(os.PathLike[bytes]):
    def __fspath__(self) -> bytes:
        return b"nowhere.png"


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (selfish(), "lists in lists"),
        ({"a.png", "b.png"}, "set: .* a set has no order"),
        (frozenset(["a.png"]), "no order"),
        ({"a.png": 1}.keys(), "no order"),
        (memoryview(b"abc"), "memoryview"),
        (bytearray(b"abc"), "bytearray"),
        (5, "int"),
        (None, "NoneType"),
        ([None], "NoneType"),
        (object(), "object"),
        (Image.Image, "type|ABC|metaclass|an image"),
        ("a\0b.png", "null"),
        ("x" * 5000, "name too long"),
        (f"{'y/' * 3000}a.png", "name too long"),
        (Bytes(), "no such file"),
        ("", "folder"),
        (np.ma.masked_array(np.zeros((4, 4), np.uint8), np.eye(4)), "masked"),
        (np.array([[object()]]), "object"),
        (np.zeros((4, 4), "M8[s]"), "datetime64"),
        (np.array(5), "array"),
        (Image.new("RGB", (0, 5)), "no pixels"),
    ],
)
def test_what_is_no_picture(images: Any, words: str) -> None:
    refused(images, words)


def test_generators_and_iterators_are_lists() -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    assert len(load_images(iter([picture, [picture, (picture,)]]), SMALL).photos) == 3


def test_pil_images_that_cannot_be_read(tmp_path: Path) -> None:
    whole = tmp_path / "a.png"
    Image.effect_noise((300, 300), 60).save(whole)
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with Image.open(tmp_path / "cut.png") as cut:
        refused(cut, "PIL image .*cut.png.*truncated")
    closed = Image.open(whole)
    closed.close()
    refused(closed, "PIL image")
    gone = Image.new("RGB", (4, 4))
    gone.close()
    refused(gone, "PIL image")


@pytest.fixture
def odd_files(tmp_path: Path) -> Iterator[dict[str, Path]]:
    """A named pipe, a device, a socket, a folder, and a file of a terabyte that holds nothing."""
    files = {name: tmp_path / f"{name}.png" for name in ("pipe", "socket", "folder", "huge", "link")}
    os.mkfifo(files["pipe"])
    files["folder"].mkdir()
    files["link"].symlink_to("/dev/zero")
    with files["huge"].open("wb") as file:
        file.truncate(2**40)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(files["socket"]))
    yield {**files, "device": Path("/dev/zero")}
    listener.close()


@pytest.mark.timeout(20)
def test_files_that_are_no_regular_files_are_refused_at_once(odd_files: dict[str, Path]) -> None:
    words = {"pipe": "named pipe", "socket": "socket|No such device", "folder": "folder", "huge": "bytes",
             "device": "device", "link": "device"}  # fmt: skip
    for name, path in odd_files.items():
        refused(path, words[name])


def test_sources_are_fit_to_print(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9 \x1b[2J\n\xff.png")
    Image.new("RGB", (8, 8)).save(tmp_path / name)
    (photo,) = load_images(tmp_path / name, SMALL).photos
    assert photo.source.endswith("caf\\udce9 \\x1b[2J\\n\\udcff.png")
    assert photo.source.encode("utf-8") and photo.source.isprintable()
    with pytest.raises(ImageError) as caught:
        load_images(tmp_path / (name + "x"), SMALL)
    assert str(caught.value).isprintable()


def test_a_file_is_not_mistaken_for_a_tensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("tensor", "PNG")
    assert load_images("tensor", SMALL).photos[0].source == "./tensor"
