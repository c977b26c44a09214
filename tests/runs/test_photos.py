"""Rows opened again: where the photos were, where they lie now, and of signals."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import foveal
from foveal.errors import ImageError, ResultError
from tests.runs.photos import drawn, ran


def test_members_of_tars_are_opened_again_also_where_they_were_moved(tmp_path: Path) -> None:
    photos = drawn(tmp_path / "photos", 6)
    names = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.png"))
    (there := tmp_path / "there").mkdir()
    with tarfile.open(there / "a.tar", "w") as file:
        for name in names:
            file.add(photos / name, name)
    run = ran(there / "a.tar", tmp_path / "run")
    plain = ran(photos, tmp_path / "plain")
    assert run["uri"].tolist() == [f"a.tar/{name}" for name in names] and torch.equal(run.maps(), plain.maps())
    why = run[4]
    assert (
        np.array_equal(why.photos[0].pixels, plain[4].photos[0].pixels) and why.photos[0].source == f"a.tar/{names[4]}"
    )
    picture = run.picture(4)
    assert isinstance(picture, io.BytesIO) and picture.read() == (photos / names[4]).read_bytes()
    there.rename(tmp_path / "moved")
    with pytest.raises(ImageError, match=r"Cannot read 'a\.tar/a/04\.png': No such file"):
        run[2]
    moved = foveal.Run.load(tmp_path / "run", root=tmp_path / "moved")
    assert np.array_equal(moved[4].photos[0].pixels, why.photos[0].pixels)
    assert len(ran(tmp_path / "moved" / "a.tar", tmp_path / "run")) == 6  # goes on: the same pictures
    assert foveal.Run.load(tmp_path / "run")[4].photos[0].source == f"a.tar/{names[4]}"
    with pytest.raises(ResultError, match="there is no such folder"):
        foveal.Run.load(tmp_path / "run", root=tmp_path / "nowhere")


def test_a_folder_that_was_moved(tmp_path: Path) -> None:
    photos = drawn(tmp_path / "photos", 3)
    run = ran(photos, tmp_path / "run")
    pixels = run[1].photos[0].pixels
    photos.rename(tmp_path / "moved")
    again = foveal.Run.load(tmp_path / "run", tmp_path / "moved")
    assert np.array_equal(again[1].photos[0].pixels, pixels) and again[:2].figure().size[0] > 100


def test_rows_of_signals_are_opened_again(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv1d(1, 4, 5, 2, 2), nn.ReLU(), nn.Conv1d(4, 8, 5, 2, 2), nn.ReLU(), nn.AdaptiveAvgPool1d(1),
        nn.Flatten(), nn.Linear(8, 3),
    ).eval()  # fmt: skip
    files = [tmp_path / f"{k}.npy" for k in range(3)]
    for file in files:
        np.save(file, np.random.default_rng(len(str(file))).normal(size=(1, 64)).astype(np.float32))
    run = ran(files, tmp_path / "run", model=module, method="hirescam", maps="float32", contributions=True)
    assert np.allclose(run.contributions().sum(1), run.maps().sum(1), atol=1e-5)
    why = foveal.explain(module, [str(file) for file in files], method="hirescam")
    for k in range(3):
        again = run[k]
        assert torch.allclose(again.map, why.map[k : k + 1], atol=1e-6) and again.where == why.where
        assert (
            again.figure().size == why[k].figure().size if hasattr(why, "__getitem__") else again.figure().size[0] > 50
        )
    assert run.figure().size[0] > 100
