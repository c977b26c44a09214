"""Facets and channels: planted clusters, weights, small sets (T4, T5)."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from foveal.errors import MethodError
from foveal.featurevis import find_facets, informative, places, weights_of
from foveal.results.facet import Facet


def planted(k: int, each: int, channels: int = 40, seed: int = 0) -> tuple[torch.Tensor, list[int]]:
    """Cluster b lights channels 4b to 4b + 3, on a ground that is always on at the last ten."""
    random = torch.Generator().manual_seed(seed)
    z = 0.05 * torch.rand(k * each, channels, generator=random)
    z[:, -10:] += 2
    for b in range(k):
        z[b * each : (b + 1) * each, 4 * b : 4 * b + 4] += 1 + 0.1 * torch.rand(each, 4, generator=random)
    return z, [b for b in range(k) for _ in range(each)]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20), st.sampled_from(["softmax", "inv_exp"]))
def test_weights_are_shares_and_nearer_counts_more(distances: list[float], weighting: str) -> None:
    d = torch.tensor(sorted(distances), dtype=torch.float64)
    w = weights_of(d, weighting)  # type: ignore[arg-type]
    assert bool(torch.isfinite(w).all()) and bool((w >= 0).all())
    assert float(w.sum()) == pytest.approx(1)
    assert bool((w.diff() <= 1e-12).all())


@pytest.mark.parametrize("count", [3, "auto"])
def test_planted_clusters_are_recovered(count: int | str) -> None:
    z, truth = planted(3, 8)
    facets = find_facets(z, count, keep=8)  # type: ignore[arg-type]
    found = [0] * len(truth)
    for b, facet in enumerate(facets):
        assert facet.size == 8
        for i in facet.members:
            found[i] = b
    assert adjusted_rand_score(truth, found) == 1


def test_the_nearest_members_are_kept_not_the_farthest() -> None:
    z, _ = planted(1, 20)
    z[13] += 0.8  # farther out
    facet = find_facets(z, 1, keep=5, unit=False)[0]
    distances = (z.double() - z.double().mean(0)).norm(dim=1)
    # Principal components keep all there is, 19 of 20 dimensions.
    assert set(facet.members) == set(distances.argsort()[:5].tolist())
    assert 13 not in facet.members and facet.size == 20


def test_one_picture_and_few_pictures() -> None:
    z, _ = planted(1, 1)
    facet = find_facets(z)[0]
    assert facet.members == (0,) and facet.weights.tolist() == [1.0]
    torch.testing.assert_close(facet.mean(z), z[0])
    assert len(find_facets(torch.rand(3, 5))) == 1
    assert find_facets(z[:1].repeat(6, 1), "auto")[0].size == 6
    with pytest.raises(MethodError, match="1 to 3"):
        find_facets(torch.rand(3, 5), 4)


def test_a_set_without_kinds_is_one_facet() -> None:
    z = torch.rand(30, 64, generator=torch.Generator().manual_seed(0))
    assert len(find_facets(z, "auto")) == 1


def test_informative_channels_are_the_planted_ones() -> None:
    z, _ = planted(3, 8)
    for facet in find_facets(z, 3):
        own = {4 * (facet.members[0] // 8) + i for i in range(4)}
        always = set(range(30, 40))
        assert set(informative(z, facet, count=10).tolist()) == always
        assert set(informative(z, facet, count=14).tolist()) == always | own
        assert set(informative(z, facet, "contrast", count=4).tolist()) == own
        assert set(informative(z, facet, "variance", count=4).tolist()) == own
        assert len(informative(z, facet, "mass")) < 14
        assert informative(z, facet, [3, 1]).tolist() in ([3, 1], [1, 3])
        assert len(informative(z, facet)) == 10  # a quarter of the layer
    with pytest.raises(MethodError, match="channels 0 to 39"):
        informative(z, facet, [40])
    with pytest.raises(MethodError, match="give top_mean"):
        informative(z, facet, "best")  # type: ignore[arg-type]
    with pytest.raises(MethodError, match="background"):
        informative(z[:1], Facet((0,), torch.ones(1), 1), "contrast")


def test_background_takes_the_place_of_the_rest() -> None:
    z, _ = planted(2, 6)
    facet = find_facets(z[:6], 1)[0]
    assert set(informative(z[:6], facet, "contrast", count=4, background=z[6:]).tolist()) == {0, 1, 2, 3}


def test_places_are_the_same_every_time() -> None:
    z, _ = planted(2, 10)
    p = places(z)
    assert p.shape == (20, 2) and torch.equal(p, places(z))
    a, b = p[:10], p[10:]
    assert float((a.mean(0) - b.mean(0)).norm()) > float(a.std(0).norm() + b.std(0).norm())
    assert places(z[:3]).shape == (3, 2) and places(z[:1]).shape == (1, 2)
