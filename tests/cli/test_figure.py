"""`--figure` and the options of drawing, as a person meets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from foveal.cli.app import app
from tests.birds import drawn_bird

if TYPE_CHECKING:
    from typer.testing import Result


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two birds in files of one name, in two folders."""
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / name / "bird.png" for name in ("a", "b")]
    for number, path in enumerate(paths):
        path.parent.mkdir()
        drawn_bird(6 + number).save(path)
    return paths


def words(figure: Path) -> list[str]:
    root = ET.fromstring(figure.read_text(encoding="utf-8"))
    return [element.text or "" for element in root.iter() if element.tag.endswith("}text")]


def test_photos_methods_and_layers_in_one_figure(photos: list[Path], tmp_path: Path) -> None:
    figure = tmp_path / "paper" / "fig.svg"
    done = run("explain", *photos, "-m", "demo", "--method", "gradcam", "--method", "hirescam", "--layer", "stage1",
               "--layer", "stage3", "--figure", figure, "-o", tmp_path / "out")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0] == str(figure)
    said = words(figure)
    assert [said.count(word) for word in ("bird.png", "gradcam", "hirescam", "stage1", "stage3")] == [2, 2, 2, 2, 2]
    terminal = done.stderr.replace("\n", " ")
    for photo, folder in zip(photos, ("bird", "bird-2"), strict=True):  # which is which
        assert f"{photo} → {tmp_path / 'out' / folder}" in terminal
        manifest = json.loads((tmp_path / "out" / folder / "gradcam" / "manifest.json").read_text())
        assert manifest["photos"][0]["source"] == str(photo)
        assert (tmp_path / "out" / folder / "sheet.png").exists()


def test_overlays_are_drawn_as_asked(photos: list[Path], tmp_path: Path) -> None:
    drawn = {}
    for name, options in (("plain", ()), ("lines", ("--contour",)), ("gray", ("--colors", "gray", "--alpha", 0.2))):
        done = run("explain", photos[0], "-m", "demo", "--size", 100, "-o", tmp_path / name, *options)
        assert done.exit_code == 0, done.output
        with Image.open(done.stdout.strip()) as image:
            drawn[name] = np.asarray(image.convert("RGB")).astype(int)
    assert drawn["plain"].shape[0] == 100
    assert np.abs(drawn["plain"][:, :100] - drawn["lines"][:, :100]).mean() > 5
    colored = {name: np.ptp(image[:, :100], axis=2).max() for name, image in drawn.items()}
    assert colored["gray"] < colored["plain"]


def test_flat_overlays_lie_in_one_folder(photos: list[Path], tmp_path: Path) -> None:
    done = run("explain", *photos, "-m", "demo", "--method", "gradcam", "--method", "hirescam", "--flat", "-o",
               tmp_path / "out", "--json")  # fmt: skip
    assert done.exit_code == 0, done.output
    names = {f"bird{k}-{method}-stage3.png" for k in ("", "-2") for method in ("gradcam", "hirescam")}
    images = {path.name for path in (tmp_path / "out").iterdir()} - {"index.html", "foveal-run.json"}
    assert images == names | {"bird-sheet.png", "bird-2-sheet.png"}
    rows = json.loads(done.stdout)
    assert {Path(file).name for row in rows for file in row["files"]} >= names
    assert {row["folder"] for row in rows} == {str(tmp_path / "out")}


def test_a_comparison_has_the_same_figure(photos: list[Path], tmp_path: Path) -> None:
    done = run("compare", *photos, "-m", "demo", "--method", "gradcam", "--method", "hirescam", "--metric", "drop",
               "--figure", tmp_path / "fig.svg", "-o", tmp_path / "out", "--json")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["figure"] == str(tmp_path / "fig.svg")
    assert words(tmp_path / "fig.svg").count("bird.png") == 2


@pytest.mark.parametrize("command", ["explain", "compare"])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--size", 3), "16"),
        (("--alpha", 2), "1"),
        (("--sign", "up"), "'auto', 'positive', 'negative' or 'signed'"),
        (("--scale", "wide"), "a number above 0"),
        (("--colors", "nonsense"), "inferno, magma, viridis"),
        (("--figure", "fig.doc"), ".pdf, .svg, .png"),
    ],
)
def test_what_cannot_be_drawn_is_said_before_the_work(
    command: str, options: tuple[object, ...], words: str, photos: list[Path], tmp_path: Path
) -> None:
    done = run(command, photos[0], "-m", "no-such-model", *options, "-o", tmp_path / "out")
    told = " ".join(done.stderr.replace("│", " ").split())
    assert done.exit_code == 2 and words in told and "no-such-model" not in told
    assert not (tmp_path / "out").exists()
