"""Words and progress for people, on standard error; results on standard output."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from foveal.cli.wording import as_options
from foveal.errors import printable, printable_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_standard_output: list[TextIO] = []
_hearing: list[list[str]] = []


class Move(Protocol):
    """Moves the bar of a phase; a verb's `progress` takes it as it is."""

    def __call__(self, phase: str, done: int, total: int, detail: str = "") -> None:
        """So much is done of so much."""


@contextmanager
def output_is_for_results() -> Iterator[None]:
    """Standard output is for results: what a person's model prints meanwhile goes to standard error."""
    _standard_output.append(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _standard_output.pop()


@contextmanager
def libraries_silent() -> Iterator[None]:
    """Nothing of what is written past Python to the process's standard error: libtiff comments on damaged files."""
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def heard(messages: list[str]) -> Iterator[None]:
    """What is said for people inside is also added to a list."""
    _hearing.append(messages)
    try:
        yield
    finally:
        _hearing.pop()


def info(*lines: str) -> None:
    """Lines for people, as they are but for what a terminal would obey; notes in the words of the command line."""
    for line in "\n".join(lines).split("\n") if lines else ():
        said = printable_lines(as_options(line) if "note: " in line else line)
        for messages in _hearing:
            messages.append(said)
        _print(said, sys.stderr)


def error(sentence: str) -> None:
    """What went wrong, for people."""
    info(f"foveal: {sentence}")


def print_lines(*things: object) -> None:
    """Paths or names on standard output, one a line."""
    for thing in things:
        _print(printable(str(thing)), _output())


def print_json(document: Any) -> None:
    """One JSON document on standard output; what does not print is escaped, so that nothing is lost."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    plain = printable_lines(text) == text and _encoded(text, _output()) == text
    _print(text if plain else json.dumps(document, indent=2, allow_nan=False), _output())


def print_table(rows: Sequence[Sequence[object]], *, head: Sequence[str]) -> None:
    """Aligned columns on standard output, the last as long as it likes."""
    cells = [list(head), *([printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        _print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip(), _output())


@contextmanager
def busy(doing: str) -> Iterator[None]:
    """A spinner while something takes its time; nothing where no person is watching."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(Text(printable(doing)), spinner=_spinner(console)):
        yield


@contextmanager
def progress(doing: str) -> Iterator[Move]:
    """A bar for each phase, moved by `move(phase, done, total, detail)`; lines where no person watches."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Log()
        return
    columns = (
        SpinnerColumn(_spinner(console)),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
    )
    # Results may be piped elsewhere while the bar is drawn: they are none of its business.
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
        doing = printable(doing)
        tasks = {doing: bar.add_task(doing, total=None, detail="")}

        def move(phase: str, done: int, total: int, detail: str = "") -> None:
            phase, detail = printable(phase), printable(detail)
            if phase not in tasks:
                tasks[phase] = bar.add_task(phase, detail="")
            if doing in tasks and phase != doing:
                bar.remove_task(tasks.pop(doing))
            bar.update(tasks[phase], completed=done, total=total, detail=detail)

        yield move


class _Log:
    """Progress as lines, one every ten seconds."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def __call__(self, phase: str, done: int, total: int, detail: str = "") -> None:
        if time.monotonic() - self.last > 10:
            self.last = time.monotonic()
            info(f"{phase} {done}/{total} {detail}".rstrip())


def _output() -> TextIO:
    return _standard_output[-1] if _standard_output else sys.stdout


def _spinner(console: Console) -> str:
    return "dots" if console.encoding.startswith("utf") else "line"


def _print(text: str, stream: TextIO | None) -> None:
    if stream is not None:  # as it is where it was closed
        print(_encoded(text, stream), file=stream)


def _encoded(text: str, stream: TextIO | None) -> str:
    """The text, what the stream's encoding lacks as escapes: a terminal that knows ASCII only must not end a run."""
    encoding = (stream.encoding if stream else None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
