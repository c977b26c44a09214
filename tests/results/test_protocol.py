"""What every result of every verb has."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields, is_dataclass
from pathlib import Path

import pytest
from PIL import Image

from foveal.errors import ResultError
from foveal.results.result import Result
from tests.results.kinds import KINDS, known, made


def every(kind: type) -> set[type]:
    """Itself and all that derive from it."""
    return {kind, *(one for derived in kind.__subclasses__() for one in every(derived))}


def test_no_result_is_left_out() -> None:
    ours = {kind for kind in every(Result) if kind.__module__.startswith("foveal.")}
    assert {type(made(kind)) for kind in KINDS} == ours - {Result}
    assert len({kind.FORMAT for kind in ours - {Result}}) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_how_it_came_about(kind: str) -> None:
    result = made(kind)
    assert isinstance(result, Result) and is_dataclass(result)
    assert isinstance(result.notes, tuple) and all(isinstance(note, str) for note in result.notes)
    assert result.seconds >= 0 and all(isinstance(said, str) for said in result.versions.values())
    with pytest.raises(FrozenInstanceError):
        setattr(result, fields(result)[0].name, None)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_told_as_plain_data(kind: str) -> None:
    facts = made(kind).to_dict()
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert {"notes", "seconds", "versions"} <= set(facts)


@pytest.mark.parametrize("kind", KINDS)
def test_it_draws_itself(kind: str) -> None:
    result = made(kind)
    figure = result.figure()
    assert isinstance(figure, Image.Image) and min(figure.size) > 20
    assert result.figure(side=150).size != figure.size
    with pytest.raises(ResultError, match="There is no figure 'nothing'"):
        result.figure("nothing")
    html = result._repr_html_()
    shown = "<table" if kind == "scores" else "data:image/"
    assert isinstance(html, str) and shown in html and "http:" not in html and "https:" not in html
    assert str(result) == repr(result) != ""


@pytest.mark.parametrize("kind", KINDS)
def test_it_comes_back_equal_and_draws_alike(kind: str, tmp_path: Path) -> None:
    result = made(kind)
    folder = result.save(tmp_path / "out")
    again = type(result).load(folder)
    assert known(again) == known(result) and again.to_dict() == result.to_dict()
    assert again.figure().tobytes() == result.figure().tobytes()
