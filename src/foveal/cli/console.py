"""Messages and progress for people, on standard error; results on standard output."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

from foveal.cli import interrupts
from foveal.cli.pace import Pace
from foveal.cli.wording import as_options
from foveal.errors import printable, printable_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_standard_output: list[TextIO] = []
SECONDS = 10.0
"""Between two lines of progress, where there is no terminal to draw a bar on."""
_hearing: list[list[str]] = []


class Move(Protocol):
    """Moves the bar of a loop; a verb's `progress` takes it as it is."""

    def __call__(self, phase: str, done: int, total: int, detail: str = "") -> None:
        """So many are done of so many; the name of a loop is a verb and what it counts: "measuring maps"."""


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
def output_for_libraries() -> Iterator[bool]:
    """Inside, what a library prints goes to standard output after all; whether that is a terminal."""
    stream = _output()
    with redirect_stdout(stream):
        yield stream.isatty()


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


def print_text(text: str) -> None:
    """A document of several lines on standard output, such as a table in LaTeX."""
    for line in text.split("\n"):
        _print(printable_lines(line), _output())


def print_json(document: Any) -> None:
    """One JSON document on standard output; what does not print is escaped, so that nothing is lost."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    plain = printable_lines(text) == text and _encoded(text, _output()) == text
    _print(text if plain else json.dumps(document, indent=2, allow_nan=False), _output())


def print_table(rows: Sequence[Sequence[object]], *, head: Sequence[str]) -> None:
    """Aligned columns on standard output, the last as long as it likes."""
    cells = [list(head), *([printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(cell_len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        _print("  ".join(map(set_cell_size, row, widths)).rstrip(), _output())


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
    """A bar for the loop `doing` and one for the loop inside of it, with the time left; lines where no person watches.

        with progress("measuring maps") as move:
            move("measuring maps", 5, 28, "jay.png")    # measuring 5 of 28 maps, about 40 s left   jay.png

    Args:
        doing: the outer loop, a verb and the things it counts. Any other name that is moved is a loop inside.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Log(doing)
        return
    columns = (
        SpinnerColumn(_spinner(console)),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
    )
    # Results may be piped elsewhere while the bar is drawn: they are none of its business.
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
        yield _Bars(bar, doing)


class _Bars:
    """Two bars: the outer loop, and what happens inside of it now."""

    def __init__(self, bar: Progress, doing: str) -> None:
        self._bar, self._outer = bar, doing
        self._tasks = {doing: bar.add_task(printable(doing), total=None, detail="")}
        self._paces = {doing: Pace(doing)}
        self._moved = set[str]()

    def __call__(self, phase: str, done: int, total: int, detail: str = "") -> None:
        interrupts.check()
        if self._outer not in self._moved:  # nothing is known of the outer loop yet
            self._bar.update(self._tasks[self._outer], visible=phase == self._outer)
        self._moved.add(phase)
        if phase not in self._tasks:
            for old in self._tasks.keys() - {self._outer}:
                self._bar.remove_task(self._tasks.pop(old))
                del self._paces[old]
            self._tasks[phase], self._paces[phase] = self._bar.add_task(printable(phase), detail=""), Pace(phase)
        words = printable(self._paces[phase].words(done, total))
        self._bar.update(self._tasks[phase], description=words, completed=done, total=total, detail=printable(detail))


class _Log:
    """Progress as lines, one every ten seconds: the outer loop, and what happens inside of it now."""

    def __init__(self, doing: str) -> None:
        self.last = time.monotonic()
        self._outer, self._paces, self._words = doing, {doing: Pace(doing)}, ""

    def __call__(self, phase: str, done: int, total: int, detail: str = "") -> None:
        interrupts.check()
        words = self._paces.setdefault(phase, Pace(phase)).words(done, total)
        if phase == self._outer:
            self._words = words
        if time.monotonic() - self.last > SECONDS:
            self.last = time.monotonic()
            inner = [] if phase == self._outer else [words]
            said = "; ".join(part for part in (self._words, *inner) if part)
            _print(printable(f"{said} {detail}".rstrip()), sys.stderr)


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
