"""Words and progress for people, on standard error; answers on standard output."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


def say(*lines: str) -> None:
    """Lines for people, as they are."""
    for line in lines:
        print(line, file=sys.stderr)


def answer_json(answer: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(answer, indent=2, ensure_ascii=False, allow_nan=False))


def answer_table(rows: Sequence[Sequence[object]], *, head: Sequence[str]) -> None:
    """Aligned columns on standard output, the last as long as it likes."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@contextmanager
def busy(doing: str) -> Iterator[None]:
    """A spinner while something takes its time; nothing where no person is watching."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(doing):
        yield


@contextmanager
def progress(doing: str) -> Iterator[Callable[[str, int, int, str], None]]:
    """A bar for each phase, moved by `move(phase, done, total, words)`; a line now and then where no person watches."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Log()
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[words]}"),
    )
    # Answers may be piped elsewhere while the bar is drawn: they are none of its business.
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
        tasks = {doing: bar.add_task(doing, total=None, words="")}

        def move(phase: str, done: int, total: int, words: str = "") -> None:
            if phase not in tasks:
                tasks[phase] = bar.add_task(phase, words="")
            if doing in tasks and phase != doing:
                bar.remove_task(tasks.pop(doing))
            bar.update(tasks[phase], completed=done, total=total, words=words)

        yield move


class _Log:
    """Progress as lines, one every ten seconds."""

    def __init__(self) -> None:
        self.said = time.monotonic()

    def __call__(self, phase: str, done: int, total: int, words: str = "") -> None:
        if time.monotonic() - self.said > 10:
            self.said = time.monotonic()
            say(f"{phase} {done}/{total} {words}".rstrip())
