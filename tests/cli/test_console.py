"""What commands print is harmless and whole, whatever the terminal's encoding and whatever strangers called things."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from foveal.cli import console
from foveal.cli.app import app
from foveal.errors import printable, printable_lines
from tests.birds import drawn_bird

NASTY = "[/x] [red]\x1b[2J\x9b31m\udcff 中 ‮"
CODE = "import sys; from foveal.cli import main; main()"


@pytest.fixture
def bird(tmp_path: Path) -> Path:
    path = tmp_path / os.fsdecode("blåmes [bold] \x1b[31m.png".encode("latin-1"))
    drawn_bird(6).save(path, "PNG")
    (tmp_path / "labels.txt").write_text("\n".join(f"中文鸟 {n} \x1b]0;title\x07" for n in range(20)), "utf-8")
    return path


def test_printable() -> None:
    assert printable("plain ä 中 🐦") == "plain ä 中 🐦"
    assert printable("a\x1b[2J\n\udcff\u2028\u202e\x9b") == "a\\x1b[2J\\n\\udcff\\u2028\\u202e\\x9b"
    assert printable_lines("a\n\tb\r\x07") == "a\n\tb\\r\\x07"
    assert printable("") == ""


@pytest.mark.parametrize(("encoding", "json_"), [("ascii", True), ("ascii", False), ("cp1252", True)])
def test_no_encoding_ends_a_run(encoding: str, json_: bool, bird: Path, tmp_path: Path) -> None:
    words = ["explain", bird, "-m", "demo", "--labels", tmp_path / "labels.txt", "-o", tmp_path / "aus – gabe"]
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words, *(["--json"] if json_ else [])], capture_output=True, timeout=120,
        env={**os.environ, "PYTHONIOENCODING": encoding, "LC_ALL": "C", "PYTHONUTF8": "0"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stderr + done.stdout and b"\x07" not in done.stderr + done.stdout
    if json_:
        (answer,) = json.loads(done.stdout.decode(encoding))
        assert answer["photo"] == str(bird) and answer["predicted"]["class"].startswith("中文鸟")


@pytest.mark.parametrize("words", [["--help"], ["explain", "--help"], ["models"], ["methods"], ["explain", "ä"], ["é"]])
def test_help_and_usage_in_ascii(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words], capture_output=True, timeout=120,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.returncode == (2 if words[0] in ("é",) or words[-1] == "ä" else 0)
    assert b"Traceback" not in done.stderr and b"Error" not in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_progress_on_a_terminal_takes_any_name(encoding: str) -> None:
    """The bar and the spinner write names as they are: no markup, nothing that the terminal obeys."""
    code = f"""
import time
from foveal.cli import console
with console.busy({NASTY!r}):
    time.sleep(0.2)
with console.progress({NASTY!r}) as move:
    for done in range(3):
        move({NASTY!r} + " phase", done, 3, {NASTY!r})
        time.sleep(0.1)
"""
    leader, follower = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", code], stderr=follower, stdout=subprocess.PIPE, timeout=60,
        env={**os.environ, "PYTHONIOENCODING": f"{encoding}:backslashreplace", "TERM": "xterm", "COLUMNS": "250"},
    )  # fmt: skip
    os.close(follower)
    shown = b""
    try:
        while chunk := os.read(leader, 65536):
            shown += chunk
    except OSError:  # the end, on Linux
        pass
    os.close(leader)
    assert done.returncode == 0, shown
    plain = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", shown)  # rich's own
    assert b"[/x]" in plain and b"[red]" in plain and b"\\x1b[2J" in plain
    assert b"\x1b[2J" not in shown and "\u202e".encode() not in shown


def test_json_keeps_what_does_not_print(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json({NASTY: [NASTY, 1.5]})
    shown = capsys.readouterr().out
    assert json.loads(shown) == {NASTY: [NASTY, 1.5]}
    assert printable_lines(shown) == shown
    console.print_json({"中": "ä"})
    assert "中" in capsys.readouterr().out


def test_tables_and_lines_are_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_table([(NASTY, 1)], head=("a", "b"))
    console.print_lines(Path(NASTY), NASTY)
    console.info(NASTY)
    console.error(NASTY)
    shown = capsys.readouterr()
    assert all(printable_lines(text) == text for text in shown)


def test_errors_are_harmless(tmp_path: Path) -> None:
    for words in (["explain", f"{tmp_path}/no", "-m", NASTY], ["stages", NASTY], ["models", NASTY]):
        done = CliRunner().invoke(app, words)
        assert done.exit_code in (0, 2)
        assert printable_lines(done.output) == done.output and "unexpected error" not in done.output
