"""A file is what it was, or what it was to become, whatever stops the writer."""

from __future__ import annotations

import errno
from functools import partial
from pathlib import Path

import pytest

from foveal.errors import ModelError, ResultError
from foveal.storage.atomic import whole_file, write_bytes, write_text
from tests.storage.crashing import killed_at, left_over, together

LONG = b"x" * 100_000


def test_killed_at_any_step_the_file_is_old_or_new(tmp_path: Path) -> None:
    step, killed = 0, True
    while killed:
        new, file = tmp_path / f"{step}" / "a.pt", tmp_path / "a.pt"
        killed = killed_at(step, partial(write_bytes, new, LONG))
        assert new.read_bytes() == LONG if new.exists() else killed
        write_bytes(file, b"old")
        killed_at(step, partial(write_bytes, file, LONG))
        assert file.read_bytes() in (b"old", LONG)
        for path in (new, file):
            write_bytes(path, b"again")
            assert path.read_bytes() == b"again"
        step += 1
    assert step > 5 and not left_over(tmp_path)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device"), ValueError()])
def test_what_stops_the_writer_leaves_the_file(error: BaseException, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    write_text(file, "old")
    kind = ModelError if isinstance(error, OSError) else type(error)
    with pytest.raises(kind), whole_file(file, ModelError) as aside:
        aside.write_text("half")
        raise error
    assert file.read_text() == "old" and not left_over(tmp_path)


def test_links_and_permissions_stay(tmp_path: Path) -> None:
    file, link = tmp_path / "a.txt", tmp_path / "link.txt"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file)
    write_text(link, "new \udcff")
    assert link.is_symlink() and file.read_text() == r"new \udcff" and file.stat().st_mode & 0o777 == 0o640
    with whole_file(tmp_path / "picture.png") as aside:
        assert aside.suffix == ".png"
        aside.touch()
    long = tmp_path / ("a." + "b" * 200)
    write_text(long, "fits")
    assert long.read_text() == "fits"


def test_where_nothing_can_be_written_one_sentence_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "a.txt", tmp_path / "folder", tmp_path / ("x" * 300), tmp_path / "folder" / ".."):
        with pytest.raises(ResultError, match=r"^Cannot write .*\.$") as caught:
            write_text(path, "x")
        assert "\n" not in str(caught.value)
    assert not left_over(tmp_path)


def test_writers_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    def write(letter: bytes) -> None:
        for _ in range(30):
            write_bytes(tmp_path / "a", letter * 50_000)
            assert len(set((tmp_path / "a").read_bytes())) == 1

    assert together(*(partial(write, letter) for letter in (b"a", b"b", b"c"))) == [0, 0, 0]
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]
