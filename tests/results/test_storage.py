from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from foveal.errors import ResultError
from foveal.results import Explanation
from tests.results.test_explanation import explanation


def assert_same(a: Explanation, b: Explanation) -> None:
    assert a.layers == b.layers
    for layer in a.layers:
        assert a.maps[layer].dtype == b.maps[layer].dtype
        assert torch.equal(a.maps[layer].nan_to_num(9), b.maps[layer].nan_to_num(9))
    for mine, yours in zip(a.photos, b.photos, strict=True):
        np.testing.assert_array_equal(mine.pixels, yours.pixels)
        assert (mine.geometry, mine.source, mine.notes) == (yours.geometry, yours.source, yours.notes)
    for name in ("score", "probability"):
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None) and (x is None or (x.dtype == y.dtype and x.tolist() == y.tolist()))
    for name in ("target", "target_spec", "method", "parameters", "model", "notes", "seconds", "versions"):
        assert getattr(a, name) == getattr(b, name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_everything_comes_back(dtype: torch.dtype, tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(1)
    why = explanation(
        maps={name: torch.randn(2, 3, 5, generator=draw).to(dtype) for name in ("file", "a.b/c", "später", "")},
        score=torch.rand(2, dtype=torch.float64, generator=draw),
        parameters={"seed": 3, "names": ["x", None], "deep": {"a": True}},
        target=("中 a − b", "jay"),
    )
    saved = why.save(tmp_path / "new" / "out")
    assert_same(Explanation.load(saved), why)


def test_what_is_not_finite_comes_back_too(tmp_path: Path) -> None:
    why = explanation(
        maps={"a": torch.tensor([[[1.0, torch.nan]], [[torch.inf, 0.0]]])},
        score=torch.tensor([torch.inf, -torch.inf]),
        probability=None,
    )
    assert_same(Explanation.load(why.save(tmp_path / "out")), why)


def test_the_files_are_what_a_person_expects(tmp_path: Path) -> None:
    why = explanation(photos=tuple(_named(p, f"some/bird {i}.jpg") for i, p in enumerate(explanation().photos)))
    why.save(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "0-bird_0-early.png", "0-bird_0-late.png", "0-bird_0.png",
        "1-bird_1-early.png", "1-bird_1-late.png", "1-bird_1.png",
        "manifest.json", "maps.npz",
    ]  # fmt: skip
    with np.load(tmp_path / "out" / "maps.npz") as maps:
        np.testing.assert_array_equal(maps["late"], why.map.numpy())
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["method"] == "gradcam" and manifest["score"]["values"] == [1.5, -2.0]
    with Image.open(tmp_path / "out" / "0-bird_0-late.png") as overlay:
        np.testing.assert_array_equal(np.asarray(overlay), np.asarray(why.overlay(0)))


def test_one_picture_needs_no_number(tmp_path: Path) -> None:
    folder = explanation()[0].save(tmp_path / "out")
    assert {path.name for path in folder.glob("*.png")} == {"array.png", "array-early.png", "array-late.png"}


def test_layers_that_differ_only_in_punctuation_keep_their_overlays(tmp_path: Path) -> None:
    maps = {"a/b": torch.rand(2, 2, 2), "a:b": torch.rand(2, 2, 2)}
    folder = explanation(maps=maps).save(tmp_path / "out")
    listed = json.loads((folder / "manifest.json").read_text())["overlays"]
    assert len({overlay["file"] for overlay in listed}) == 4


def _named(photo: Any, source: str) -> Any:
    return type(photo)(photo.pixels, photo.geometry, source, photo.notes)


def test_saving_again_replaces_the_earlier_result_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    explanation().save(out)
    (out / "mine.txt").write_text("keep me")
    one = explanation()[1]
    one.save(out)
    assert_same(Explanation.load(out), one)
    assert (out / "mine.txt").read_text() == "keep me"
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["array.png", "array-early.png", "array-late.png", "maps.npz", "manifest.json", "mine.txt"]
    )
    assert [path.name for path in tmp_path.iterdir()] == ["out"]  # nothing left aside


@pytest.mark.parametrize("name", ["maps.npz", "manifest.json"])
def test_a_strangers_file_is_never_overwritten(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text('{"format": "something else"}')
    with pytest.raises(ResultError, match=f"'{name}' there was not written by foveal"):
        explanation().save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert "something else" in (tmp_path / name).read_text()


def test_a_manifest_cannot_point_outside_of_its_folder(tmp_path: Path) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside.txt"
    explanation().save(out)
    outside.write_text("keep me")
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["files"]["../outside.txt"] = "0"
    manifest["photos"][0]["file"] = "../outside.txt"
    (out / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ResultError, match="does not list"):
        Explanation.load(out)
    explanation().save(out)
    assert outside.read_text() == "keep me"


def test_saving_into_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResultError, match="it is a file; name another folder"):
        explanation().save(tmp_path / "file")


def test_what_is_no_plain_data_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="a parameter is not plain data"):
        explanation(parameters={"f": print}).save(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_save_leaves_the_earlier_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    why = explanation()
    why.save(out)

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("foveal.results.result.write_manifest", interrupted)
    with pytest.raises(KeyboardInterrupt):
        explanation(notes=("other",)).save(out)
    assert_same(Explanation.load(out), why)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_folders_without_a_result(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="no such folder"):
        Explanation.load(tmp_path / "nowhere")
    with pytest.raises(ResultError, match=r"no manifest\.json"):
        Explanation.load(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": "foveal-match/1"}')
    with pytest.raises(ResultError, match="its format is 'foveal-match/1', not 'foveal-explanation/1'"):
        Explanation.load(tmp_path)


@pytest.mark.parametrize("name", ["maps.npz", "0-array.png"])
@pytest.mark.parametrize("damage", ["cut", "changed", "missing"])
def test_damaged_files_are_noticed(name: str, damage: str, tmp_path: Path) -> None:
    folder = explanation().save(tmp_path / "out")
    path = folder / name
    content = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content if damage == "changed" else content[:-1])
    with pytest.raises(ResultError, match=r"missing\.$" if damage == "missing" else "changed or cut"):
        Explanation.load(folder)


@pytest.mark.parametrize("key", ["layers", "photos", "target", "score", "seconds", "versions", "files"])
def test_a_manifest_that_lost_or_garbled_a_field(key: str, tmp_path: Path) -> None:
    folder = explanation().save(tmp_path / "out")
    manifest = json.loads((folder / "manifest.json").read_text())
    for broken in (
        {k: v for k, v in manifest.items() if k != key},
        {**manifest, key: [{}]},
        {**manifest, key: 3} if key != "seconds" else {**manifest, key: "soon"},
    ):
        (folder / "manifest.json").write_text(json.dumps(broken))
        if key == "versions" and key in broken:
            continue  # any value would do
        with pytest.raises(ResultError, match="Cannot load") as caught:
            Explanation.load(folder)
        assert "\n" not in str(caught.value)


def test_a_truncated_manifest(tmp_path: Path) -> None:
    folder = explanation().save(tmp_path / "out")
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text[: len(text) // 2])
    with pytest.raises(ResultError, match="bad manifest"):
        Explanation.load(folder)
