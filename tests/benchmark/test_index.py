"""index.csv as people and spreadsheets write it: read rightly, or one sentence that names the line and the file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from foveal.benchmark.index import is_there, shots, unlisted
from foveal.errors import ImageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b").mkdir()
    for name in ("a.png", "b/a.png", "é.png", "m.png"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def read(folder: Path, content: str | bytes) -> list[tuple[str, object, object, object]]:
    index = folder / "index.csv"
    index.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [(one.name, one.target, one.boxes, one.mask and one.mask.name) for one in shots(folder)]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_is_known_is_read(folder: Path, mark: bytes, end: str) -> None:
    lines = [
        "file, target ,boxes,mask,notes",
        "a.png,jay,,,",
        '"é.png",3,"[[0, 1.5, 20, 30]]",m.png,',
        "",
        "b/a.png,,,,",
        ",,,,",
    ]
    assert read(folder, mark + end.join(lines).encode()) == [
        ("a.png", "jay", None, None), ("é.png", "3", [(0.0, 1.5, 20.0, 30.0)], "m.png"), ("b/a.png", None, None, None),
    ]  # fmt: skip


def test_photos_of_one_name_in_two_folders_and_one_photo_twice_are_told_apart(folder: Path) -> None:
    names = [one.name for one in shots(folder)]
    assert "a.png" in names and "b/a.png" in names and len(set(names)) == len(names) == 4
    found = read(folder, "file,target\na.png,1\nb/a.png,1\na.png,2\n")
    assert [(name, target) for name, target, *_ in found] == [("a.png", "1"), ("b/a.png", "1"), ("a.png #2", "2")]
    assert read(folder, "file,class_index\na.png,7\n")[0][1] == "7"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("file,target\na.png,1\né.png,2\n".encode("latin-1"), "Line 3"),
        ("file,target\na.png,1\n".encode("utf-16"), "Line 1"),
        ("", "Line 1"),
        ("name,target\na.png,1\n", "Line 1"),
        ("file;target\na.png;1\n", "Line 1"),
        ("file,file\na.png,a.png\n", "Line 1"),
        ("a.png\n", "Line 1"),
        ("file,target,mask\na.png,1\n", "Line 2"),
        ("file,target,mask\na.png,1,\n\nb/a.png\n", "Line 4"),
        ("file\na.png,1\n", "Line 2"),
        ('file,target\na.png,"1\n', "line 2"),
        ('file\na.png\n"a.png"x\n', "line 3"),
        (f"file,target\na.png,{'x' * 200_000}\n", "line 2"),
        *((f'file,boxes\na.png,\na.png,"{boxes}"\n', "line 3") for boxes in (
            "[[1, 2]]", "[1, 2, 3]", "[5, 2, 3, 4]", "{", "7", "[[0, 0, 0, 5]]", "[[5, 0, 1, 5]]", "[[0, 0, NaN, 5]]",
            "[[0, 0, 1e999, 5]]", "[[0, 0, null, 5]]", "[" * 20_000, "[[0, 0, {}, 5]]",
        )),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_with_line_and_file(folder: Path, content: str | bytes, line: str) -> None:
    with pytest.raises(ImageError) as caught:
        read(folder, content)
    said = str(caught.value)
    assert line in said and "index.csv" in said and "\n" not in said and len(said) < 600


def test_an_index_that_is_no_file_or_names_nothing(folder: Path) -> None:
    with pytest.raises(ImageError, match="lists no photos"):
        read(folder, "file\n")
    (folder / "index.csv").unlink()
    os.mkfifo(folder / "index.csv")
    with pytest.raises(ImageError, match="named pipe"):
        shots(folder)


@pytest.mark.parametrize("name", ["nothing.png", "b", '""', "a\x00.png", "x" * 5000])
def test_a_photo_that_is_not_there_is_kept_for_the_end(folder: Path, name: str) -> None:
    read(folder, f"file,target\na.png,1\n{name},1\n")
    first, second = shots(folder)
    assert is_there(first.path) and not is_there(second.path) and second.where.startswith("line 3 of")
    assert first.path not in unlisted(folder, [first, second])


def test_one_box_needs_no_outer_brackets(folder: Path) -> None:
    assert read(folder, 'file,boxes\na.png,"[1, 2, 3, 4]"\n')[0][2] == [(1.0, 2.0, 3.0, 4.0)]


def test_a_folder_that_is_not_there(folder: Path) -> None:
    with pytest.raises(ImageError, match="There is no folder"):
        shots(folder / "nowhere")
