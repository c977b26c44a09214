"""Decisions grouped by their reasons, as a result: rows, groups, saved and drawn."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import foveal
from foveal.errors import ResultError
from foveal.runs.group_effect import GroupEffect
from foveal.runs.reasons import ReasonGroup, Reasons
from tests.runs.photos import drawn, ran


@pytest.fixture
def found(tmp_path: Path) -> Reasons:
    """Twelve decisions of one class in two groups, one of them flagged, and one group of another class."""
    run = ran(drawn(tmp_path / "photos"), tmp_path / "run", contributions=True)[1:20]
    random = np.random.default_rng(0)
    group = np.repeat([0, 1, 2], [8, 4, 6])
    rows = np.arange(1, 19)
    sure = GroupEffect(2.0, 0.3, 0.1, beats=1.0, p=0.01, area=0.1)
    unsure = replace(sure, p=0.2)
    groups = (
        ReasonGroup("a", rows[group == 0], torch.rand(4, 4), (3, 1)),
        ReasonGroup("a", rows[group == 1], torch.rand(4, 4), (0,), odd=True, hiding=sure, appearance=unsure),
        ReasonGroup("b", rows[group == 2], torch.rand(4, 4), odd=True, hiding=unsure),
    )
    places, typical = random.random((18, 2)).astype(np.float32), random.random(18).astype(np.float32)
    return Reasons(run, rows, places, group, typical, groups, notes=("few",), seconds=1.5, versions={"foveal": "1"})


def test_flags_are_odd_groups_with_an_effect(found: Reasons) -> None:
    assert found.flagged == (found.groups[1],) and found.classes == ("a", "b") and len(found) == 18
    assert "tiny: 18 decisions of 2 classes in 3 groups by their reasons, 1 flagged: a, 4 images, odd" in found.summary
    assert "lowers the score by 2, elsewhere in the class by 0.3 ± 0.1 (p = 0.01)" in str(found)
    assert json.loads(json.dumps(found.to_dict()))["groups"][1]["flagged"] is True


def test_the_sentence_says_by_which_test_a_group_is_flagged(found: Reasons) -> None:
    flag = found.groups[1]
    assert flag.hiding and flag.appearance and [*flag.tests] == ["hiding", "appearance"]
    other = replace(flag, hiding=flag.appearance, appearance=replace(flag.hiding, effect=4.0))
    assert other.flagged and other.summary == (
        "4 images, odd: giving them the colors and texture of others of the class lowers the score by 4, elsewhere in "
        "the class by 0.3 ± 0.1 (p = 0.01)"
    )
    assert not replace(other, appearance=None).flagged and not replace(other, odd=False).flagged
    assert replace(flag, appearance=flag.hiding).summary == flag.summary
    assert other.to_dict()["appearance"]["effect"] == 4 and found.groups[0].to_dict()["hiding"] is None


def test_what_another_version_saved_is_refused(found: Reasons, tmp_path: Path) -> None:
    manifest = found.save(tmp_path / "out") / "manifest.json"
    manifest.write_text(manifest.read_text().replace(Reasons.FORMAT, "foveal-reasons/1"))
    with pytest.raises(ResultError, match="foveal-reasons/1"):
        Reasons.load(tmp_path / "out")


def test_saved_and_loaded_it_is_the_same(found: Reasons, tmp_path: Path) -> None:
    again = Reasons.load(found.save(tmp_path / "out"))
    assert (tmp_path / "out" / "groups.png").exists()
    before, after = found.to_dict(), again.to_dict()
    assert before == after and str(again) == str(found)
    assert again.run["id"].tolist() == found.run["id"].tolist()
    for mine, theirs in zip(found.groups, again.groups, strict=True):
        assert torch.equal(mine.mean_map, theirs.mean_map) and mine.rows.tolist() == theirs.rows.tolist()


def test_the_run_may_move_with_it_and_may_not_be_another(found: Reasons, tmp_path: Path) -> None:
    found.save(tmp_path / "out")
    (tmp_path / "there").mkdir()
    for name in ("out", "run"):
        shutil.move(tmp_path / name, tmp_path / "there" / name)
    assert Reasons.load(tmp_path / "there" / "out").run["id"].tolist() == found.run["id"].tolist()
    shutil.move(tmp_path / "there" / "run", tmp_path / "there" / "gone")
    with pytest.raises(ResultError, match="is not there; put it back, or beside them"):
        Reasons.load(tmp_path / "there" / "out")
    ran(tmp_path / "photos", tmp_path / "run", contributions=True, method="hirescam")
    with pytest.raises(ResultError, match="holds another run now"):
        Reasons.load(tmp_path / "there" / "out")


def test_it_is_drawn_also_where_photos_are_gone(found: Reasons, tmp_path: Path) -> None:
    wide = found.figure(side=80).size
    assert wide[0] > 7 * 80 and found.figure(class_name="b", side=80).size[1] < wide[1]
    for file in (tmp_path / "photos").rglob("*.png"):
        file.unlink()
    assert found.figure(side=80).size[0] > 7 * 80
    for options in ({"kind": "nothing"}, {"class_name": "c"}):
        with pytest.raises(ResultError):
            found.figure(**options)  # type: ignore[arg-type]
    assert foveal.Reasons is Reasons
