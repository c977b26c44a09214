"""`--method my.py:mine`, and `foveal methods`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from foveal import METHODS
from foveal.cli.app import app
from tests import forked

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

CODE = """
def mine(A, G, *, power=1):
    return (G * A ** power).sum(1)

def broken(A, G):
    return A.missing
"""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.py").write_text(CODE)
    path = tmp_path / "beach.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
    return path


def test_an_own_method_in_a_process_of_its_own(photo: Path) -> None:
    words = ["explain", photo.name, "-m", "demo", "--method", "my.py:mine", "--method", "hirescam", "--json"]
    done = forked.foveal(*words, cwd=photo.parent)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["method"] for row in rows] == ["mine", "hirescam"]
    assert all((photo.parent / file).is_file() for row in rows for file in row["files"])


def test_own_methods_in_tables(photo: Path) -> None:
    done = run("compare", photo, "-m", "demo", "--method", "my.py:mine:power=2", "--method", "gradcam",
               "--metric", "deletion", "--steps", 2, "--json")  # fmt: skip
    assert {row["method"] for row in json.loads(done.stdout)["scores"]} >= {"mine:power=2", "gradcam"}
    folder = photo.parent / "bench"
    words = ("benchmark", "folder", photo, "-m", "demo", "--metric", "deletion", "--steps", 2, "-o", folder, "--json")
    done = run(*words, "--method", "my.py:mine")
    assert {row["method"] for row in json.loads(done.stdout)["rows"]} >= {"mine"}
    (photo.parent / "my.py").write_text(CODE.replace("power=1", "power=3"))
    again = run(*words, "--method", "my.py:mine")
    assert again.exit_code == 1 and again.stdout == ""  # the numbers there are of another formula


@pytest.mark.parametrize(
    ("spec", "status", "said"),
    [
        ("no.py:mine", 1, "no.py: there is no such file"),
        ("my.py:nine", 2, "did you mean mine"),
        ("my.py", 2, "Write 'my.py:NAME'"),
        ("my.py:broken", 1, "line 6"),
        ("my.py:mine:size=3", 2, "its options are: power=1"),
    ],
)
def test_what_is_wrong_with_an_own_method(photo: Path, spec: str, status: int, said: str) -> None:
    done = run("explain", photo, "-m", "demo", "--method", spec)
    assert done.exit_code == status and done.stdout == ""
    assert said in " ".join(done.stderr.split())


def test_the_list_fits_a_terminal() -> None:
    lines = run("methods").stdout.splitlines()
    assert max(map(len, lines)) <= 80 and not any(line.endswith("…") for line in lines)
    assert [line.split()[0] for line in lines if line.startswith("  ")] == list(METHODS)
    assert lines == repr(METHODS).splitlines()
    answers = json.loads(run("methods", "--json").stdout)
    assert [answer["name"] for answer in answers] == list(METHODS)
    assert all(answer["citation"] and answer["passes"] for answer in answers)


def test_everything_about_one_method() -> None:
    done = run("methods", "score-cam")
    for word in ("Score-CAM", "scaling=after", "arXiv:1910.01279", "1/channel", "last stage", "any layer"):
        assert word in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert [fact["name"] for fact in json.loads(run("methods", "gradcam", "--json").stdout)] == ["gradcam"]
    assert run("methods", "gradcan").exit_code == 2
    assert all(run("methods", name).exit_code == 0 for name in METHODS)
