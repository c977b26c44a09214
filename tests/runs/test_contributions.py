"""What each channel contributes to every decision of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import foveal
from foveal.errors import MethodError, ResultError
from tests.runs.photos import drawn, network, parts, ran


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return drawn(tmp_path / "photos")


def test_the_contributions_of_a_row_add_up_to_its_hirescam_map(photos: Path, tmp_path: Path) -> None:
    run = ran(photos, tmp_path / "run", method="hirescam", contributions=True, maps="float32")
    brings = run.contributions()
    assert brings.shape[0] == 20 and brings.dtype == np.float32 and run.record.contributions == run.layers[-1]
    assert np.allclose(brings.sum(1), run.maps().sum((1, 2)), atol=1e-5) and np.abs(brings).max() > 0
    assert "contributions" not in run.columns
    layer, module = run.layers[-1], network().module
    seen: dict[str, torch.Tensor] = {}

    def keep(_: object, __: object, output: torch.Tensor) -> None:
        output.retain_grad()
        seen["A"] = output

    module.get_submodule(layer).register_forward_hook(keep)
    x = foveal.images.load_images(str(photos / run["uri"][3]), network().preprocessing).tensor  # type: ignore[attr-defined]
    module(x.requires_grad_()).max().backward()
    A = seen["A"]
    assert A.grad is not None
    assert np.allclose(brings[3], (A * A.grad).sum((0, 2, 3)).detach(), atol=1e-5)
    assert np.allclose(run.contributions("max")[3], (A * A.grad).amax((0, 2, 3)).detach(), atol=1e-5)


def test_16_bits_rows_and_copies(photos: Path, tmp_path: Path) -> None:
    exact = ran(photos, tmp_path / "exact", contributions=True, maps="float32").contributions()
    run = ran(photos, tmp_path / "run", contributions=True)
    assert (np.abs(run.contributions() - exact) <= 1e-3 * np.abs(exact).max(1, keepdims=True)).all()
    some = run[[7, 2, 13]]
    assert np.array_equal(some.contributions(), run.contributions()[[7, 2, 13]])
    assert np.array_equal(foveal.Run.load(some.save(tmp_path / "some")).contributions(), some.contributions())
    again = ran(photos, tmp_path / "again", contributions=True)
    assert parts(tmp_path / "run") == parts(tmp_path / "again") and len(again) == 20


def test_maps_of_the_input_and_of_activations_alone_have_contributions_of_the_last_stage(
    photos: Path, tmp_path: Path
) -> None:
    usual = ran(photos, tmp_path / "usual", contributions=True)
    for method in ("inputxgradient", "eigencam"):
        run = ran(photos, tmp_path / method, method=method, contributions=True)
        assert run.record.contributions == usual.layers[-1]
        assert np.allclose(run.contributions(), usual.contributions(), atol=1e-3)


def test_a_run_without_contributions_says_so(photos: Path, tmp_path: Path) -> None:
    run = ran(photos, tmp_path / "run")
    with pytest.raises(ResultError, match="no channel contributions: make it again with contributions=True"):
        run.contributions()
    with pytest.raises(ResultError, match="contributions: False → True"):
        ran(photos, tmp_path / "run", contributions=True)
    next(photos.rglob("*.png")).write_bytes(b"")
    broken = ran(photos, tmp_path / "broken", contributions=True)
    with pytest.raises(ResultError, match="1 row of 20 have no contributions"):
        broken.contributions()
    assert len(broken.explained.contributions()) == len(broken.explained.contributions("max")) == 19
    with pytest.raises(ResultError, match="of='mean': give 'sum' or 'max'"):
        broken.contributions("mean")


def test_scores_alone_have_no_channels(photos: Path, tmp_path: Path) -> None:
    def scorer(x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))

    size = foveal.Preprocessing((16, 16))
    with pytest.raises(MethodError, match="gives scores alone"):
        ran(photos, tmp_path / "run", model=scorer, method="occlusion", contributions=True, preprocessing=size)
