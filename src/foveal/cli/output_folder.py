"""The folder a command writes to: checked before the work, and shown on a page that is brought up to date meanwhile."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foveal._version import __version__
from foveal.cli import console
from foveal.errors import FovealError, ResultError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from foveal.storage.run_record import RunRecord

OTHER = "choose another folder with --out"
KINDS = {"measure": "scores", "compare": "scores", "match": "match", "episode": "episode", "run": "run",
         "reasons": "reasons"}  # fmt: skip
"""Commands that save a result in the folder itself, and the kind of it."""
EVERY = 15.0
"""Seconds after which the page shows what was written since."""


class OutputFolder:
    """What a command does to its folder besides writing its results.

    Attributes:
        path: the folder.
        command: "explain", "benchmark folder".
        settings: every option of the command but those of its output, by name.
        page: index.html in it.
    """

    def __init__(self, path: Path, command: str, line: str, settings: Mapping[str, Any]) -> None:
        self.path, self.command, self.settings = path, command, settings
        self._line = line
        self._files: dict[str, None] = {}
        self._messages: list[str] = []
        self._written = -EVERY
        self._earlier: RunRecord | None = None
        self._done = (0, 0, "photos")
        self._kept: tuple[Path, tuple[str, ...]] = (path, ())

    @property
    def page(self) -> Path:
        return self.path / "index.html"

    def check(self) -> None:
        """Before the work: that results of this command may be written here.

        Raises:
            ResultError: in one sentence that says what is in the way.
        """
        from foveal.report.index import is_index
        from foveal.storage.folder import MANIFEST, kind_of, listed
        from foveal.storage.run_record import read_record

        where = f"Cannot write to {str(self.path)!r}"
        _check_writable(self.path, where)
        try:
            record = read_record(self.path)
        except ResultError as error:
            raise ResultError(f"{where}: {str(error).rstrip('.')}; {OTHER}.") from error
        self._earlier = record
        if record and record.command != self.command:
            raise ResultError(f"{where}: it holds results of `foveal {record.command}`; {OTHER}.")
        if record is None and (kind := kind_of(self.path)) not in (None, KINDS.get(self.command)):
            raise ResultError(f"{where}: it holds a saved result of another kind ({kind}); {OTHER}.")
        if os.path.lexists(self.path / MANIFEST) and listed(self.path) is None:
            raise ResultError(f"{where}: {MANIFEST} there was not written by foveal; {OTHER}.")
        if os.path.lexists(self.page) and not is_index(self.page):
            raise ResultError(f"{where}: {self.page.name} there was not written by foveal; {OTHER}.")

    @contextmanager
    def filled(self) -> Iterator[None]:
        """Around the work: what is written and said inside is listed in the folder; at the end the page is whole."""
        from foveal.storage.written import listening

        finished = False
        with console.heard(self._messages):
            try:
                with listening(self._list):
                    yield
                finished = True
            except SystemExit:
                raise
            except Exception as error:
                finished = getattr(error, "exit_code", None) in (0, 1)  # done, but for some photos
                raise
            finally:
                self._finish(finished=finished)

    def done(self, count: int, total: int, what: str = "photos") -> None:
        """So many of so many are saved."""
        self._done = (count, total, what)

    def goes_on(self, *kept: str, folder: Path | None = None) -> None:
        """After an interruption the same command goes on from files of such names, here or in another folder."""
        self._kept = (folder or self.path, kept)

    def interrupted(self) -> str:
        """What an interruption leaves, and how to go on."""
        (count, total, what), (folder, kept) = self._done, self._kept
        goes_on = any(True for pattern in kept for _ in folder.glob(pattern))
        if goes_on and not count:
            return f"interrupted: run the same command again to continue from what is kept in {folder}"
        if not (count or self._files):
            return f"interrupted: nothing is done yet in {self.path}; run the same command again to start over"
        done = f"{count} of {total} {what} are done" if count else "what was written is"
        then = "run the same command again to continue" if goes_on else "the same command starts again from the first"
        return f"interrupted: {done} in {self.path}; {then}"

    def show(self, *, open: bool) -> None:
        """The last line for people: where the page is. Opens it in a browser, too, if there is one."""
        if not (self._files and _speaks() and self.page.is_file()):
            return
        console.info(f"open {self.page}")
        if open:
            import webbrowser

            opened = False
            with suppress(webbrowser.Error, OSError):
                opened = webbrowser.open(self.page.resolve().as_uri())
            if not opened:
                console.info("note: no browser was found here: open the page yourself")

    def _list(self, path: Path) -> None:
        """A file that was written: listed if it is in the folder."""
        from foveal.storage.run_record import RECORD

        root, file = Path(os.path.realpath(self.path)), Path(os.path.realpath(path))
        if not file.is_relative_to(root) or file in (root / RECORD, root / self.page.name):
            return
        self._files[file.relative_to(root).as_posix()] = None
        if time.monotonic() - self._written > EVERY:
            self._write(finished=False)

    def _finish(self, *, finished: bool) -> None:
        if self._files and _speaks():
            self._write(finished=finished)

    def _write(self, *, finished: bool) -> None:
        """The record and the page; the results do not depend on them, so nothing ends for want of them."""
        from foveal.report.index import write_index
        from foveal.storage.run_record import RunRecord, read_record, write_record

        self._written = time.monotonic()
        with suppress(FovealError, OSError):
            mine = RunRecord(self.command, self._line, tuple(self._files), tuple(self._messages), finished, __version__)
            files = mine.after(read_record(self.path), self.path).files  # those of runs beside this one, too
            record = replace(mine.after(self._earlier, self.path), files=files)
            write_record(self.path, record)
            write_index(self.path, record)


def _speaks() -> bool:
    """Whether this process is the only one, or the first of those that train together."""
    return os.environ.get("LOCAL_RANK", "0") == os.environ.get("NODE_RANK", "0") == "0"


def _check_writable(folder: Path, where: str) -> None:
    """That the folder is one, or can be made, and takes files: tried in the nearest folder above that exists."""
    import tempfile

    try:
        there = folder
        while not os.path.lexists(there) and there != there.parent:
            there = there.parent
        if not there.is_dir():
            what = "it is" if there == folder else f"{str(there)!r} is"
            raise ResultError(f"{where}: {what} a file, not a folder; {OTHER}.")
        with tempfile.TemporaryFile(dir=there):
            pass
    except ResultError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ResultError(f"{where}: {reason[:1].lower()}{reason[1:]}; {OTHER}.") from error
