"""`foveal audit`, `episode` and `channels`, and what all commands share, as a person or a script meets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
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
    """Six drawn birds; in `support`, two of each of two species."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "cache"))
    for number in range(6):
        path = tmp_path / "birds" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        drawn_bird(number, 200).save(path)
    for name, species in (("jay", 6), ("crow", 9)):
        for number in range(3):
            path = tmp_path / ("queries" if number == 2 else f"support/{name}") / f"{name}-{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            drawn_bird(species + 20 * number, 200).save(path)
    return tmp_path / "birds"


def test_audit_is_the_verb_s(birds: Path) -> None:
    done = run("audit", birds, "-m", "demo", "--method", "gradcam", "--method", "gradient", "--draws", 4, "-o", "out")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.strip() == "out/audit.json"
    rows = json.loads(Path("out/audit.json").read_text())
    assert [(Path(row["photo"]).name, row["method"]) for row in rows[:3]] == [
        ("0.png", "gradcam"), ("0.png", "gradient"), ("1.png", "gradcam"),
    ]  # fmt: skip
    assert len(rows) == 12 and all(len(row["others"]) == 4 for row in rows)
    assert "0.png, gradcam: hiding what this map marks" in done.stderr
    (test,) = foveal.audit(foveal.load_model("demo"), birds / "0.png", explanations="gradcam", draws=4)
    assert rows[0]["marked"] == pytest.approx(test.marked, abs=1e-6)


def test_audit_in_json_with_other_questions(birds: Path) -> None:
    done = run("audit", birds / "0.png", "-m", "demo", "--draws", 2, "--area", 0.1, "--json", "-t", 3, "-o", "out")
    (row,) = json.loads(done.stdout)
    assert row["area"] == pytest.approx(0.1, abs=0.02) and "(3)" in row["target"]
    like = run("audit", birds / "0.png", "-m", "demo", "--draws", 2, "--like", birds / "1.png", "-o", "out", "--json")
    assert "1.png" in json.loads(like.stdout)[0]["target"]
    assert run("audit", birds, "-m", "demo", "--draws", 1).exit_code == 2


def test_episode_decides_between_folders(birds: Path) -> None:
    done = run("episode", "queries", "support", "-m", "embed", "-o", "out", "--json")
    assert done.exit_code == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [Path(row["query"]).name for row in rows] == ["crow-2.png", "jay-2.png"]
    assert all(set(row["chances"]) == {"crow", "jay"} for row in rows)
    assert all(sum(row["chances"].values()) == pytest.approx(1, abs=1e-5) for row in rows)
    assert all(row["class"] == max(row["chances"], key=row["chances"].get) for row in rows)
    with Image.open("out/episode.png") as sheet:
        assert sheet.width > 300
    one = run("episode", "queries/jay-2.png", "support", "-m", "demo", "--metric", "emd", "-o", "one")
    assert one.exit_code == 0 and one.stdout.strip() == "one/episode.png" and "2 classes" in one.stderr
    wrong = run("episode", "queries", "birds", "-m", "demo")
    assert wrong.exit_code == 1 and "folder" in wrong.stderr


def test_channels_are_drawn_and_listed(birds: Path) -> None:
    done = run("channels", birds, "-m", "demo", "--most", 3, "-n", 2, "-o", "out")
    assert done.exit_code == 0, done.stderr
    strips = [Path(line) for line in done.stdout.splitlines()]
    assert len(strips) == 2 and all(strip.name.startswith("stage3-") for strip in strips)
    document = json.loads(Path("out/channels.json").read_text())
    assert [*document["stages"]] == ["stage3"]
    examples = foveal.channels(foveal.load_model("demo"), birds, layer="stage3", most=3, cache=None)
    assert len(document["stages"]["stage3"]) == len(examples.values["stage3"])
    for channel in (0, 7):
        assert [
            (Path(entry["picture"]), (entry["row"], entry["column"]), pytest.approx(entry["value"], abs=1e-5))
            for entry in document["stages"]["stage3"][channel]
        ] == [(entry.file, entry.place, entry.value) for entry in examples.entries("stage3", channel)]


def test_channels_that_are_named(birds: Path) -> None:
    done = run("channels", birds, "-m", "demo", "-l", 2, "-l", "stage3", "--channel", 4, "-o", "out", "--json")
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert [*document["stages"]] == ["stage1", "stage3"]
    assert {Path(strip).name for strip in document["strips"]} <= {"stage1-4.png", "stage3-4.png"}
    assert document == json.loads(Path("out/channels.json").read_text())


@pytest.mark.parametrize("command", ["explain", "flow", "decompose", "parts", "audit", "sanity", "measure", "compare"])
def test_every_verb_of_a_target_takes_a_similarity(command: str, birds: Path) -> None:
    few = {
        "sanity": ["--steps", "1"], "measure": ["--metric", "drop"], "compare": ["--metric", "drop"],
        "decompose": ["--depth", "1"], "audit": ["--draws", "2"],
    }  # fmt: skip
    asked = [command, birds / "0.png", "-m", "demo", "--like", birds / "1.png", "-o", "out", *few.get(command, [])]
    done = run(*asked)
    assert done.exit_code == 0, done.stderr
    both = run(*asked, "--target", 3)
    assert both.exit_code == 2 and "--like" in both.stderr


@pytest.mark.parametrize(
    "command", ["explain", "compare", "match", "flow", "decompose", "parts", "audit", "sanity", "measure", "shortcuts",
                "visualize", "channels", "episode", "benchmark folder"],
)  # fmt: skip
def test_shared_options_are_the_same_everywhere(command: str) -> None:
    shown = " ".join(run(*command.split(), "--help").output.split())
    for option in (
        "--model -m",
        "--weights",
        "--pretrained",
        "--preprocessing",
        "--task",
        "--device",
        "--out -o",
        "--json",
    ):
        assert option in shown
