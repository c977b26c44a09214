"""Groups, rivals and corpora on the command line: the same as in Python, and what contradicts itself is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

import foveal
from foveal.cli.app import app
from tests.birds import drawn_bird

if TYPE_CHECKING:
    from typer.testing import Result


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def birds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A drawn bird, and two folders of two."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(["bird.png", "like/a.png", "like/b.png", "unlike/a.png", "unlike/b.png"]):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        drawn_bird(number, 200).save(path)
    return tmp_path / "bird.png"


@pytest.mark.parametrize(
    ("options", "target"),
    [
        (["-t", "group:few=0-2,5"], foveal.Group([0, 1, 2, 5], "few")),
        (["-t", "group:*jay*"], foveal.Group("*jay*")),
        (["-t", "predicted - rivals:2"], foveal.Against(k=2)),
        (["--against", "4"], foveal.Against(k=4)),
        (["-t", "3", "--against", "1,5", "--strength", "1"], foveal.Against(3, strength=1, rivals=[1, 5])),
        (["--like", "like", "--unlike", "unlike"], foveal.Corpus("like", "unlike")),
        (["--like", "like/a.png", "--like", "unlike"], foveal.Corpus(["like/a.png", "unlike"])),
        (["--like", "like/a.png"], foveal.Similar("like/a.png")),
    ],
)
def test_the_same_as_in_python(options: list[str], target: foveal.Target, birds: Path) -> None:
    done = run("explain", birds, "-m", "demo", *options, "--json", "-o", "out")
    assert done.exit_code == 0, done.stderr
    (row,) = json.loads(done.stdout)
    why = foveal.explain(foveal.load_model("demo"), birds, target)
    assert row["target"] == why.target[0] and row["score"] == pytest.approx(float(why.score[0]), abs=1e-5)


@pytest.mark.parametrize(
    "options", [["-t", "group:*jay*"], ["--against", "2"], ["--like", "like", "--unlike", "unlike"]]
)
@pytest.mark.parametrize("command", ["flow", "decompose", "parts", "audit", "sanity", "measure", "compare"])
def test_every_verb_of_a_target(command: str, options: list[str], birds: Path) -> None:
    few = {
        "sanity": ["--steps", "1"], "measure": ["--metric", "drop"], "compare": ["--metric", "drop"],
        "decompose": ["--depth", "1"], "audit": ["--draws", "2"],
    }  # fmt: skip
    done = run(command, birds, "-m", "demo", *options, "-o", "out", *few.get(command, []))
    assert done.exit_code == 0, done.stderr


@pytest.mark.parametrize(
    ("options", "message", "code"),
    [
        (["--unlike", "unlike"], "--like", 2),
        (["--strength", "1"], "--against", 2),
        (["--like", "like", "--against", "2"], "--against", 2),
        (["-t", "1 - 2", "--against", "2"], "one class", 2),
        (["--against", "999"], "other classes", 1),
        (["-t", "group:*bear*"], "no class of the model fits", 2),
        (["-t", "group:0-9999999"], "Cannot read", 2),
    ],
)
def test_what_is_refused(options: list[str], message: str, code: int, birds: Path) -> None:
    done = run("explain", birds, "-m", "demo", *options, "-o", "out")
    assert done.exit_code == code and message in done.stderr.replace("\n", " "), done.stderr
    assert "foveal." not in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["audit", "measure"])
def test_every_label_is_measured_and_audited(command: str, birds: Path) -> None:
    few = {"audit": ["--draws", "2"], "measure": ["--metric", "drop", "--no-baseline-maps"]}[command]
    done = run(command, birds, "-m", "demo", "--task", "labels", "-t", "labels:0,2", "--json", "-o", "out", *few)
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    rows = told if command == "audit" else told["scores"]
    names = foveal.load_model("demo").labels
    assert names and [row["target"] for row in rows] == [f"{names[0]} (0)", f"{names[2]} (2)"]


@pytest.mark.parametrize("command", ["flow", "decompose", "parts", "sanity", "compare"])
def test_elsewhere_one_label_is_named(command: str, birds: Path) -> None:
    done = run(command, birds, "-m", "demo", "-t", "labels", "-o", "out")
    assert done.exit_code == 2 and "name one label" in done.stderr.replace("\n", " "), done.stderr
