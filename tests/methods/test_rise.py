"""RISE: its estimate, what it converges to, and how sure it is of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

import foveal
from foveal.errors import MethodError
from foveal.methods.rise import RandomMasks
from tests.methods.perturbed import TARGET, Linear, explained, images, network, peak, planted, score

if TYPE_CHECKING:
    from tests.conftest import NoTrace


@pytest.mark.parametrize("centered", [True, False])
def test_it_is_its_definition(centered: bool, no_trace: NoTrace) -> None:
    model, x = network(), images(2)
    masks = RandomMasks((12, 16), 4, 0.3, seed=0)(0, 20).double()[:, 0]
    with no_trace(model):
        maps = explained(model, x, f"rise:count=20,cells=4,probability=0.3,centered={centered}")
    for map, image in zip(maps, x, strict=True):
        f = [score(model, image * M) for M in masks]
        mean = sum(f) / 20 if centered else 0.0
        slow = sum((y - mean) * M for y, M in zip(f, masks, strict=True)) / (20 * 0.3)
        assert torch.allclose(map, slow, rtol=1e-6, atol=1e-9)  # type: ignore[arg-type]


def test_in_a_linear_network_it_converges_to_what_the_masks_make_of_the_contributions() -> None:
    """Centered, the estimate is Cov(f, M) / p = C·contributions / p, with C the covariance of mask values."""
    model, x = Linear(), images()
    masks = RandomMasks((12, 16), 6, 0.5, seed=1)(0, 4000).double().flatten(1)
    C = torch.cov(masks.T, correction=0)
    expected = (C @ model.contributions(x[0]).flatten()).view(12, 16) / 0.5
    why = foveal.explain(model, x, TARGET, method="rise:count=4000,cells=6", layer="input")
    error = why.measured["input"]["standard error"][0]  # type: ignore[call-overload, index]
    assert float((why.map[0] - expected).square().mean().sqrt()) < 2 * error
    assert error < 0.5 * float(expected.std())


def test_the_standard_error_is_that_of_repeated_runs() -> None:
    model, x = network(), images()
    runs = [foveal.explain(model, x, TARGET, method=f"rise:count=200,seed={seed}") for seed in range(12)]
    claimed = sum(run.measured["input"]["standard error"][0] for run in runs) / len(runs)  # type: ignore[call-overload, index, misc]
    seen = float(torch.stack([run.map[0] for run in runs]).var(0).mean().sqrt())
    assert 0.6 * claimed < seen < 1.5 * claimed


def test_masks_show_a_share_and_do_not_repeat() -> None:
    masks = RandomMasks((20, 33), 5, 0.3, seed=0)(0, 500)
    assert masks.shape == (500, 1, 20, 33) and masks.min() >= 0 and masks.max() <= 1
    assert torch.allclose(masks.mean(0), torch.full((1, 20, 33), 0.3), atol=0.08)
    assert len({float(mask.sum()) for mask in masks}) > 450
    assert torch.equal(RandomMasks((20, 33), 5, 0.3, seed=0)(7, 9), masks[7:9])
    assert not torch.equal(RandomMasks((20, 33), 5, 0.3, seed=1)(7, 9), masks[7:9])


@pytest.mark.parametrize("chunk", [1, 7])
def test_each_image_is_on_its_own_in_any_order_and_chunk(chunk: int) -> None:
    model, x = network(), images(3)
    maps = explained(model, x, "rise:count=30")
    assert torch.allclose(explained(model, x, f"rise:count=30,chunk={chunk}"), maps, rtol=1e-9, atol=1e-15)
    assert torch.allclose(explained(model, x.flip(0), "rise:count=30").flip(0), maps, rtol=1e-9, atol=1e-15)


def test_points_at_planted_evidence_at_the_input_and_at_a_layer() -> None:
    model, x, (rows, columns) = planted()
    for layer in (None, "relu"):
        row, column = peak(explained(model, x, "rise:count=600", layer)[0])
        assert rows.start - 2 <= row < rows.stop + 2 and columns.start - 2 <= column < columns.stop + 2


def test_too_few_masks_are_said_to_be() -> None:
    why = foveal.explain(network(), images(), TARGET, method="rise:count=10")
    assert any("higher count" in note for note in why.notes)


def test_a_score_that_nothing_moves_has_a_map_of_zeros() -> None:
    why = foveal.explain(network(), images(), lambda output: output[:, 0] * 0 + 3, method="rise:count=10")
    assert (why.map == 0).all() and why.measured["input"]["standard error of spread"] == [0.0]  # type: ignore[call-overload, index]


def test_masks_there_are_not() -> None:
    with pytest.raises(MethodError, match=r"probability 1\.5"):
        explained(network(), images(), "rise:probability=1.5")
