"""Names of files lead nowhere else, fit every file system, and tell things apart."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath

from hypothesis import given
from hypothesis import strategies as st

from foveal.storage.naming import LONGEST, RESERVED, distinct_names, plain_name, safe_name, short_names

ODD = [
    "..", ".", "", "   ", "...png", "../x", "/etc/passwd", "C:\\x", "a/b", "a\\b", "a\x00b", "con", "CON.txt", "nul .x",
    "x" * 400, "中" * 200, "a" * 118 + "é" * 9, "\udcff", "\u202egpj.exe", "a\nb", "x. ", "COM¹",
    "a\u2028b", "-rf", "~/x",
]  # fmt: skip


@given(st.one_of(st.text(st.characters()), st.sampled_from(ODD)))
def test_any_text_becomes_a_name(text: str) -> None:
    for name in (safe_name(text), plain_name(text)):
        assert name and Path(name).name == name and PureWindowsPath(name).name == name
        assert 0 < len(name.encode()) <= LONGEST + 1 and name.isprintable()
        assert name not in (".", "..") and name[0] not in ". " and name[-1] not in ". "
        assert not set(name) & set('/\\:*?"<>|') and name.partition(".")[0].rstrip().casefold() not in RESERVED
        assert safe_name(name, most=LONGEST + 9) == name


def test_ordinary_names_stay_as_they_are() -> None:
    for name in ("bird 1", "bird.v2", "Vögel (3)", "中文", "a-b_c,d"):
        assert safe_name(name) == name
    assert plain_name("a.b/c d") == "a.b_c_d" and plain_name("") == "_"


@given(st.lists(st.one_of(st.sampled_from(["a", "A", "a-2", "..", "", "é", "e\u0301"]), st.text(max_size=4))))
def test_names_are_told_apart_also_without_capitals(texts: list[str]) -> None:
    names = list(distinct_names(texts))
    assert len(names) == len(texts) == len({name.casefold() for name in names})
    assert names == list(distinct_names(texts))


def test_short_names_are_as_long_as_telling_apart_takes() -> None:
    assert short_names(["a/1.png", "b/1.png"], ["c/2.png"]) == (["a/1.png", "b/1.png"], ["c/2.png"])
    assert short_names(["x/1.png", "x/2.png"], ["y/1.png"]) == (["1.png", "2.png"], ["1.png"])
    assert short_names(["x/1.png", "x/1.png"]) == (["1.png", "1.png"],)
    assert short_names(["1.png", "x/1.png"], []) == (["1.png", "x/1.png"], [])
    assert short_names(["/a/b/1.png", "/c/b/1.png"], ["query 0"]) == (["a/b/1.png", "c/b/1.png"], ["query 0"])
    assert short_names([], [""]) == ([], ["."])
