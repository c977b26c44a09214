"""`foveal run`: a data set from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import foveal
from foveal.runs.explainer import RunExplainer
from tests.cli.calling import called, labeled_birds

if TYPE_CHECKING:
    from click.testing import Result


def run(*words: object) -> Result:
    return called("run", *words)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labeled_birds(tmp_path_factory.mktemp("photos"), 2)


def test_a_folder_of_photos(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = run(photos, "-m", "demo", "-o", out, "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["rows"] == said["planned"] == 4 and said["accuracy"] == 1.0 and said["failed"] == 0
    assert [Path(file).name for file in said["files"]] == ["sheet.png", "numbers.png", "classes.png"]
    assert "4 images" in done.stderr and "sheet.png" in (out / "index.html").read_text()
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}
    again = run(photos, "-m", "demo", "-o", out)
    assert again.exit_code == 0 and again.stdout.splitlines()[0] == str(out / "sheet.png")
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")} == before
    assert len(foveal.Run.load(out)) == 4
    other = run(photos, "-m", "demo", "-o", out, "--method", "hirescam")
    assert other.exit_code == 1 and "made with other settings" in other.stderr
    assert "choose another folder with --out" in other.stderr


def test_a_photo_that_cannot_be_read_and_the_label_as_target(photos: Path, tmp_path: Path) -> None:
    table = photos / "table.csv"
    table.write_text("file,label\nCoral Ibis/0.png,Coral Spoonbill\nmissing.png,Coral Ibis\n")
    done = run(table, "-m", "demo", "-o", tmp_path / "run", "--target", "label", "--part", "1/1", "--float32")
    assert done.exit_code == 1 and "missing.png: Cannot read" in done.stderr
    result = foveal.Run.load(tmp_path / "run")
    assert result["target"][0].startswith("Coral Spoonbill") and result["predicted"][0] == "Coral Ibis"
    assert result["error"][1] is not None and result.record.bits == "float32"


@pytest.mark.parametrize(("part", "status"), [("3", 2), ("3/2", 1), ("0/2", 1), ("a/b", 2)])
def test_parts_that_there_are_not(part: str, status: int, photos: Path, tmp_path: Path) -> None:
    done = run(photos, "-m", "demo", "-o", tmp_path / "run", "--part", part)
    assert done.exit_code == status and "part" in done.stderr


def test_an_interrupted_run_says_how_many_are_kept_and_goes_on(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, asked = RunExplainer.rows, list[int]()

    def until_third(self: RunExplainer, items: Any, pictures: Any) -> Any:
        asked.append(items[0].id)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return whole(self, items, pictures)

    monkeypatch.setattr(RunExplainer, "rows", until_third)
    words = (photos, "-m", "demo", "--batch", "1", "-o", tmp_path / "run")
    first = run(*words)
    assert first.exit_code == 130
    assert "2 of 4 images are done in" in first.stderr and "run the same command again to continue" in first.stderr
    assert run(*words).exit_code == 0 and asked == [0, 1, 2, 2, 3]
