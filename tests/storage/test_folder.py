"""A folder holds the earlier result or the new one, whenever the writer is killed, and nobody else's files go."""

from __future__ import annotations

import errno
import json
import os
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from foveal.errors import ResultError
from foveal.storage import folder as folders
from foveal.storage.folder import MOVING, current, written_aside
from foveal.storage.leftovers import temporary
from foveal.storage.manifest import Saved, load, write_manifest
from tests.storage.crashing import killed_at, left_over, together

FORMAT = "foveal-test/1"


def save(folder: Path, value: int, *names: str) -> None:
    """A result of a few files that all say the same."""
    with written_aside(folder) as aside:
        for name in names or ("a.txt", "b.txt", f"own{value % 3}.txt"):
            (aside / name).write_text(f"{value}")
        write_manifest(aside, {"format": FORMAT, "value": value, "names": list(names)})


def loaded(folder: Path) -> int:
    """The value, which every file of the result agrees on."""

    def build(saved: Saved) -> int:
        said = {name: saved.text_of(name) for name in saved["files"]}
        assert set(said.values()) == {str(saved["value"])}, said
        return int(saved["value"])

    return load(folder, FORMAT, build)


def test_killed_at_any_step_the_earlier_result_or_the_new_one_is_there(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    step, seen = 0, set()
    save(out, 0)
    (out / "mine.txt").write_text("keep me")
    while True:
        now = loaded(out)
        killed = killed_at(step, partial(save, out, now + 1))
        assert loaded(out) in ((now, now + 1) if killed else (now + 1,))
        assert (out / "mine.txt").read_text() == "keep me"
        seen.add((loaded(out) > now, (out / MOVING).exists()))
        if not killed:
            break
        save(out, now + 2)
        assert loaded(out) == now + 2 and not left_over(tmp_path)
        assert len(list(out.iterdir())) == 5
        step += 1
    assert step > 15 and seen >= {(False, False), (True, True), (True, False)}


def test_killed_at_any_step_a_new_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    step = 0
    while True:
        out = tmp_path / f"{step}"
        if not killed_at(step, partial(save, out, 1)):
            break
        assert not out.exists() or loaded(out) == 1
        save(out, 2)
        assert loaded(out) == 2
        step += 1
    assert step > 4 and not left_over(tmp_path)


def test_a_move_that_was_broken_off_is_read_without_being_ended_and_ended_by_the_next_save(tmp_path: Path) -> None:
    save(tmp_path / "out", 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", _refused)
        with pytest.raises(ResultError, match="Cannot save"):
            save(tmp_path / "out", 4)
    assert (tmp_path / "out" / MOVING).is_dir()
    before = sorted((tmp_path / "out").rglob("*"))
    assert loaded(tmp_path / "out") == 4
    assert sorted((tmp_path / "out").rglob("*")) == before
    save(tmp_path / "out", 2)
    assert loaded(tmp_path / "out") == 2 and not left_over(tmp_path)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.txt", "b.txt", "manifest.json", "own2.txt"]


def _refused(*_: Any) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_writers_at_once_each_end_as_one_whole_result(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def write(first: int) -> None:
        for value in range(first, first + 12):
            save(out, value)
            loaded(out)

    assert together(*(lambda first=first: write(first) for first in (0, 100, 200, 301))) == [0, 0, 0, 0]
    assert loaded(out) in (11, 111, 211, 312) and not left_over(tmp_path)
    assert len(list(out.iterdir())) == 4


def test_threads_at_once(tmp_path: Path) -> None:
    failed: list[Exception] = []

    def write(first: int) -> None:
        try:
            for value in range(first, first + 10):
                save(tmp_path / "out", value)
                loaded(tmp_path / "out")
        except Exception as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 50, 101)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and loaded(tmp_path / "out") in (9, 59, 110)


@pytest.mark.parametrize("files", [{"letter.txt": "0"}, {"letter.txt": None, "../x": "0"}, {"mine": 7}, {}])
def test_a_manifest_of_somebody_else_costs_no_file(files: dict[str, Any], tmp_path: Path) -> None:
    """It may name any file, and call itself anything: what does not carry our digest is not ours."""
    for name in ("letter.txt", "own1.txt"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "manifest.json").write_text(json.dumps({"format": "foveal-test/1", "files": files}))
    save(tmp_path, 0)
    assert loaded(tmp_path) == 0
    assert (tmp_path / "letter.txt").read_text() == "mine" and (tmp_path / "own1.txt").read_text() == "mine"
    with pytest.raises(ResultError, match=r"'own1.txt' there was not written by foveal"):
        save(tmp_path, 1)
    assert loaded(tmp_path) == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"format": "foveal-test/1", "files": ["a.txt"]}',
        '{"format": "theirs", "files": {"a.txt": "0"}}',
        "{}",
    ],
)
def test_a_manifest_that_is_none_of_ours_stays(text: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ResultError, match=r"'manifest.json' there was not written"):
        save(tmp_path, 0)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("manifest.json", text)]


def test_a_file_of_ours_that_was_changed_is_no_longer_ours(tmp_path: Path) -> None:
    save(tmp_path / "out", 0)
    (tmp_path / "out" / "own0.txt").write_text("edited")
    save(tmp_path / "out", 1)  # has no such file: it stays
    assert (tmp_path / "out" / "own0.txt").read_text() == "edited"
    (tmp_path / "out" / "b.txt").write_text("edited")
    with pytest.raises(ResultError, match=r"'b.txt' there was changed since foveal wrote it; move it away"):
        save(tmp_path / "out", 2)
    assert (tmp_path / "out" / "b.txt").read_text() == "edited" and not left_over(tmp_path)
    (tmp_path / "out" / "b.txt").unlink()
    (tmp_path / "out" / "b.txt").mkdir()
    with pytest.raises(ResultError, match="was changed"):
        save(tmp_path / "out", 2)


def test_links_and_mounts(tmp_path: Path) -> None:
    """Through a link to a folder, there or yet to be made."""
    (tmp_path / "there").mkdir()
    for name in ("there", "not yet"):
        (tmp_path / f"link to {name}").symlink_to(tmp_path / name)
        save(tmp_path / f"link to {name}", 1)
        save(tmp_path / f"link to {name}", 2)
        assert loaded(tmp_path / name) == 2 and (tmp_path / f"link to {name}").is_symlink()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device"), ValueError()])
def test_what_stops_a_writer_leaves_the_earlier_result(error: BaseException, tmp_path: Path) -> None:
    save(tmp_path / "out", 0)
    kind = ResultError if isinstance(error, OSError) else type(error)
    for folder in (tmp_path / "out", tmp_path / "new"):
        with pytest.raises(kind), written_aside(folder) as aside:
            (aside / "a.txt").write_text("half")
            raise error
    assert loaded(tmp_path / "out") == 0 and not (tmp_path / "new").exists() and not left_over(tmp_path)


def test_a_full_disk_is_said_in_a_sentence(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with (
        pytest.raises(ResultError, match=r"Cannot save to .*: No space left on device\."),
        written_aside(tmp_path / "o"),
    ):
        Path("/dev/full").write_bytes(b"x")


def test_what_a_running_writer_writes_is_left_alone(tmp_path: Path) -> None:
    save(tmp_path / "out", 0)
    with temporary(tmp_path / "out") as own:
        own.mkdir()
        other = own.with_name(own.name.replace(f"-{os.getpid()}-", f"-{os.getppid()}-"))  # of a process that runs
        dead = own.with_name(own.name.replace(f"-{os.getpid()}-", "-999999999-"))
        elsewhere = own.with_name(own.name.replace(own.name.split("-")[2], "0" * 8))
        for path in (other, dead, elsewhere):
            path.mkdir()
        save(tmp_path / "out", 1)
        assert own.exists() and other.exists() and elsewhere.exists() and not dead.exists()
        os.utime(elsewhere, (0, 0))
        save(tmp_path / "out", 2)
        assert own.exists() and other.exists() and not elsewhere.exists()
    assert not own.exists()


def test_a_reader_meets_a_save(tmp_path: Path) -> None:
    """The manifest it read is replaced before it reads the rest: it begins again."""
    save(tmp_path, 0)
    tries = []

    def build(saved: Saved) -> int:
        tries.append(saved["value"])
        if len(tries) == 1:
            save(tmp_path, 1)
        assert saved.text_of("a.txt") == str(saved["value"])
        return int(saved["value"])

    assert load(tmp_path, FORMAT, build) == 1 and tries == [0, 1]


def test_nobody_waits_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, 0)
    monkeypatch.setattr(folders, "alone", lambda lock: folders_alone(lock, patience=0.1))
    from foveal.storage.lock import alone as folders_alone

    with folders_alone(tmp_path / ".foveal-lock"), pytest.raises(ResultError, match="another program"):
        save(tmp_path, 1)
    save(tmp_path, 2)
    assert loaded(tmp_path) == 2


def test_names_that_are_no_text_and_numbers_that_are_none_come_back(tmp_path: Path) -> None:
    content: dict[str, Any] = {
        "format": FORMAT, "odd": "a\udcff.png \u2028 \x85", "numbers": [float("inf"), float("-inf"), 1e300, 2**70],
        "keys": {1: "a", None: [True], 2.5: {"$number": "nan"}}, "$number": {"$pairs": {"$data": []}},
    }  # fmt: skip
    with written_aside(tmp_path / "out") as aside:
        write_manifest(aside, content)
    found = load(tmp_path / "out", FORMAT, lambda saved: dict(saved.content))
    assert {key: found[key] for key in content} == content
    with current(tmp_path / "out", "manifest.json") as file:
        json.loads(file.read().decode(), parse_constant=lambda name: pytest.fail(name))
