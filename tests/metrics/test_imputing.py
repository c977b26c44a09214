"""ROAD's imputation and its shares against the facts that are known of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from foveal.errors import MethodError
from foveal.metrics import impute, imputing, multigrid, road
from foveal.metrics.road import removed

NEIGHBORS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]


def slow_impute(x: Tensor, where: Tensor) -> Tensor:
    """One dense linear system, written down pixel by pixel."""
    _, c, h, w = x.shape
    at = {tuple(p): k for k, p in enumerate(where[0, 0].nonzero().tolist())}
    A, b = np.zeros((len(at), len(at))), np.zeros((len(at), c))
    for (i, j), row in at.items():
        weights = {
            (i + dy, j + dx): 1 / 6 if dy == 0 or dx == 0 else 1 / 12
            for dy, dx in NEIGHBORS
            if 0 <= i + dy < h and 0 <= j + dx < w
        }
        A[row, row] = 1
        for place, weight in weights.items():
            share = weight / sum(weights.values())
            if place in at:
                A[row, at[place]] -= share
            else:
                b[row] += share * x[0, :, place[0], place[1]].double().numpy()
    found = x.clone().double()
    for (i, j), row in zip(at, np.linalg.solve(A, b), strict=True):
        found[0, :, i, j] = torch.from_numpy(row)
    return found


def awkward(h: int, w: int) -> dict[str, Tensor]:
    """Holes (1, 1, h, w), by name."""
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    border = (y == 0) | (x == 0) | (y == h - 1) | (x == w - 1)
    holes = {
        "a pixel": (y == 3) & (x == 4),
        "the corner": (y == 0) & (x == 0),
        "islands": (y % 4 == 1) & (x % 5 == 2),
        "border": border,
        "all but the border": ~border,
        "all but a pixel": ~((y == 3) & (x == 4)),
        "all but the corner": ~((y == 0) & (x == 0)),
        "checkerboard": (y + x) % 2 == 0,
        "between walls": x % 3 != 0,
        "rings": torch.maximum((y - h // 2).abs(), (x - w // 2).abs()) % 4 != 1,
    }
    return {name: hole[None, None] for name, hole in holes.items()}


@pytest.mark.parametrize(("h", "w"), [(21, 18), (9, 23), (1, 40), (5, 5)])
def test_holes_of_any_shape_agree_with_the_exact_solution(h: int, w: int) -> None:
    torch.manual_seed(1)
    x = torch.randn(1, 3, h, w, dtype=torch.float64).cumsum(3)
    holes = {name: hole for name, hole in awkward(h, w).items() if hole.any() and not hole.all()}
    where = torch.cat([*holes.values()])
    exact = torch.cat([slow_impute(x, hole) for hole in holes.values()])
    assert torch.allclose(impute(x, where, noise=0, tolerance=1e-11), exact, atol=1e-8)
    range = x.amax() - x.amin()
    assert float((impute(x, where, noise=0) - exact).abs().amax() / range) < 0.03
    assert float((impute(x.float(), where, noise=0) - exact).abs().amax() / range) < 0.03


def test_a_hole_is_filled_alike_alone_and_beside_others() -> None:
    torch.manual_seed(2)
    x, where = torch.randn(1, 3, 37, 52).cumsum(2), torch.cat([*awkward(37, 52).values()])
    together = impute(x, where)
    alone = torch.cat([impute(x, hole[None]) for hole in where])
    assert torch.allclose(together, alone, atol=1e-4)
    backwards = impute(x.expand(len(where), -1, -1, -1), where.flip(0)).flip(0)
    assert torch.allclose(together, backwards, atol=1e-4)
    pictures = torch.randn(4, 3, 37, 52)
    one = impute(pictures, where[7:8])
    assert torch.allclose(one, torch.cat([impute(picture[None], where[7:8]) for picture in pictures]), atol=1e-4)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("grain", [4, 64])
def test_few_passes_through_the_image(share: float, grain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Conjugate gradients alone take as many as the hole is wide."""
    passes = []

    def counted(v: Tensor, spread: Callable[[Tensor], Tensor] = multigrid.spread) -> Tensor:
        passes.append(v.shape[-1] * v.shape[-2] / 128**2)
        return spread(v)

    monkeypatch.setattr(multigrid, "spread", counted)
    monkeypatch.setattr(imputing, "spread", counted)
    torch.manual_seed(3)
    map, x = torch.rand(1, 1, grain, grain), torch.randn(1, 3, 128, 128).cumsum(2).cumsum(3)
    map = torch.nn.functional.interpolate(map, (128, 128), mode="bicubic")
    impute(x, map > map.quantile(1 - share))
    assert 5 < sum(passes) < 20


@settings(max_examples=15, deadline=None)
@given(
    h=st.integers(2, 20), w=st.integers(2, 20), c=st.integers(1, 3), share=st.floats(0.1, 0.9), seed=st.integers(0, 99)
)
def test_every_hidden_pixel_is_the_mean_of_its_neighbors(h: int, w: int, c: int, share: float, seed: int) -> None:
    torch.manual_seed(seed)
    x, where = torch.randn(1, c, h, w, dtype=torch.float64), torch.rand(1, 1, h, w) < share
    where[0, 0, 0, 0] = False
    found = impute(x, where, noise=0, tolerance=1e-10)
    assert torch.allclose(found, slow_impute(x, where), atol=1e-7)


def test_kept_pixels_stay_and_fills_stay_within_their_surroundings() -> None:
    torch.manual_seed(0)
    x, where = (
        torch.randn(1, 3, 40, 33),
        torch.rand(4, 1, 40, 33) < torch.tensor([0.1, 0.5, 0.9, 0.99]).view(4, 1, 1, 1),
    )
    found = impute(x, where, noise=0)
    kept = ~where.expand_as(found)
    assert torch.equal(found[kept], x.expand_as(found)[kept])
    assert float(found.max()) <= float(x.max()) + 1e-3 and float(found.min()) >= float(x.min()) - 1e-3
    y, z = torch.meshgrid(torch.arange(32).double(), torch.arange(32).double(), indexing="ij")
    ramp, hole = (2 * y - z)[None, None], torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    hole[..., 8:20, 5:25] = True
    assert torch.allclose(impute(ramp, hole, noise=0, tolerance=1e-11), ramp, atol=1e-7)


def test_noise_comes_from_its_seed_and_no_picture_may_vanish() -> None:
    x, where = torch.randn(1, 2, 16, 16), torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    where[..., 4:9, 4:9] = True
    assert torch.equal(impute(x, where, seed=3), impute(x, where, seed=3))
    assert not torch.equal(impute(x, where, seed=3), impute(x, where, seed=4))
    difference = (impute(x, where) - impute(x, where, noise=0))[where.expand_as(x)]
    assert 0.003 < float(difference.std()) < 0.03
    with pytest.raises(MethodError, match="completely hidden"):
        impute(x, torch.ones(1, 1, 16, 16, dtype=torch.bool))


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 0.9])
def test_exactly_as_many_pixels_as_asked_are_removed(share: float) -> None:
    sparse = torch.zeros(10, 10)
    sparse[3, 4:8] = torch.tensor([1.0, 2, 3, 4])
    for map in (sparse, torch.randn(10, 10), torch.zeros(10, 10), torch.randn(3, 7)):
        hole = removed(map, (30, 21), share)
        assert int(hole.sum()) == round(share * 630)
    assert bool(removed(sparse, (10, 10), 0.04)[0, 0, 3, 4:8].all())
    for wrong in (0.0, 1.0):
        with pytest.raises(MethodError, match="cannot remove"):
            removed(sparse, (10, 10), wrong)


def test_road_knows_a_true_map_from_a_false_one() -> None:
    """The score is the bright square's contrast with the dark ground: without it, nothing is left."""
    x = torch.zeros(1, 1, 32, 32)
    x[..., 8:16, 16:24] = 1
    truth = x[0, 0].clone()
    score = lambda z: z[:, 0, 9:15, 17:23].mean((1, 2))  # noqa: E731
    true, false, none = (road(score, x, map) for map in (truth, -truth, torch.zeros(32, 32)))
    assert true.combined > 0.4 and false.combined < -0.3 and abs(none.combined) < 0.25
    assert true.most_first < 0.05 and true.least_first > 0.95 and true.whole == 1
    chunked = road(score, x, truth, chunk=1)
    assert torch.allclose(true.most, chunked.most, atol=1e-4)
