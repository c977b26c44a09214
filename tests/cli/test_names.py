"""Whatever a photo is called, what is made of it lies in the folder that was named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from foveal.cli import options
from foveal.cli.app import app
from tests.birds import drawn_bird

NAMES = [
    "...png",
    "....png",
    "bird 1.png",
    "Bird 1.PNG",
    "con.png",
    "a:b.png",
    ".hidden.png",
    "\u202e.png",
    "x" * 250 + ".png",
]


@given(
    st.lists(st.one_of(st.sampled_from(NAMES), st.text(min_size=1)).filter(lambda name: "/" not in name), max_size=8)
)
def test_each_photo_has_a_folder_of_its_own_inside(names: list[str]) -> None:
    out = Path("/somewhere/out")
    asked = [Path("photos") / name for name in names] or [Path("x.png")]
    photos, places = options.folders(asked, out)
    assert photos == asked and len(places) == len(photos)
    assert all(folder.parent == out and Path(os.path.normpath(folder)) == folder for folder in places)
    assert len({folder.name.casefold() for folder in places}) == len(places)


@pytest.mark.parametrize("command", ["explain", "decompose", "parts"])
def test_odd_names_stay_inside(command: str, tmp_path: Path) -> None:
    place = tmp_path / "photos"
    place.mkdir()
    for number, name in enumerate(("...png", "a:b.png", "tree.png", b"a\xffb.png")):
        with open(os.path.join(os.fsencode(place), os.fsencode(name)), "wb") as file:  # noqa: PTH118, PTH123
            drawn_bird(number, 5).save(file, "PNG")
    photos = sorted(str(path) for path in place.iterdir())
    done = CliRunner().invoke(app, [command, *photos, "-m", "demo", "-o", str(tmp_path / "deep" / "out")])
    assert done.exit_code == 0, done.stderr
    made = [path for path in tmp_path.rglob("*") if path.is_file() and place not in path.parents]
    assert made and all(tmp_path / "deep" / "out" in path.parents for path in made)
    assert len({path.parent for path in made if path.name == "manifest.json"}) == 4
