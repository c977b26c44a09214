"""Some of many pictures cannot be read: every command goes on with the others, names them at the end, exits 1."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from foveal.cli.app import app
from tests.birds import drawn_bird

if TYPE_CHECKING:
    from typer.testing import Result

FEW = ["--steps", "2"]
COMMANDS: dict[str, list[str]] = {
    "explain": ["explain", "{}"],
    "explain all": ["explain", "{}", "--method", "gradcam", "--method", "hirescam", "--audit"],
    "flow": ["flow", "{}", "--mode", "exact"],
    "decompose": ["decompose", "{}", "--branching", "1", "--depth", "1"],
    "decompose together": ["decompose", "{}", "--branching", "1", "--depth", "1", "--together"],
    "decompose channels": ["decompose", "{}/a.png", "--branching", "1", "--depth", "1", "--channels", "{}"],
    "parts": ["parts", "{}"],
    "measure": ["measure", "{}", "--metric", "deletion", "--no-baseline-maps", *FEW],
    "compare": ["compare", "{}", "--method", "gradcam", "--metric", "deletion", *FEW],
    "sanity": ["sanity", "{}", *FEW],
    "shortcuts": ["shortcuts", "many"],
    "match queries": ["match", "{}", "{}/a.png"],
    "match references": ["match", "{}/a.png", "{}"],
    "audit": ["audit", "{}", "--draws", "2"],
    "channels": ["channels", "{}"],
    "episode queries": ["episode", "{}", "classes"],
    "episode support": ["episode", "{}/a.png", "classes"],
    "visualize": ["visualize", "{}", "--layer", "stage3", "--facets", "1", *FEW],
}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two birds, a file that is empty, one that is none; and the same as classes, in the working folder."""
    monkeypatch.chdir(tmp_path)
    for folder in ("shelf", "classes/one", "classes/two"):
        Path(folder).mkdir(parents=True)
        for name, number in (("a", 6), ("b", 9)):
            drawn_bird(number).resize((96, 96)).save(f"{folder}/{name}.png")
        Path(folder, "c.jpg").touch()
    Path("many").mkdir()
    for number in range(8):
        drawn_bird(6 + 3 * (number % 2) + 20 * number, 200).save(f"many/{number}.png")
    Path("many/c.jpg").touch()
    Path("many/d.png").write_bytes(b"")
    Path("shelf/d.png").write_bytes(Path("shelf/a.png").read_bytes()[:2000])
    return Path("shelf")


def asked(command: str, shelf: Path, *more: str) -> Result:
    return run(*(word.replace("{}", str(shelf)) for word in COMMANDS[command]), "-m", "demo", "-o", "out", *more)


def unread(document: Any) -> set[str]:
    each = document if isinstance(document, list) else document["unread"]
    return {Path(one["photo"]).name for one in each if "error" in one}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_others_are_done(command: str, shelf: Path) -> None:
    done = asked(command, shelf, "--json")
    assert done.exit_code == 1, done.output
    bad = {"c.jpg"} if command == "episode support" else {"c.jpg", "d.png"}
    count = {"episode queries": 4, "episode support": 2}.get(command, 2)  # c.jpg is in both classes
    last = [line for line in done.stderr.splitlines() if line and line != "open out/index.html"][-count:]
    assert all(line.startswith("foveal: Cannot read") for line in last), done.stderr
    assert all(any(name in line for line in last) for name in bad)
    assert done.stderr.count("foveal: ") == count
    assert unread(json.loads(done.stdout)) >= bad
    assert "unexpected error" not in done.stderr and "Traceback" not in done.output


@pytest.mark.parametrize("command", ["explain", "measure", "sanity", "visualize", "match queries", "decompose"])
def test_where_none_can_be_read_each_is_named(command: str, shelf: Path) -> None:
    for name in ("a.png", "b.png"):
        (shelf / name).write_bytes(b"")
    done = asked(command, shelf, "--json")
    assert done.exit_code == 1
    assert all(name in done.stderr for name in ("a.png", "b.png", "c.jpg", "d.png")), done.stderr
    assert {"a.png", "b.png", "c.jpg", "d.png"} <= unread(json.loads(done.stdout))


@pytest.mark.parametrize("command", ["explain", "measure", "match queries", "shortcuts"])
def test_what_a_folder_skips_is_a_note(command: str, shelf: Path) -> None:
    folder = Path("many") if command == "shortcuts" else shelf
    for name in ("c.jpg", "d.png"):
        (folder / name).unlink()
    (folder / "scan.raw").touch()
    done = asked(command, shelf)
    assert done.exit_code == 0, done.output
    assert done.stderr.count("note: skipped 1 of ") == 1 and "scan.raw" in done.stderr


def test_names_that_are_no_text_end_no_run(shelf: Path) -> None:
    odd = os.fsdecode(b"caf\xe9\x1b[2J[red].png")
    (shelf / "a.png").rename(shelf / odd)
    commands = ("explain", "flow", "decompose", "parts", "measure", "compare", "match queries", "sanity", "visualize")
    for command in commands:
        done = asked(command, shelf, "--json", "-o", f"out/{command}")
        assert done.exit_code == 1, done.output
        assert "unexpected error" not in done.stderr and "c.jpg" in done.stderr
        assert "\x1b" not in done.output and "\udce9" not in done.output
        answers = json.loads(done.stdout)
        if command == "explain":  # the name itself, for machines
            assert any("caf\udce9\x1b[2J[red]" in answer["photo"] for answer in answers)


def test_a_picture_called_dots_stays_inside(shelf: Path) -> None:
    (shelf / "a.png").rename(shelf / "...png")
    done = run("explain", shelf / "...png", "-m", "demo", "-o", "out/inside")
    assert done.exit_code == 0
    assert {path.name for path in Path().iterdir()} == {"shelf", "classes", "many", "out"}
    assert [path.name for path in Path("out").iterdir()] == ["inside"]
