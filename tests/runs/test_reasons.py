"""Decisions grouped by why: a cue in some pictures of a class is found where the network uses it, and only there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import foveal
from foveal.errors import FovealError, MethodError, ModelError, ResultError
from foveal.images import Preprocessing
from foveal.models import Model
from foveal.runs import grouping
from foveal.runs.group_effect import permuted
from foveal.runs.group_tests import class_number
from foveal.runs.reasons import Reasons
from tests.runs.photos import drawn, ran

SIDE, COUNT = 24, 40


class Colors(nn.Module):
    """Class "red" by red or, as strongly, by blue; class "green" by green. Channels are colors."""

    def __init__(self, *, blue: float) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.ReLU(), nn.AvgPool2d(3))
        self.head = nn.Linear(3, 2, bias=False)
        self.body[0].weight.data = torch.eye(3)[:, :, None, None]  # type: ignore[assignment]
        self.head.weight.data = torch.tensor([[20.0, 0, blue], [0, 20.0, 0]])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.body(x).mean((2, 3)))
        return scores


def model(blue: float = 60.0) -> Model:
    size = Preprocessing((SIDE, SIDE), mean=(0.0,) * 3, std=(1.0,) * 3)
    return Model(Colors(blue=blue).eval(), "colors", size, ("red", "green"), task="classes")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Disks on noise; each fifth red one has a blue square in a corner."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    for channel, name in enumerate(("red", "green")):
        (folder / name).mkdir()
        for i in range(COUNT):
            picture = random.integers(0, 25, (SIDE, SIDE, 3)) * [1, 1, 0]
            a, b = random.integers(8, 16, 2)
            picture[(y - a) ** 2 + (x - b) ** 2 < 30, channel] = 200 + random.integers(-20, 20)
            if name == "red" and i % 5 == 0:
                picture[1:8, 1:8] = (0, 0, random.integers(190, 230))
            Image.fromarray(picture.astype(np.uint8)).save(folder / name / f"{i:02d}.png")
    return folder


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> foveal.Run:
    return made(photos, tmp_path_factory.mktemp("runs") / "run", model())


def made(photos: Path, out: Path, network: Model) -> foveal.Run:
    return foveal.run(network, photos, out=out, method="hirescam", contributions=True, batch=16)


@pytest.fixture(scope="module")
def found(run: foveal.Run) -> Reasons:
    return foveal.reasons(run, model())


def marked(run: foveal.Run) -> list[int]:
    return [i for i, uri in enumerate(run["uri"]) if uri.startswith("red/") and int(uri[4:6]) % 5 == 0]


def test_a_planted_cue_is_a_flagged_group(run: foveal.Run, found: Reasons) -> None:
    (flag,) = found.flagged
    assert flag.class_name == "red" and flag.rows.tolist() == marked(run) and flag.channels == (2,)
    hiding = flag.hiding
    assert hiding and hiding.effect > 5 * max(hiding.chance, 0.05) and hiding.p <= 0.01 and hiding.beats == 1
    assert 0.02 < hiding.area < 0.2 and flag.appearance and flag.appearance.area == 1
    assert "hiding what they share lowers the score" in flag.summary
    third = len(flag.mean_map) // 3
    corner = flag.mean_map[:third, :third].sum() / flag.mean_map.sum()
    assert corner > 0.5 and float(flag.mean_map.sum()) == pytest.approx(1, abs=1e-5)


def test_every_decision_has_a_group_a_place_and_a_rank(run: foveal.Run, found: Reasons) -> None:
    assert found.rows.tolist() == list(range(2 * COUNT)) and found.classes == ("green", "red")
    for k, group in enumerate(found.groups):
        assert np.array_equal(found.rows[found.group == k], np.sort(group.rows))
        assert {run["predicted"][row] for row in group.rows} == {group.class_name}
    assert found.places.min() == 0 and found.places.max() == 1
    for name in found.classes:
        own = found.typical[run["predicted"] == name]
        assert own.mean() == pytest.approx(0.5) and own.min() >= 0 and own.max() <= 1


def test_a_network_that_does_not_use_the_cue_is_not_flagged(photos: Path, tmp_path: Path) -> None:
    plain = model(blue=0.0)
    assert not foveal.reasons(made(photos, tmp_path / "run", plain), plain).flagged


def test_the_same_again_by_each_way(run: foveal.Run, found: Reasons, tmp_path: Path) -> None:
    again = foveal.reasons(run, model())
    same = {**again.to_dict(), "seconds": 0} == {**found.to_dict(), "seconds": 0}
    assert same and Reasons.load(found.save(tmp_path / "out")).to_dict() == found.to_dict()
    spectral = foveal.reasons(run, model(), grouping="spectral")
    assert spectral.grouping == "spectral" and marked(run) in [g.rows.tolist() for g in spectral.flagged]
    bare = foveal.reasons(run, effects=False, by="label")
    assert not bare.flagged and any(group.odd for group in bare.groups) and all(not g.tests for g in bare.groups)
    part = foveal.reasons(run[marked(run)], model())
    assert len(part.groups) == 1 and "1 class with fewer than 12 decisions" in part.notes[0]


def test_another_network_is_refused(run: foveal.Run) -> None:
    cases = (
        (model(blue=59.0), "other weights"),
        (None, "cannot load the network"),
        (replace(model(), preprocessing=Preprocessing((32, 32))), "another preprocessing"),
    )
    for other, said in cases:
        with pytest.raises(ModelError, match=said):
            foveal.reasons(run, other)


def test_what_does_not_fit_is_said(run: foveal.Run, tmp_path: Path) -> None:
    for options in ({"by": "uri"}, {"grouping": "k-means"}, {"draws": 5}, {"most": 0}, {"pictures": 1}):
        with pytest.raises(MethodError):
            foveal.reasons(run, model(), **options)  # type: ignore[arg-type]
    bare = ran(drawn(tmp_path / "photos", 6), tmp_path / "run")
    with pytest.raises(ResultError, match="no channel contributions"):
        foveal.reasons(bare)
    with pytest.raises(FovealError, match="no explained row"):
        foveal.reasons(run[[]], model())


def test_numbers_that_are_not_finite_are_said(run: foveal.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    known = foveal.Run.contributions

    def broken(self: foveal.Run, of: str = "sum") -> np.ndarray:
        values = known(self, of)
        values[3, 0] = np.inf
        return values

    monkeypatch.setattr(foveal.Run, "contributions", broken)
    with pytest.raises(
        ResultError, match="not finite numbers in 1 decision: leave these rows out, the first is green/03"
    ):
        foveal.reasons(run, model())


def test_groups_are_as_many_as_there_is_evidence_for() -> None:
    random = np.random.default_rng(0)
    one = random.normal(size=(60, 2))
    assert set(grouping.mixture(one, most=6)[0]) == {0}
    three = np.concatenate([one, one + 12, one - (12, -12)])
    for labels in (grouping.mixture(three, most=6)[0], grouping.spectral(three, most=6)):
        assert len(set(labels)) == 3 and all(len(set(labels[k : k + 60])) == 1 for k in (0, 60, 120))
    assert grouping.apart(three, np.arange(180) < 60) > 0.7 > 0.1 > abs(grouping.apart(one, np.arange(60) % 2 == 0))
    assert set(grouping.mixture(np.zeros((20, 2)), most=4)[0]) == {0}


def test_the_chance_of_an_effect_is_that_of_numbers_dealt_out_at_random() -> None:
    random = np.random.default_rng(0)
    same = [permuted(random.normal(size=30), 6, 199, random) for _ in range(200)]
    assert np.mean(np.array(same) <= 0.05) < 0.1 and 0.4 < np.mean(same) < 0.6
    assert permuted(np.array([3.0] * 6 + [0.0] * 24), 6, 199, random) == pytest.approx(1 / 200)
    assert [class_number(said) for said in ("jay (17)", "class 4", "jay", None)] == [17, 4, -1, -1]


def test_a_class_with_a_single_decision_is_a_group_of_its_own(tmp_path: Path) -> None:
    photos = drawn(tmp_path / "photos", 3)
    found = foveal.reasons(ran(photos, tmp_path / "run", contributions=True), by="label", effects=False)
    assert {group.class_name: len(group) for group in found.groups} == {"a": 2, "b": 1}
    assert [float(rank) for rank in found.typical[found.rows == 2]] == [0.0] and "were not grouped" in str(found)
