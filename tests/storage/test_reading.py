"""Only regular files are read, and no more of them than was allowed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from foveal.storage.reading import DAMAGE, opened, read_bytes, read_json, read_text, reason


def test_regular_files_are_read_whole_also_through_links(tmp_path: Path) -> None:
    file, link = tmp_path / "a", tmp_path / "b"
    file.write_bytes(b'\xef\xbb\xbf{"a": [1]}')
    link.symlink_to(file)
    assert read_json(link) == {"a": [1]}
    assert read_text(file) == '{"a": [1]}'
    with opened(file) as open_file:
        assert open_file.read(3) == b"\xef\xbb\xbf"


@pytest.mark.timeout(20)
def test_pipes_devices_and_folders_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path, word in ((tmp_path / "pipe", "pipe"), (Path("/dev/zero"), "device"), (tmp_path / "link", "device")):
        with pytest.raises(OSError, match="regular file") as error:
            read_bytes(path)
        assert word in reason(error.value)
    with pytest.raises(OSError, match=r"folder|directory"):
        read_bytes(tmp_path)


def test_larger_files_are_refused_before_they_are_read(tmp_path: Path) -> None:
    file = tmp_path / "large"
    with file.open("wb") as sparse:
        sparse.truncate(2**40)
    with pytest.raises(OSError, match=r"1,099,511,627,776 bytes"):
        read_text(file)


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "1" * 10_000, "\x00"])
def test_what_is_no_json_is_damage(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DAMAGE):
        read_json(tmp_path / "a.json")
