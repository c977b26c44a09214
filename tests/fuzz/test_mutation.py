"""The engine of damage: a number decides what it does, and it always does something."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from tests.fuzz.mutation import BYTES, JSON, damaged_copy, draw, mutated_bytes, mutated_json, mutated_zip, places

DOCUMENT = {"a": [1, 2.5, {"b": None, "c": "text"}], "d": {}, "e": [[], True], "n": -3}


def archive() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name in "ab":
            file.writestr(name, name * 50)
    return packed.getvalue()


@pytest.mark.parametrize("content", [b"x", b"some bytes that are longer", bytes(3000)])
def test_bytes_change_and_the_same_number_changes_them_alike(content: bytes) -> None:
    for number in range(200):
        new, what = mutated_bytes(content, number)
        assert new != content and (new, what) == mutated_bytes(content, number)
    assert {mutated_bytes(content, number)[1] for number in range(400)} <= {kind.__name__ for kind in BYTES}


def test_documents_change_in_every_way() -> None:
    text = json.dumps(DOCUMENT)
    found = [mutated_json(text, number) for number in range(300)]
    assert {what for _, what in found} == {kind.__name__ for kind in JSON}
    assert found == [mutated_json(text, number) for number in range(300)]
    assert all(new != text for new, _ in found)
    doubled = next(new for new, what in found if what == "double_key")
    assert len(json.loads(doubled, object_pairs_hook=lambda pairs: pairs)) >= len(DOCUMENT)
    assert len(places(DOCUMENT)) == 11
    assert mutated_json("{}", 0) == ("", "nothing_left")


def test_archives_stay_archives() -> None:
    whole = archive()
    for number in range(100):
        with zipfile.ZipFile(io.BytesIO(mutated_zip(whole, number)[0])) as file:
            assert file.testzip() is None


def test_the_original_stays(tmp_path: Path) -> None:
    folder = tmp_path / "result"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps(DOCUMENT))
    (folder / "b.npz").write_bytes(archive())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for number in range(60):
        with damaged_copy(folder, number) as (copied, what):
            assert what and copied.name == "result"
        with damaged_copy(folder / "a.json", number) as (copied, what):
            assert copied.read_bytes() != before["a.json"] or "nothing" in what
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert draw(1, "a").random() == draw(1, "a").random() != draw(2, "a").random()
