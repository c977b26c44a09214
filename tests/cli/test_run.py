"""`foveal run`: a data set from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

import foveal
from foveal.cli.app import app
from foveal.synthetic import class_scene, render


def run(*words: object) -> object:
    return CliRunner().invoke(app, ["run", *map(str, words)])


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name in ("Coral Ibis", "Coral Spoonbill"):
        (folder / name).mkdir()
        for seed in range(2):
            Image.fromarray(render(class_scene(name, seed))[0]).save(folder / name / f"{seed}.png")
    return folder


def test_a_folder_of_photos(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = run(photos, "-m", "demo", "-o", out, "--json")
    assert done.exit_code == 0, done.output  # type: ignore[attr-defined]
    said = json.loads(done.stdout)  # type: ignore[attr-defined]
    assert said["rows"] == said["planned"] == 4 and said["accuracy"] == 1.0 and said["failed"] == 0
    assert [Path(file).name for file in said["files"]] == ["sheet.png", "numbers.png", "classes.png"]
    assert "4 images" in done.stderr and "sheet.png" in (out / "index.html").read_text()  # type: ignore[attr-defined]
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}
    again = run(photos, "-m", "demo", "-o", out)
    assert again.exit_code == 0 and again.stdout.splitlines()[0] == str(out / "sheet.png")  # type: ignore[attr-defined]
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")} == before
    assert len(foveal.Run.load(out)) == 4
    other = run(photos, "-m", "demo", "-o", out, "--method", "hirescam")
    assert other.exit_code == 1 and "made with other settings" in other.stderr  # type: ignore[attr-defined]
    assert "choose another folder with --out" in other.stderr  # type: ignore[attr-defined]


def test_a_photo_that_cannot_be_read_and_the_label_as_target(photos: Path, tmp_path: Path) -> None:
    table = photos / "table.csv"
    table.write_text("file,label\nCoral Ibis/0.png,Coral Spoonbill\nmissing.png,Coral Ibis\n")
    done = run(table, "-m", "demo", "-o", tmp_path / "run", "--target", "label", "--part", "1/1", "--float32")
    assert done.exit_code == 1 and "missing.png: Cannot read" in done.stderr  # type: ignore[attr-defined]
    result = foveal.Run.load(tmp_path / "run")
    assert result["target"][0].startswith("Coral Spoonbill") and result["predicted"][0] == "Coral Ibis"
    assert result["error"][1] is not None and result.record.bits == "float32"


@pytest.mark.parametrize(("part", "status"), [("3", 2), ("3/2", 1), ("0/2", 1), ("a/b", 2)])
def test_parts_that_there_are_not(part: str, status: int, photos: Path, tmp_path: Path) -> None:
    done = run(photos, "-m", "demo", "-o", tmp_path / "run", "--part", part)
    assert done.exit_code == status and "part" in done.stderr  # type: ignore[attr-defined]
