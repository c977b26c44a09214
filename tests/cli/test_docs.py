"""Every command line that the docs and the help show can be parsed: its command and its options exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner

from foveal.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def groups(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command by its words."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from groups(inner, (*path, name))


COMMANDS = dict(groups(typer.main.get_command(app)))


def shown(text: str) -> Iterator[str]:
    """Command lines on lines of their own, and within backquotes; continued lines joined."""
    text = text.replace("\\\n", " ")
    yield from (line.strip() for line in text.splitlines() if re.match(r"\s*foveal [a-z]", line))
    yield from re.findall(r"`(foveal [a-z][^`|]*)`", text)


def faults(line: str) -> Iterator[str]:
    """What a command line has that the command does not know."""
    line = re.split(r"\s{3,}|\s#\s|&&|;", line)[0]
    words = shlex.split(line)[1:]
    depth = 2 if tuple(words[:2]) in COMMANDS else 1
    if tuple(words[:depth]) not in COMMANDS:
        yield f"no command {' '.join(words[:depth])}"
        return
    known = {
        flag for option in COMMANDS[tuple(words[:depth])].params for flag in (*option.opts, *option.secondary_opts)
    }
    yield from (f"no option {word}" for word in words if re.match(r"--?[a-z]", word) and word not in known | {"--help"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_command_lines_in_the_docs(page: Path) -> None:
    wrong = [f"{line}: {fault}" for line in shown(page.read_text()) for fault in faults(line)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words) or "foveal")
def test_command_lines_in_the_help(words: tuple[str, ...]) -> None:
    lines = list(shown(COMMANDS[words].help.replace("\b", "")))
    assert [f"{line}: {fault}" for line in lines for fault in faults(line)] == []
    assert all(len(line) <= 84 for line in COMMANDS[words].help.splitlines() if re.match(r"\s+foveal [a-z]", line))
    assert CliRunner().invoke(app, [*words, "--help"]).exit_code == 0


def test_what_is_wrong_is_seen() -> None:
    assert [*faults("foveal portray x")] == ["no command portray"]
    assert [*faults('foveal explain bird.jpg --color red -m "a b"   # why')] == ["no option --color"]
    assert [*faults("foveal benchmark folder x -m demo --steps 3")] == []
