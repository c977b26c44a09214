"""What tests of a group find: a color cast by which a network decides, and what cannot be compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import foveal
from foveal.errors import ImageError, TargetError
from foveal.images import Preprocessing
from foveal.models import Model
from foveal.runs.group_tests import GroupTests

SIDE, COUNT, USES = 24, 40, 300.0


class CastLayer(nn.Module):
    """Red and green, and in one corner whether the image is blue as a whole."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        colors = nn.functional.adaptive_avg_pool2d(x, 8)
        blue = (10 * (x[:, 2:].mean((2, 3), keepdim=True) - 0.1)).clamp(0, 1)
        corner = torch.zeros(1, 1, 8, 8)
        corner[..., :2, :2] = 1
        return torch.cat([colors[:, :2], blue * corner], 1)


class CastNetwork(nn.Module):
    """Class "red" by red, or by a blue cast, as far as `uses` says; class "green" by green."""

    def __init__(self, uses: float) -> None:
        super().__init__()
        self.body, self.head = CastLayer(), nn.Linear(3, 2, bias=False)
        self.head.weight.data = torch.tensor([[20.0, 0, uses], [0, 20.0, 0]])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.body(x).mean((2, 3)))
        return scores


def network(uses: float, preprocessing: Preprocessing | None = None) -> Model:
    return Model(CastNetwork(uses).eval(), "cast", preprocessing, ("red", "green"), task="classes")


def sized() -> Preprocessing:
    return Preprocessing((SIDE, SIDE), mean=(0.0,) * 3, std=(1.0,) * 3)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Disks on noise; each fifth red one has a blue cast."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    for channel, name in enumerate(("red", "green")):
        (folder / name).mkdir()
        for i in range(COUNT):
            picture = random.integers(0, 25, (SIDE, SIDE, 3))
            a, b = random.integers(8, 16, 2)
            picture[(y - a) ** 2 + (x - b) ** 2 < 30, channel] = 200 + random.integers(-20, 20)
            picture[..., 2] += 70 * (name == "red" and i % 5 == 0)
            Image.fromarray(picture.astype(np.uint8)).save(folder / name / f"{i:02d}.png")
    return folder


def made(photos: Path, out: Path, model: Model) -> foveal.Run:
    return foveal.run(model, photos, out=out, method="hirescam", layer="body", contributions=True, batch=16)


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> foveal.Run:
    return made(photos, tmp_path_factory.mktemp("runs") / "run", network(USES, sized()))


def test_a_cast_is_flagged_by_its_appearance_and_not_by_hiding(run: foveal.Run) -> None:
    (flag,) = foveal.reasons(run, network(USES, sized()), draws=99).flagged  # for two tests more are drawn
    assert {run["uri"][row] for row in flag.rows} == {f"red/{i:02d}.png" for i in range(0, COUNT, 5)}
    assert flag.hiding and flag.appearance and flag.channels == (2,)
    assert flag.appearance.effect > 10 * abs(flag.appearance.chance) and flag.appearance.p < 0.01
    assert flag.hiding.p > 0.05 and "giving them the colors and texture of others" in flag.summary


def test_a_network_that_ignores_the_cast_is_not_flagged(photos: Path, tmp_path: Path) -> None:
    model = network(0.0, sized())
    assert not foveal.reasons(made(photos, tmp_path / "run", model), model).flagged


def test_scores_that_are_not_finite_are_said(run: foveal.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foveal.runs.group_tests.with_appearance_of_others", lambda x, *_: x * torch.inf)
    with pytest.raises(TargetError, match="is nan: nothing can be explained"):
        foveal.reasons(run, network(USES, sized()))


def test_images_of_several_sizes_are_refused(run: foveal.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foveal.Run, "picture", lambda _, row: torch.rand(3, SIDE, SIDE + 2 * (row % 2)))
    test = GroupTests(network(USES), run, "body", pictures=8, draws=99, seed=0)
    with pytest.raises(ImageError, match="the images have several sizes"):
        test(np.arange(0, 40, 2), np.arange(1, 41, 2), [2])
