"""Code, names and descriptions of strangers: they build a network, or are refused in one sentence."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

import foveal
from foveal.cli.app import app
from foveal.errors import ModelError
from foveal.images import Preprocessing
from foveal.models import Model, load_model, read_labels, save_model
from tests.models.factories import Net, described, transformer

FACTORIES = str(Path(__file__).with_name("factories.py"))


def refusal(spec: str | Path, **options: Any) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(spec, **options)
    message = str(caught.value)
    assert message.isprintable() and len(message) < 600
    return message


# --- factories ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("exits", "SystemExit: no network today"),
        ("stops", "GeneratorExit"),
        ("raises_its_own", r"Own: \x1b[31mred"),
        ("junk_model", "whose module is 'no module'"),
        ("nothing", "returned a NoneType"),
        ("unspeakable", "returned a Unspeakable"),
    ],
)
def test_factories_that_do_as_they_like(name: str, words: str) -> None:
    assert words in refusal(f"{FACTORIES}:{name}")


@pytest.mark.parametrize(
    "text",
    [
        "import sys; sys.exit(3)",
        "raise SystemExit",
        "raise BaseException('x')",
        "def f(:",
        "\0",
        "1/0",
        "import os; os.nothing",
        "def __getattr__(name): raise ValueError('\x1b[2J')",
        "x = " + "(" * 300 + ")" * 300,
    ],
)
def test_files_that_do_as_they_like(text: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(text)
    refusal(f"{tmp_path}/net.py:f")


def test_an_interrupt_gets_through(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("def f():\n    raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load_model(f"{tmp_path}/net.py:f")
    (tmp_path / "now.py").write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load_model(f"{tmp_path}/now.py:f")


def test_what_a_model_prints_is_no_answer(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    words = ["explain", str(tmp_path / "a.png"), "-m", f"{FACTORIES}:talks", "-o", str(tmp_path / "out")]
    plain = CliRunner().invoke(app, words)
    assert plain.exit_code == 0 and plain.stdout.count("\n") == 1 and Path(plain.stdout.strip()).exists()
    assert "forward!" in plain.stderr
    assert json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)[0]["method"] == "gradcam"


# --- names of classes that a network carries -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "labels"),
    [
        ({0: "a", 1: "b", 2: "c"}, ("a", "b", "c")),
        ({"0": "a", "1": "b", "2": "c"}, ("a", "b", "c")),
        ({2: "c", 0: "a", 1: "b"}, ("a", "b", "c")),
        ({0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}, None),
        ({0: "LABEL_0", 1: "b", 2: "LABEL_2"}, ("LABEL_0", "b", "LABEL_2")),
        ({0: "a", 1: "b"}, None),
        ({0: "a", 1: "b", 2: "c", 3: "d"}, None),
        ({1: "a", 2: "b", 3: "c"}, None),
        ({0: "a", "0": "b", 2: "c"}, None),
        ({0: "a", 1: 5, 2: "c"}, None),
        ({0: "a", 1: "\ud800", 2: "c"}, None),
        ({"²": "a", 1: "b", 2: "c"}, None),
        ({}, None),
        (["a", "b", "c"], None),
        ("abc", None),
    ],
)
def test_id2label(given: object, labels: tuple[str, ...] | None) -> None:
    net = transformer(given).eval()
    x = torch.randn(1, 1, 8, 8)
    words = foveal.explain(net, x, 2).target[0]
    assert words == (f"{labels[2]} (2)" if labels else "output 2")
    if labels:
        assert torch.equal(foveal.explain(net, x, labels[1]).map, foveal.explain(net, x, 1).map)
    mine = foveal.explain(net, x, 2, labels=["x", "y", "z"])
    assert mine.target == ("z (2)",)


def test_a_factory_of_a_transformer_has_its_names() -> None:
    assert load_model(f"{FACTORIES}:transformer").labels == ("cockle", "limpet", "whelk")
    assert load_model(f"{FACTORIES}:transformer", labels=["a", "b", "c"]).labels == ("a", "b", "c")
    assert load_model(f"{FACTORIES}:Net").labels is None


# --- models -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"module": 5}, {"module": Net}, {"name": None}, {"preprocessing": "imagenet"}, {"preprocessing": {"size": 8}},
        {"labels": "abc"}, {"labels": {0: "a"}}, {"labels": [1, 2]}, {"card": 5}, {"card": ["a"]},
    ],
)  # fmt: skip
def test_a_model_checks_its_fields(fields: dict[str, Any]) -> None:
    with pytest.raises(ModelError):
        Model(**{"module": Net(), "name": "net", **fields})


def test_notes_of_any_kind_are_notes() -> None:
    for notes, expected in (("one", ("one",)), (["a", "b"], ("a", "b")), (5, ("5",)), ((), ())):
        assert Model(Net(), "net", card={"notes": notes}).notes == expected


# --- sidecars -----------------------------------------------------------------------------------------------


@pytest.fixture
def shells(tmp_path: Path) -> Path:
    return save_model(described(), tmp_path / "shells.safetensors", architecture="foveal.synthetic.network:Small")


def described_as(shells: Path, text: str) -> str:
    shells.with_suffix(".json").write_text(text, encoding="utf-8")
    return refusal(shells)


@pytest.mark.parametrize(
    "fields",
    [
        {"card": {"notes": 5}},
        {"card": {"notes": "abc"}},
        {"card": {"notes": [1]}},
        {"card": 5},
        {"arguments": {"classes": 10**400}},
        {"arguments": {"num_classes": -1}},
        {"arguments": {"\x1b[2J": 1}},
        {"arguments": [1]},
        {"preprocessing": {"size": [10**400, 8]}},
        {"preprocessing": {"size": [40_000, 8]}},
        {"preprocessing": {"size": [8, 8], "resize_to": 10**300}},
        {"preprocessing": {"size": [8, 8], "mean": [10**400, 0, 0]}},
        {"preprocessing": {"size": [8, 8], "mean": [1e308, 0, 0]}},
        {"preprocessing": {"size": [8, 8], "std": [1e-320, 1, 1]}},
        {"preprocessing": {"size": [8, 8], "resize": ["short"]}},
        {"preprocessing": {"size": [8, 8], "channels": {}}},
        {"preprocessing": {"size": "88"}},
        {"preprocessing": [8, 8]},
        {"preprocessing": 5},
        {"name": "\ud800"},
        {"name": 5},
        {"name": ""},
        {"labels": ["a", "\udfff"]},
        {"labels": [["a"]]},
        {"architecture": "foveal..x:y"},
        {"architecture": ":"},
        {"architecture": "timm:\0"},
        {"format": "foveal-model/2"},
    ],
)
def test_fields_that_are_wrong(fields: dict[str, Any], shells: Path) -> None:
    known = json.loads(shells.with_suffix(".json").read_text())
    known.pop("digest", None)
    described_as(shells, json.dumps({**known, **fields}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "5",
        "null",
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"labels": ' + "[" * 100_000,
        "1" * 5000,
        "\ufeff",
        "NaN",
    ],
)
def test_texts_that_are_no_sidecar(text: str, shells: Path) -> None:
    described_as(shells, text)


@pytest.fixture
def odd_files(tmp_path: Path) -> Iterator[dict[str, Path]]:
    files = {name: tmp_path / f"odd-{name}" for name in ("pipe", "socket", "folder", "huge", "device")}
    os.mkfifo(files["pipe"])
    files["folder"].mkdir()
    files["device"].symlink_to("/dev/zero")
    with files["huge"].open("wb") as file:
        file.truncate(2**40)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(files["socket"]))
    yield files
    listener.close()


@pytest.mark.timeout(30)
def test_no_reader_waits_or_fills_the_memory(odd_files: dict[str, Path], shells: Path, tmp_path: Path) -> None:
    sidecar = shells.with_suffix(".json")
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    for path in odd_files.values():
        with pytest.raises(ModelError, match="Cannot read labels"):
            read_labels(path)
        for option in ("--preprocessing", "--labels", "--weights"):
            words = ["explain", str(tmp_path / "a.png"), "-m", f"{FACTORIES}:Net", option, str(path)]
            done = CliRunner().invoke(app, words)
            assert done.exit_code == 1 and "unexpected error" not in done.stderr and done.stderr.count("\n") == 1
        sidecar.unlink()
        path.rename(sidecar)
        refusal(shells)
        if not sidecar.is_dir():
            load_model(f"{FACTORIES}:described", weights=_net(tmp_path))
        sidecar.rename(path)
        sidecar.write_text("{}")


def _net(tmp_path: Path) -> Path:
    torch.save(Net().state_dict(), tmp_path / "shells.pth")
    return tmp_path / "shells.pth"


# --- labels and preprocessing --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"[",
        b'["a", 1]',
        b"[" * 100_000,
        b'["\\ud800"]',
        b"\xff\xfe\x00",
        b"a\0b",
        b'[["a"]]',
        b'["a"] x',
        b"[1" * 9,
    ],
)
def test_labels_that_are_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_labels(tmp_path / "labels.txt")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 500


def test_labels_keep_what_is_in_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes("\ufeffa\u2028b\r\n c \x0b\n\nd\n".encode())
    assert read_labels(path) == ("a\u2028b", "c", "", "d")
    for missing in ("a\0b", "x" * 5000, str(tmp_path / "nowhere")):
        with pytest.raises(ModelError, match="Cannot read labels"):
            read_labels(missing)


def test_preprocessing_checks_its_fields() -> None:
    for wrong in ([8, 8], "x", 5, None, {1: 2, "size": [8, 8]}, {"size": [8, 8], "\x1b": 1}):
        with pytest.raises(foveal.FovealError) as caught:
            Preprocessing.from_dict(wrong)  # type: ignore[arg-type]
        assert str(caught.value).isprintable()
    assert Preprocessing((32768, 1)).size == (32768, 1)
    with pytest.raises(foveal.FovealError, match="up to 32768"):
        Preprocessing((32769, 1))


def test_modules_that_name_themselves_oddly() -> None:
    class Odd(nn.Sequential):
        kind: type[Exception] = AttributeError

        @property
        def config(self) -> Any:
            raise self.kind("no configuration")

    net = Odd(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
    for kind in (AttributeError, RuntimeError, KeyError):
        net.kind = kind
        assert foveal.explain(net, torch.randn(1, 3, 8, 8), 1).target == ("output 1",)
