"""A data set explained: the same maps as picture by picture, whole or not at all, and gone on with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import foveal
from foveal.errors import FovealError, ImageError, ResultError, TargetError
from foveal.runs.table import class_rows
from foveal.storage.lock import alone
from foveal.targets import Labels
from tests.runs.photos import LABELS, drawn, network, parts, ran


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return drawn(tmp_path / "photos")


def files(photos: Path) -> list[str]:
    return sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.png"))


@pytest.mark.parametrize("target", [None, "b"])
def test_every_picture_is_explained_once_as_it_is_alone(target: str | None, photos: Path, tmp_path: Path) -> None:
    run = ran(photos, tmp_path / "run", target=target, maps="float32")
    assert run["id"].tolist() == list(range(20)) and run["uri"].tolist() == files(photos)
    assert run["label"].tolist() == [name[0] for name in files(photos)]
    scores = network().module(foveal.images.load_images(  # type: ignore[attr-defined]
        [str(photos / name) for name in files(photos)], network().preprocessing).tensor)  # fmt: skip
    assert run["predicted"].tolist() == [LABELS[k] for k in scores.argmax(1).tolist()]
    for i, name in enumerate(files(photos)):
        why = foveal.explain(network(), str(photos / name), target)
        assert torch.allclose(run.maps()[i], why.map[0], atol=1e-6) and run["target"][i] == why.target[0]
        assert run["score"][i] == pytest.approx(float(why.score[0]), abs=1e-6)  # type: ignore[index]
        assert run["probability"][i] == pytest.approx(float(why.probability[0]), abs=1e-6)  # type: ignore[index]
        again = run[i]
        assert torch.allclose(again.map, why.map, atol=1e-6) and again.where == why.where
        assert again.photos[0].geometry == why.photos[0].geometry and again.meaning == why.meaning
        assert again.overlay().size == why.overlay().size


def test_a_note_is_of_what_it_was_said_of(photos: Path, tmp_path: Path) -> None:
    run = ran(photos, tmp_path / "run", scales=(1.0, 0.5))
    together = "of the 4 images explained together: at scale 0.5 the scores differ: "
    assert len(run.notes) == 1 and "a mean over scales 1, 0.5" in run.notes[0]
    assert all(notes.startswith(together) for notes in run["notes"])
    assert len(set(run["notes"])) == 5, "one for each batch"
    there, _, _, here, *_ = str(run["notes"][0]).removeprefix(together).split()
    alone = [foveal.explain(network(), str(photos / name), scales=(1.0, 0.5)).notes for name in files(photos)[:4]]
    assert any(f"at scale 0.5 the score is {there} instead of {here}" in notes for notes in alone)


def test_16_bits_are_a_thousandth_of_the_largest_and_layers_have_columns_of_their_own(
    photos: Path, tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    half, full = (
        ran(photos, tmp_path / bits, layer=["one", "two"], maps=bits, method="hirescam")
        for bits in ("float16", "float32")
    )
    for layer in ("one", "two"):
        exact = full.maps(layer)
        largest = exact.abs().amax((1, 2), keepdim=True)
        assert ((half.maps(layer) - exact).abs() <= 1e-3 * largest).all() and (half.maps(layer)[exact == 0] == 0).all()
    assert half.maps().shape == full.maps("two").shape and half.layers == ("one", "two")
    part = pq.read_table(tmp_path / "float16" / "part-00000.parquet")
    assert part.column_names[-6:] == ["map_one", "scale_one", "shape_one", "map_two", "scale_two", "shape_two"]
    cells = np.frombuffer(part["map_two"][0].as_py(), "<f2").reshape(part["shape_two"][0].as_py())
    assert np.allclose(cells.astype(np.float32) * part["scale_two"][0].as_py(), half.maps("two")[0])
    with pytest.raises(ResultError, match="no maps of 'three' here: there are one, two"):
        half.maps("three")


def test_a_run_goes_on_where_it_was_and_does_nothing_twice(photos: Path, tmp_path: Path) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    ran(photos, whole)
    seen: list[int] = []

    def stop(what: str, done: int, total: int) -> None:
        seen.append(done)
        if done > 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="interrupted: 8 of 20 images are done"):
        ran(photos, out, progress=stop)
    sealed = {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}
    assert len(sealed) == 2 and len(foveal.Run.load(out)) == 8 and "8 of 20 images" in str(foveal.Run.load(out))
    drawn(photos / "a", 1)  # the plan is listed once
    (out / "part-00003.parquet").write_bytes(parts(whole)["part-00003.parquet"][:300])  # as by a disk that lost it
    run = ran(photos, out, progress=lambda what, done, total: seen.append(done))
    assert len(run) == 20 and parts(out) == parts(whole)
    assert {name: (out / name).stat().st_mtime_ns for name in sealed} == sealed
    left = len(seen)
    ran(photos, out, progress=lambda what, done, total: seen.append(done))
    assert seen[left:] == [20] and not [path for path in out.iterdir() if path.name.startswith(".")]


def test_parts_of_the_work_together_are_all_of_it(photos: Path, tmp_path: Path) -> None:
    ran(photos, tmp_path / "whole")
    first = ran(photos, tmp_path / "out", part=(2, 3))
    assert sorted(set(first["id"] // 4)) == [1, 4] and first.whole == 20
    ran(photos, tmp_path / "out", part=(1, 3))
    assert len(ran(photos, tmp_path / "out", part=(3, 3))) == 20
    assert parts(tmp_path / "out") == parts(tmp_path / "whole")
    for wrong in ((0, 3), (4, 3), (1,), "ab"):
        with pytest.raises(FovealError, match="part"):
            ran(photos, tmp_path / "out", part=wrong)


def test_nothing_is_mixed(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran(photos, out)
    before = parts(out)
    other = network()
    with torch.no_grad():
        other.module.head.bias[0] += 1e-3  # type: ignore[union-attr, operator]
    cases: list[tuple[dict[str, Any], str]] = [
        ({"model": other}, "other weights"),
        ({"method": "hirescam"}, "method: gradcam → hirescam"),
        ({"target": "b"}, "other target"),
        ({"layer": "one"}, "layer"),
        ({"maps": "float32"}, "bits: float16 → float32"),
        ({"threads": 2}, "threads: 1 → 2"),
        ({"audit": True}, "audit: False → True"),
    ]
    for options, said in cases:
        with pytest.raises(ResultError, match=f"was made with other settings.*{said}"):
            ran(photos, out, **options)
    with pytest.raises(ResultError, match=r"is of other images \(20, and now 2\)"):
        ran([photos / name for name in files(photos)[:2]], out)
    assert parts(out) == before and len(ran(photos, out)) == 20
    foveal.explain(network(), str(photos / files(photos)[0])).save(tmp_path / "why")
    with pytest.raises(ResultError, match="it holds a saved explanation"):
        ran(photos, tmp_path / "why")
    (out / "manifest.json").unlink()
    with pytest.raises(ResultError, match=r"part-00000\.parquet there is of another run"):
        ran(photos, out)


def test_two_drivers_on_one_folder(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with (
        alone(tmp_path / "out" / ".foveal-lock-1-of-1"),
        pytest.raises(ResultError, match="Another program is working on the run"),
    ):
        ran(photos, tmp_path / "out")
    assert len(ran(photos, tmp_path / "out")) == 20


def test_pictures_that_cannot_be_read_are_rows(photos: Path, tmp_path: Path) -> None:
    first, second, third = (photos / name for name in files(photos)[:3])
    first.write_bytes(b"no picture")
    second.write_bytes(second.read_bytes()[:70])
    run = ran(photos, tmp_path / "run")
    third.unlink()
    assert [i for i, error in enumerate(run["error"]) if error] == [0, 1] and len(run.failed) == 2
    assert run["error"][0] == "Cannot read 'a/00.png': Pillow cannot read this image format."
    with pytest.raises(ResultError, match=r"Row 1, 'a/02\.png', was not explained: Cannot read"):
        run[1]
    with pytest.raises(ResultError, match="2 rows of 20 have no map"):
        run.maps()
    assert len(run.explained.maps()) == 18 and np.isnan(run["score"][:2]).all()
    with pytest.raises(ImageError, match="no such file"):
        run[2]
    assert run.figure().size[0] > 100  # without the photo that is gone
    for name in files(photos):
        (photos / name).write_bytes(b"")
    with pytest.raises(ImageError, match=r"Cannot read .*a/00\.png"):
        ran(photos, tmp_path / "other")


def test_the_label_of_each_picture_may_be_what_is_explained(photos: Path, tmp_path: Path) -> None:
    names = files(photos)
    table = photos / "table.csv"
    labels = ["c" if i % 3 else "b" for i in range(19)]
    rows = [f"{name},{label}" for name, label in zip(names, [*labels, "unheard"], strict=True)]
    table.write_text("path,label\n" + "\n".join(rows[:18]) + f"\n{names[18]},\n{rows[19]}\n")
    run = ran(table, tmp_path / "run", target="label")
    assert [said and said[0] for said in run["target"]] == [*labels[:18], None, None]
    assert "no label" in run["error"][18] and "no class 'unheard'" in run["error"][19]
    why = foveal.explain(network(), str(photos / names[4]), labels[4])
    assert torch.allclose(run[4].map, why.map, atol=2e-3 * float(why.map.abs().max()))
    for target in (["a", "b"], foveal.Class(["a"]), Labels()):
        with pytest.raises(TargetError, match="a run has one"):
            ran(photos, tmp_path / "other", target=target)
    assert not (tmp_path / "other").exists()


def test_deletion_tests_are_those_of_audit(photos: Path, tmp_path: Path) -> None:
    few = [photos / name for name in files(photos)[:3]]
    run = ran(few, tmp_path / "run", audit=True)
    for i, photo in enumerate(sorted(few)):
        why = foveal.explain(network(), str(photo))
        (test,) = foveal.audit(network(), str(photo), explanations=why)
        assert run["audit_effect"][i] == pytest.approx(test.effect, abs=1e-4)
        assert run["audit_beats"][i] == pytest.approx(test.beats) and run["audit_area"][i] == pytest.approx(test.area)
        chance = (run["audit_chance"][i], run["audit_spread"][i])
        assert chance == pytest.approx(test.chance, abs=1e-4)


def test_rows_are_chosen_by_any_column(photos: Path, tmp_path: Path) -> None:
    run = ran(photos, tmp_path / "run")
    wrong = run[(run["predicted"] != run["label"]) & (run["score"] > np.median(run["score"]))]
    wanted = [
        i for i in range(20) if run["predicted"][i] != run["label"][i] and run["score"][i] > np.median(run["score"])
    ]
    assert wrong["id"].tolist() == wanted and torch.equal(wrong.maps(), run.maps()[wanted])
    assert run[5:8]["id"].tolist() == [5, 6, 7] and run[[3, -1]]["id"].tolist() == [3, 19]
    assert [row["id"] for row in run[::-1].rows()] == list(range(19, -1, -1))
    again = foveal.Run.load(wrong.save(tmp_path / "wrong"))
    assert again["id"].tolist() == wanted and torch.equal(again.maps(), wrong.maps())
    for odd in ("nothing", 20, [20], [True], [[1]], [0.5]):
        with pytest.raises(ResultError):
            run[odd]


def test_classes_in_numbers(photos: Path, tmp_path: Path) -> None:
    (photos / files(photos)[0]).write_bytes(b"")
    run = ran(photos, tmp_path / "run")
    for row in run.classes():
        here = [i for i in range(1, 20) if run["label"][i] == row["label"]]
        assert row["pictures"] == len(here) + (row["label"] == "a") and row["failed"] == (row["label"] == "a")
        assert row["right"] == pytest.approx(np.mean([run["predicted"][i] == row["label"] for i in here]))
        assert row["mean_score"] == pytest.approx(np.mean(run["score"][here]), rel=1e-5)
    assert sum(row["pictures"] for row in run.classes("predicted")) == 19
    known = [run["predicted"][i] == run["label"][i] for i in range(1, 20)]
    assert run.accuracy == pytest.approx(np.mean(known))
    for kind in ("sheet", "numbers", "classes"):
        assert min(run.figure(kind).size) > 100
    unlabeled = ran([photos / name for name in files(photos)[1:]], tmp_path / "other")
    assert unlabeled.accuracy is None and "predicted" in unlabeled.classes()[0]
    assert unlabeled.figure("classes").size[1] > 50


def test_damage_is_seen(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    ran(photos, out)
    for name in ("part-00002.parquet", "plan.parquet"):
        content = (out / name).read_bytes()
        (out / name).write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
        with pytest.raises(ResultError, match=f"{name}' was changed or cut"):
            foveal.Run.load(out)
        (out / name).write_bytes(content)
    assert len(foveal.Run.load(out)) == 20


def test_a_transform_of_ones_own(photos: Path, tmp_path: Path) -> None:
    model = replace(network(), preprocessing=foveal.Preprocessing.of(shrunk))
    names = files(photos)
    Image.open(photos / names[0]).resize((50, 31)).save(photos / names[0])  # a size that it has not met
    run = ran(photos, tmp_path / "run", model=model)
    assert len(ran(photos, tmp_path / "run", model=model)) == 20  # though it remembers more sizes now
    why = foveal.explain(model, str(photos / names[0]))
    assert torch.allclose(run.maps()[0], why.map[0], atol=1e-3 * float(why.map.abs().max()))
    with pytest.raises(ResultError, match="does not keep preprocessing that is code"):
        run[0]
    assert run.figure().size[0] > 100
    other = replace(network(), preprocessing=foveal.Preprocessing.of(brighter))
    with pytest.raises(ResultError, match="other preprocessing"):
        ran(photos, tmp_path / "run", model=other)


def shrunk(image: Image.Image) -> np.ndarray:
    return np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR), np.float32).transpose(2, 0, 1) / 255


def brighter(image: Image.Image) -> np.ndarray:
    return 2 * shrunk(image)


@pytest.mark.parametrize("library", ["duckdb", "polars", "pandas"])
def test_others_read_the_parts(library: str, photos: Path, tmp_path: Path) -> None:
    module = pytest.importorskip(library)
    run = ran(photos, tmp_path / "run")
    parts = str(tmp_path / "run" / "part-*.parquet")
    if library == "duckdb":
        ids = [row[0] for row in module.sql(f"select id from '{parts}' where score is not null order by id").fetchall()]
    elif library == "polars":
        ids = module.read_parquet(parts).sort("id")["id"].to_list()
    else:
        ids = module.concat(
            [module.read_parquet(path) for path in sorted((tmp_path / "run").glob("part-*"))]
        ).id.tolist()
        assert run.to_pandas().shape == (20, len(run.columns))
    assert ids == list(range(20))


def test_a_network_of_activations_alone_and_wrong_numbers(photos: Path, tmp_path: Path) -> None:
    run = ran(photos, tmp_path / "run", method="eigencam")
    assert run["target"].tolist() == [None] * 20 and run["predicted"][0] in LABELS and np.isnan(run["score"]).all()
    assert run[0].target == ("no decision",)
    cases: list[dict[str, Any]] = [
        {"workers": -1}, {"threads": 0}, {"maps": "float8"}, {"method": "fast"}, {"layer": "nothing"},
        {"method": "nothing"},
    ]  # fmt: skip
    for options in cases:
        with pytest.raises(FovealError) as caught:
            ran(photos, tmp_path / "other", **options)
        assert "\n" not in str(caught.value)
    assert not list((tmp_path / "other").glob("*.parquet"))


@pytest.mark.slow
def test_workers_make_the_same_parts(photos: Path, tmp_path: Path) -> None:
    here = ran(photos, tmp_path / "here")
    there = ran(photos, tmp_path / "there", workers=2)
    assert parts(tmp_path / "here") == parts(tmp_path / "there") and torch.equal(here.maps(), there.maps())
    named = foveal.run("demo", photos, out=tmp_path / "named", workers=1, batch=4)
    assert len(named.explained) == 20


SCRIPT = """
import sys
import foveal
from tests.runs.photos import ran

if __name__ == "__main__":
    ran(sys.argv[1], __import__("pathlib").Path(sys.argv[2]), workers=int(sys.argv[3]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_driver_changes_nothing(workers: int, photos: Path, tmp_path: Path) -> None:
    script, out = tmp_path / "script.py", tmp_path / "out"
    script.write_text(SCRIPT)
    ran(photos, tmp_path / "whole")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    driver = subprocess.Popen([sys.executable, script, photos, out, str(workers)], env=environment)
    until = time.monotonic() + 60
    while not list(out.glob("part-*")) and driver.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert out.exists()
    run = ran(photos, out)
    assert len(run) == 20 and parts(out) == parts(tmp_path / "whole")


def test_means_of_huge_numbers_are_theirs() -> None:
    names = np.array(["a", "a"], object)
    columns = {"label": names, "predicted": names, "error": np.array([None, None]), "score": np.float32([3e38, 3e38])}
    (row,) = class_rows(columns, "label", ("score",))
    assert row["mean_score"] == pytest.approx(3e38)
