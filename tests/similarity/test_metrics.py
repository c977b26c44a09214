"""Metrics: what channels add sums to the score, and the score is linear in the query where it says so."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from foveal.errors import FovealError, TargetError
from foveal.similarity import (
    METRICS,
    Cosine,
    CrossAttention,
    Distance,
    Dot,
    Euclidean,
    Learned,
    Nearest,
    Squared,
    find_metric,
)
from foveal.similarity.head import LinearHead, fit_head
from foveal.similarity.local import EarthMovers

D, P = 6, (3, 4)


def vectors(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


LEARNED = Learned(vectors(9, 4, D))
POOLED: list[Distance] = [Cosine(), Dot(), Squared(), Euclidean(), LEARNED, Learned(vectors(8, D, D), Cosine())]
LOCAL: list[Distance] = [EarthMovers(), Nearest(), Nearest(k=3), CrossAttention()]


def sides(metric: Distance, n: int = 2, m: int = 3) -> tuple[Tensor, Tensor]:
    more = P if metric.local else ()
    return vectors(1, n, 1, D, *more), vectors(2, 1, m, D, *more)


@pytest.mark.parametrize("metric", [*POOLED, *LOCAL], ids=lambda m: m.name)
def test_contributions_sum_to_the_score(metric: Distance) -> None:
    """T1, completeness."""
    q, s = sides(metric)
    score = metric.score(q, s)
    assert score.shape == (2, 3)
    assert torch.allclose(metric.contributions(q, s).sum(-1), score, rtol=1e-9)


@pytest.mark.parametrize("metric", [*POOLED, *LOCAL], ids=lambda m: m.name)
@pytest.mark.parametrize("of_reference", [False, True])
def test_the_linear_form_is_the_score(metric: Distance, *, of_reference: bool) -> None:
    q, s = sides(metric)
    weights, remainder = metric.mirrored(q, s) if of_reference else metric.linear(q, s)
    side = (s if of_reference else q).expand_as(weights)
    assert torch.allclose((weights * side).flatten(2).sum(2) + remainder, metric.score(q, s), rtol=1e-9)


@pytest.mark.parametrize("metric", [*POOLED, *LOCAL], ids=lambda m: m.name)
def test_a_picture_is_nowhere_closer_than_to_itself(metric: Distance) -> None:
    """Larger is closer, distances included (Cauchy–Schwarz; not so for the dot product)."""
    if isinstance(metric, Dot):
        pytest.skip("a longer vector has a larger product with anything")
    q, s = sides(metric, n=1)
    assert bool((metric.score(q, q) >= metric.score(q, s) - 1e-9).all())
    assert (metric.value(1.0) < 0) == (metric.name in ("squared", "euclidean", "learned squared"))


@pytest.mark.parametrize("metric", [*POOLED, *LOCAL], ids=lambda m: m.name)
def test_scale(metric: Distance) -> None:
    """T2: cosines and their kin do not see it, distances do."""
    q, s = sides(metric)
    assert torch.allclose(metric.score(3 * q, s), metric.score(q, s), rtol=1e-9) == metric.scale_free


@pytest.mark.parametrize("metric", [m for m in POOLED if "learned" not in m.name], ids=lambda m: m.name)
def test_symmetry(metric: Distance) -> None:
    """T6."""
    q, s = sides(metric)
    p, r = metric.contributions(q, s), metric.contributions(s.transpose(0, 1), q.transpose(0, 1))
    assert torch.allclose(p, r.transpose(0, 1), rtol=1e-9)


def test_euler() -> None:
    """T14: contributions cannot come from the gradient of the cosine, which is orthogonal to the query."""
    q, s = vectors(1, D).requires_grad_(), vectors(2, D)
    for metric, expected in ((Cosine(), 0.0), (Dot(), float(q.detach() @ s))):
        (g,) = torch.autograd.grad(metric.score(q, s), q)
        assert abs(float(q.detach() @ g) - expected) < 1e-9


@pytest.mark.parametrize("metric", [Cosine(), Dot(), Squared(), Euclidean(), LEARNED], ids=lambda m: m.name)
def test_scores_are_differentiable(metric: Distance) -> None:
    q, s = vectors(1, D).requires_grad_(), vectors(2, D)
    assert torch.autograd.gradcheck(lambda v: metric.score(v, s), q)


def test_the_distance_to_oneself_has_a_gradient() -> None:
    q = vectors(1, D).requires_grad_()
    (g,) = torch.autograd.grad(Euclidean().score(q, q.detach()), q)
    assert bool(torch.isfinite(g).all())
    assert bool(torch.isfinite(Euclidean().contributions(q, q.detach())).all())


def test_mahalanobis_is_the_textbook_one() -> None:
    X = vectors(3, 50, D) @ vectors(4, D, D)
    covariance = torch.cov(X.T)
    metric = Learned.mahalanobis(covariance)
    difference = X[0] - X[1]
    expected = difference @ torch.linalg.solve(covariance, difference)
    assert torch.allclose(-metric.score(X[0], X[1]), expected, rtol=1e-9)
    for bad in (-covariance, torch.ones(D, D, dtype=torch.float64), covariance + torch.triu(covariance, 1)):
        with pytest.raises(TargetError, match="symmetric, positive"):
            Learned.mahalanobis(bad)


def test_earth_movers_is_the_best_assignment() -> None:
    """As many descriptors on both sides, all equally important: the optimal flow is a permutation."""
    from scipy.optimize import linear_sum_assignment

    u, v = vectors(1, 1, D, 1, 5).abs(), vectors(2, 1, D, 1, 5).abs()

    f = EarthMovers().flow(u.flatten(2), v.flatten(2))
    assert torch.allclose(f.sum(), torch.ones((), dtype=f.dtype))
    a, b = (X.flatten(2)[0] / X.flatten(2)[0].norm(dim=0) for X in (u, v))
    cost = (1 - a.T @ b).numpy()
    give, take = f[0].sum(1).numpy(), f[0].sum(0).numpy()
    rows, columns = linear_sum_assignment(cost)
    # No flow with these margins is cheaper than the dual bound, none than the unconstrained rows' best.
    assert (f[0].numpy() * cost).sum() >= (give * cost.min(1)).sum() - 1e-9
    assert (f[0].numpy() * cost).sum() <= (np.outer(give, take) * cost).sum() + 1e-9
    assert len(rows) == len(columns) == 5


def test_earth_movers_flow_against_linear_programming() -> None:
    from scipy.optimize import linprog

    u, v = vectors(1, 1, D, 2, 2), vectors(2, 1, D, 3, 1)
    f = EarthMovers().flow(u.flatten(2), v.flatten(2))[0].numpy()
    a, b = (X.flatten(2)[0] / X.flatten(2)[0].norm(dim=0) for X in (u, v))
    cost = (1 - a.T @ b).numpy()
    n, m = cost.shape
    margins = np.concatenate([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))])
    best = linprog(cost.ravel(), A_eq=margins, b_eq=np.concatenate([f.sum(1), f.sum(0)]))
    assert np.isclose((f * cost).sum(), best.fun, rtol=1e-6)


def test_nearest_takes_each_places_best() -> None:
    q, s = vectors(1, D, *P), vectors(2, D, *P)
    a, b = (X.flatten(1) / X.flatten(1).norm(dim=0) for X in (q, s))
    assert torch.allclose(Nearest().score(q, s), (a.T @ b).amax(1).mean(), rtol=1e-9)


def test_cross_attention_without_preference_is_the_cosine_of_means() -> None:
    q, s = vectors(1, D, *P), vectors(2, D, *P)
    flat = CrossAttention(temperature=1e9).score(q, s)
    assert torch.allclose(flat, Cosine().score(q.mean((1, 2)), s.mean((1, 2))), rtol=1e-6)


def test_a_fitted_head_decides_as_scikit_learn_does() -> None:
    from sklearn.linear_model import LogisticRegression

    s, index = vectors(1, 30, D), torch.arange(30) % 3
    s = s + 2 * torch.nn.functional.one_hot(index, D)
    head = fit_head(s, index, "logistic")
    unit = (s / s.norm(dim=1, keepdim=True)).numpy()
    expected = LogisticRegression(max_iter=1000).fit(unit, index.numpy()).decision_function(unit)
    assert np.allclose(LinearHead().score(s[:, None], head[None]).numpy(), expected, atol=1e-6)
    p, bias = LinearHead().contributions(s[:, None], head[None]), head[:, -1]
    assert torch.allclose(p.sum(-1) + bias, LinearHead().score(s[:, None], head[None]))
    two = fit_head(s, index.clamp(max=1), "svm")
    assert torch.equal(two[0], -two[1])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9), st.integers(0, 99))
def test_nothing_is_not_a_number(values: list[float], seed: int) -> None:
    """T16, zeros included."""
    q = torch.tensor(values, dtype=torch.float64)
    for metric in (Cosine(), Dot(), Squared(), Euclidean()):
        for s in (vectors(seed, len(values)), torch.zeros_like(q), q):
            assert bool(torch.isfinite(metric.score(q, s)))
            assert bool(torch.isfinite(metric.contributions(q, s)).all())
            assert bool(torch.isfinite(metric.linear(q, s).weights).all())


def test_names() -> None:
    assert all(find_metric(name).name == name for name in METRICS)
    assert find_metric(LEARNED) is LEARNED
    with pytest.raises(TargetError, match="cosine, dot"):
        find_metric("manhattan")


def test_lengths_must_agree() -> None:
    for metric in (Cosine(), Dot(), Squared(), Euclidean()):
        with pytest.raises(TargetError, match="5 numbers with one of 6"):
            metric.score(vectors(1, 5), vectors(2, 6))
    with pytest.raises(TargetError, match="of 5 numbers with one of 6"):
        Nearest().score(vectors(1, 5, 2, 2), vectors(2, 6, 2, 2))
    with pytest.raises(TargetError, match="takes feature maps"):
        Nearest().score(vectors(1, 5), vectors(2, 5))
    with pytest.raises(TargetError, match="embeddings of 6 numbers"):
        LEARNED.score(vectors(1, 5), vectors(2, 5))


def test_what_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(FovealError, match=r"foveal\[transport\]"):
        EarthMovers().score(vectors(1, D, *P), vectors(2, D, *P))
    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    with pytest.raises(FovealError, match=r"foveal\[sklearn\]"):
        fit_head(vectors(1, 4, D), torch.tensor([0, 1, 0, 1]), "svm")
