"""Weights and sidecar change together: whenever the writer is killed, what is loaded belongs together."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

import foveal
from foveal.errors import ModelError
from foveal.models import Model, save_model
from foveal.models.pairing import described
from foveal.models.weight_files import read_state
from tests.storage.crashing import killed_after, killed_at, kills, left_over, moments, together


def model(value: float) -> Model:
    net = nn.Linear(30, 30)
    nn.init.constant_(net.weight, value)
    return Model(net, f"net {value}", None, tuple(f"{value} {i}" for i in range(30)))


def save(path: Path, value: float) -> None:
    save_model(model(value), path, architecture="torch.nn:Linear", arguments={"in_features": 30, "out_features": 30})


def saved(path: Path) -> float | None:
    """The value of the weights, and the labels of the same; None where nothing is saved."""
    if not path.exists():
        return None
    value = float(read_state(path)["weight"].unique())
    sidecar = described(path)
    assert sidecar is not None and sidecar.name == f"net {value}" and sidecar.labels is not None
    assert sidecar.labels[7] == f"{value} 7"
    return value


def test_killed_at_any_step_weights_and_labels_belong_together(tmp_path: Path) -> None:
    path, step, killed = tmp_path / "old" / "net.safetensors", 0, True
    save(path, 0.0)
    while killed:
        new, now = tmp_path / f"{step}" / "net.safetensors", saved(path)
        assert now is not None
        killed = killed_at(step, partial(save, path, now + 1)) | killed_at(step, partial(save, new, 5.0))
        assert saved(path) in (now, now + 1) and saved(new) in (None, 5.0)
        save(path, now + 2)
        save(new, 6.0)
        assert (saved(path), saved(new)) == (now + 2, 6.0) and "before" not in json.loads(
            path.with_suffix(".json").read_text()
        )
        step += 1
    assert step > 20 and not left_over(tmp_path)


def test_killed_at_random_moments(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"

    def write() -> None:
        for value in range(10_000):
            save(path, float(value))

    for seconds in moments(kills(5), 0, 0.2):
        killed_after(0.01 + seconds, write)
        saved(path)
    save(path, 0.5)
    assert saved(path) == 0.5 and not left_over(tmp_path)


def test_writers_at_once_leave_a_pair(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"

    def write(first: float) -> None:
        for k in range(15):
            save(path, first + k)
            saved_or_replaced(path)

    def saved_or_replaced(path: Path) -> None:
        assert described(path) is not None

    assert together(*(partial(write, first) for first in (0.0, 100.0, 200.0))) == [0, 0, 0]
    assert saved(path) in (14.0, 114.0, 214.0)


DEMO = "foveal.synthetic.network:DemoNet"


def demo(path: Path, name: str, *, shift: float = 0.0) -> Path:
    changed = replace(foveal.load_model("demo"), name=name)
    with torch.no_grad():
        changed.module.head.bias[-1] += shift
    return save_model(changed, path, architecture=DEMO)


def test_new_weights_under_an_old_sidecar_are_refused(tmp_path: Path) -> None:
    one, other = demo(tmp_path / "a.safetensors", "a"), tmp_path / "b.safetensors"
    assert foveal.load_model(one).name == "a"
    changed = foveal.load_model("demo")
    with torch.no_grad():
        changed.module.head.bias[-1] += 1
    save_model(changed, other, architecture="foveal.synthetic.network:DemoNet")
    one.write_bytes(other.read_bytes())
    for ask in (
        partial(foveal.load_model, one),
        partial(foveal.load_model, "foveal.synthetic.network:DemoNet", weights=one),
    ):
        with pytest.raises(ModelError, match=r"are not those that a\.json was written with: save both again"):
            ask()
    told = json.loads(one.with_suffix(".json").read_text())
    del told["digest"]  # as the sentence says, and as sidecars written by hand are
    one.with_suffix(".json").write_text(json.dumps(told))
    assert foveal.load_model(one).name == "a"


def test_weights_without_a_sidecar_do_not_get_one_that_is_not_theirs(tmp_path: Path) -> None:
    """Killed between the new sidecar and the new weights, where there was no sidecar before."""
    path = demo(tmp_path / "a.safetensors", "a")
    path.with_suffix(".json").unlink()
    step = 0
    while killed_at(step, partial(demo, path, "b", shift=1.0)):
        sidecar = described(path)
        assert sidecar is None or sidecar.name == "b"
        if sidecar is None and path.with_suffix(".json").exists():
            with pytest.raises(ModelError, match="is of other weights"):
                foveal.load_model(path)
            assert foveal.load_model(DEMO, weights=path).labels is None
            break
        step += 1
    else:
        pytest.fail("there was no such moment")


@pytest.mark.parametrize("text", ["{}", "[1, 2]", "no json", '{"format": "theirs"}'])
def test_somebody_elses_file_is_no_sidecar(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ModelError, match=r"a\.json there is no sidecar"):
        save(tmp_path / "a.safetensors", 1.0)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"] and (tmp_path / "a.json").read_text() == text


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="Cannot write"):
        save(tmp_path / "file" / "a.safetensors", 1.0)
    (tmp_path / "b.json").write_text('{"format": "foveal-model/1", "name": 5}')  # ours, and damaged
    save(tmp_path / "b.safetensors", 1.0)
    assert saved(tmp_path / "b.safetensors") == 1.0


def test_bundled_networks_load_as_they_are() -> None:
    for name in ("demo", "embed", "parts"):
        assert foveal.load_model(name).name == name
