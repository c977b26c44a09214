"""State dicts: every way a file can disappoint, one sentence each; every way a trainer nests and prefixes them."""

from __future__ import annotations

import argparse
import math
import os
import pickle
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from foveal.errors import ModelError
from foveal.models import load_model
from foveal.models.weight_files import fill, head_size, read_state
from tests.models.factories import Net


def network(classes: int = 3) -> nn.Sequential:
    conv, bn, head = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, classes)
    return nn.Sequential(OrderedDict(conv=conv, bn=bn, flat=nn.Flatten(), head=head))


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def refusal(path: Path) -> str:
    """The one sentence with which reading fails."""
    with pytest.raises(ModelError) as caught:
        read_state(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message and len(message) < 400
    return message


NESTINGS: dict[str, Any] = {
    "plain": lambda state: state,
    "state_dict": lambda state: {"epoch": 3, "state_dict": state},
    "model": lambda state: {"model": state, "args": argparse.Namespace(lr=0.1)},
    "twice": lambda state: {"model": {"state_dict": state}},
    "parallel": lambda state: {f"module.{k}": v for k, v in state.items()},
    "compiled": lambda state: {f"_orig_mod.{k}": v for k, v in state.items()},
    "lightning": lambda state: {
        "state_dict": {f"net.{k}": v for k, v in state.items()} | {"loss.weight": torch.ones(3)}
    },
    "deep": lambda state: {"state_dict": {f"module.model.{k}": v for k, v in state.items()}},
    "old": lambda state: {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")},
}


@pytest.mark.parametrize("nesting", NESTINGS)
def test_every_nesting_gives_the_same_network(tmp_path: Path, nesting: str) -> None:
    torch.manual_seed(0)
    trained, path = network(), tmp_path / "net.pth"
    torch.save(NESTINGS[nesting](dict(trained.state_dict())), path)
    torch.manual_seed(1)
    fresh = network()
    assert not same(fresh, trained)
    fill(fresh, read_state(path), path)
    assert same(fresh, trained)


def test_half_precision_is_cast_up(tmp_path: Path) -> None:
    trained, path = network(), tmp_path / "net.safetensors"
    save_file({k: v.half() if v.is_floating_point() else v for k, v in trained.state_dict().items()}, path)
    fresh = network()
    fill(fresh, read_state(path), path)
    assert fresh.conv.weight.dtype == torch.float32
    assert torch.equal(fresh.conv.weight, trained.conv.weight.half().float())


def test_a_network_kept_twice_is_ambiguous(tmp_path: Path) -> None:
    path, own = tmp_path / "net.pth", network().state_dict()
    both = {f"{who}.{k}": v for who in ("student", "teacher") for k, v in own.items()}
    with pytest.raises(ModelError, match=r"2 times, as student\., teacher\."):
        fill(network(), both, path)


class Hostile:
    """Leaves a file behind if it is ever unpickled."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.witness}",)


@pytest.mark.parametrize("save", [torch.save, lambda saved, path: path.write_bytes(pickle.dumps(saved))])
def test_a_hostile_pickle_is_refused_and_not_run(tmp_path: Path, save: Any) -> None:
    witness, path = tmp_path / "witness", tmp_path / "net.pth"
    save({"state_dict": Hostile(witness)}, path)
    assert "system" in refusal(path) or "damaged" in refusal(path)
    assert not witness.exists()


def test_a_whole_pickled_module_says_to_save_the_state_dict(tmp_path: Path) -> None:
    torch.save(network(), tmp_path / "net.pt")
    assert "state_dict()" in refusal(tmp_path / "net.pt")


@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
def test_what_is_no_file_of_weights(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert "No such file" in refusal(path)
    path.write_bytes(b"")
    assert "empty" in refusal(path)
    path.write_text("\n<!DOCTYPE html><html><body>404</body></html>")
    assert "web page" in refusal(path)
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    assert "git lfs pull" in refusal(path)
    path.unlink()
    path.mkdir()
    assert "folder" in refusal(path)


def test_other_contents(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save([torch.ones(2)], path)
    assert "holds a list" in refusal(path)
    torch.save({"epoch": 3, "loss": 0.5}, path)
    assert "no weights in it, only 'epoch', 'loss'" in refusal(path)
    torch.save({"state_dict": {}}, path)
    assert "no weights in it" in refusal(path)
    (tmp_path / "net.onnx").write_bytes(b"some bytes")
    assert "end in .safetensors" in refusal(tmp_path / "net.onnx")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_truncated_anywhere(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net{suffix}"
    state = network().state_dict()
    save_file(dict(state), path) if suffix == ".safetensors" else torch.save(state, path)
    whole = path.read_bytes()
    for kept in range(1, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:kept])
        refusal(path)


@settings(max_examples=150, deadline=None)
@given(
    start=st.sampled_from([b"", b"PK\x03\x04", b"\x80\x02}q\x00", b"\x80\x02c", b"\x10" + bytes(7)]),
    rest=st.binary(max_size=80),
)
def test_garbage_is_one_sentence(tmp_path_factory: pytest.TempPathFactory, start: bytes, rest: bytes) -> None:
    folder = tmp_path_factory.mktemp("garbage")
    for name in ("net.pth", "net.safetensors"):
        path = folder / name
        path.write_bytes(start + rest)
        try:
            read_state(path)
        except ModelError as error:
            assert "\n" not in str(error)


def test_a_misfit_names_the_first_parameters(tmp_path: Path) -> None:
    path, state = tmp_path / "net.pth", dict(network().state_dict())
    state["head2.weight"] = state.pop("head.weight")
    state["conv.bias"] = torch.ones(7)
    with pytest.raises(ModelError) as caught:
        fill(network(), state, path)
    assert "head.weight missing" in str(caught.value)
    assert "head2.weight unknown" in str(caught.value)
    assert "conv.bias is (7,) in the file and (2,) in the network" in str(caught.value)


def test_another_architecture_does_not_flood_the_reader() -> None:
    with pytest.raises(ModelError, match="more") as caught:
        fill(network(), {f"blocks.{i}.weight": torch.ones(1) for i in range(500)}, Path("net.pth"))
    assert len(str(caught.value)) < 400


def test_head_size() -> None:
    path = Path("net.pth")
    assert head_size(network(), network().state_dict(), path) is None
    assert head_size(network(), network(7).state_dict(), path) == 7
    wider = dict(network(7).state_dict())
    wider["conv.weight"] = torch.ones(2, 3, 3, 3)
    assert head_size(network(), wider, path) is None, "a network of color pictures is another network"


# --- numbers of another kind ---------------------------------------------------------------------------------


def poured(state: dict[str, torch.Tensor], tmp_path: Path, *, own: nn.Module | None = None) -> nn.Module:
    path, fresh = tmp_path / "net.pth", own or network()
    torch.save(state, path)
    fill(fresh, read_state(path), path)
    return fresh


KINDS: dict[str, Any] = {
    "int32": lambda t: t.to(torch.int32),
    "int8": lambda t: (t * 100).to(torch.int8),
    "uint8": lambda t: (t * 100).to(torch.uint8),
    "bool": lambda t: t > 0,
    "complex64": lambda t: t.to(torch.complex64),
    "float8_e4m3fn": lambda t: t.to(torch.float8_e4m3fn),
    "float8_e5m2": lambda t: t.to(torch.float8_e5m2),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["conv.weight", "head.bias", "bn.running_var"])
def test_weights_of_another_kind_are_refused_by_name(kind: str, name: str, tmp_path: Path) -> None:
    state = dict(network().state_dict())
    state[name] = KINDS[kind](state[name])
    with pytest.raises(ModelError, match=rf"{name} is {kind} in the file and float32 in the network"):
        poured(state, tmp_path)


def test_weights_that_overflow_or_are_cut_off_are_refused(tmp_path: Path) -> None:
    state = dict(network().state_dict())
    with pytest.raises(ModelError, match=r"head\.weight has values in the file"):
        poured({**state, "head.weight": torch.full((3, 2), 1e300, dtype=torch.float64)}, tmp_path)
    with pytest.raises(ModelError, match=r"conv\.weight has values in the file"):
        poured({**state, "conv.weight": torch.full((2, 1, 3, 3), 1e6)}, tmp_path, own=network().half())
    with pytest.raises(ModelError, match="num_batches_tracked has values in the file"):
        poured({**state, "bn.num_batches_tracked": torch.tensor(1.5)}, tmp_path)
    plain = {k: v.double() for k, v in state.items()}
    assert same(poured(plain, tmp_path), poured(state, tmp_path))


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda t: t.to("meta"), "without values"),
        (lambda t: t.to_sparse(), "sparse"),
        (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), "quantized"),
    ],
)
def test_tensors_without_ordinary_numbers_are_refused(made: Any, words: str, tmp_path: Path) -> None:
    state = dict(network().state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        state["head.weight"] = made(state["head.weight"])
        with pytest.raises(ModelError, match=rf"head.weight is {words}|more than weights"):
            poured(state, tmp_path)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_no_numbers_are_remarked_on(value: float, tmp_path: Path) -> None:
    module = Net()
    module.conv.weight.data[0, 0, 0, 0] = value
    torch.save(module.state_dict(), tmp_path / "net.pth")
    model = load_model("tests.models.factories:Net", weights=tmp_path / "net.pth")
    assert model.notes == ("conv.weight has values that are infinite or NaN",)
    assert load_model("tests.models.factories:Net").notes == ()


def test_a_checkpoint_that_holds_itself(tmp_path: Path) -> None:
    endless: dict[str, Any] = {}
    endless["model"] = endless
    torch.save(endless, tmp_path / "net.pth")
    assert "at every level" in refusal(tmp_path / "net.pth")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_no_regular_file_is_refused_at_once(suffix: str, tmp_path: Path) -> None:
    for kind in ("pipe", "device", "huge", "long", "nul"):
        path = tmp_path / f"{kind}{suffix}"
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "device":
            path.symlink_to("/dev/zero")
        elif kind == "huge":
            with path.open("wb") as file:
                file.truncate(2**40)
        elif kind == "long":
            path = tmp_path / ("x" * 5000 + suffix)
        else:
            path = tmp_path / f"a\0b{suffix}"
        with pytest.raises(ModelError) as caught:
            read_state(path)
        assert str(caught.value).isprintable()
