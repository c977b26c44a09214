"""The objective: its closed form, its scale, its algebra; distances against their definitions (T1–T3, T6, T9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from foveal.errors import MethodError
from foveal.featurevis import STILL, FeatureTask, Octave, Optimization, Schedule, Seen
from foveal.featurevis.distances import DISTANCES, pseudo_huber
from foveal.featurevis.image_objectives import low_saturation, smooth
from foveal.featurevis.objectives import aligned, apart, diverse, excite, inverted, near, sparse, typical
from foveal.featurevis.seen import moments
from tests.featurevis.networks import Bare, Same, network_of

if TYPE_CHECKING:
    from foveal.featurevis import Objective

C = 12


def target(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    a = torch.rand(C, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.1
    return a, a.topk(4).indices


def optimum(J: Objective, optimizer: str, steps: int) -> torch.Tensor:
    network = network_of(Same(C).double(), (8, 8), C)
    schedule = Schedule((Octave(1.0, steps),), optimizer=optimizer, views=STILL, patience=0)  # type: ignore[arg-type]
    optimization = Optimization(network, [FeatureTask("one", J, lambda size: Bare(C, size), "body")], schedule)
    for _ in optimization:
        pass
    assert optimization.best[0].features is not None
    return optimization.best[0].features


@pytest.mark.parametrize("weight", [0.5, 1.0, 3.0])
def test_quadratic_distance_reaches_the_closed_form(weight: float) -> None:
    a, S = target()
    known = a.clone()
    known[S] *= 1 + a.square().sum() / (2 * weight * a[S].square().sum())
    found = optimum(excite("body", a, S) + near("body", a, S, weight=weight), "descent", 200)
    torch.testing.assert_close(found, known, atol=1e-6, rtol=0)


def test_adam_gets_there_too() -> None:
    a, S = target()
    known = a.clone()
    known[S] *= 1 + a.square().sum() / (2 * a[S].square().sum())
    found = optimum(excite("body", a, S) + near("body", a, S), "adam", 600)
    torch.testing.assert_close(found, known, atol=1e-3, rtol=0)


def test_charbonnier_reaches_its_closed_form() -> None:
    a, S = target()
    m = float(a.max())
    r = torch.zeros_like(a)
    r[S] = a[S] / (2 * m)
    found = optimum(excite("body", a, S) + near("body", a, S, "charbonnier"), "descent", 400)
    torch.testing.assert_close(found, a + m * r / (1 - r.square()).sqrt(), atol=1e-5, rtol=0)


def test_linear_tails_refuse_what_has_no_optimum() -> None:
    a, S = target()
    with pytest.raises(MethodError, match=r"above 0\.5"):
        near("body", a, S, "l1", 0.5)
    with pytest.raises(MethodError, match="choose l2"):
        near("body", a, S, "far")  # type: ignore[arg-type]
    with pytest.raises(MethodError, match="choose dot"):
        excite("body", a, S, "shout")  # type: ignore[arg-type]


def test_pseudo_huber_is_the_general_robust_loss_at_shape_one() -> None:
    v = torch.linspace(-50, 50, 1001, dtype=torch.float64, requires_grad=True)
    alpha = 1.0
    general = abs(alpha - 2) / alpha * ((v.square() / abs(alpha - 2) + 1) ** (alpha / 2) - 1)
    torch.testing.assert_close(pseudo_huber(v), general)
    (gradient,) = torch.autograd.grad(pseudo_huber(v).sum(), v)
    assert float(gradient.abs().max()) <= 1
    torch.testing.assert_close(gradient, (v / (v.square() + 1).sqrt()).detach())


@given(st.integers(0, 10_000), st.floats(1e-3, 1e3))
def test_no_term_knows_the_scale_of_features(seed: int, scale: float) -> None:
    a, S = target(seed)
    u = torch.rand(3, C, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    x = torch.zeros(3, 3, 4, 4)
    others = [target(seed + 2)[0], target(seed + 3)[0]]

    def value(s: float) -> torch.Tensor:
        J = apart("f", s * a, [s * other for other in others]) + sparse("f", s * 0.7)
        J = J + excite("f", s * a, S) + excite("f", s * a, S, "mean") + excite("f", s * a, S, "caricature", 2)
        for name in DISTANCES:
            J = J + near("f", s * a, S, name)
        J = J + typical("f", s * a, torch.zeros(C, dtype=torch.float64))
        return J(Seen(x, {"f": s * u}))

    torch.testing.assert_close(value(scale), value(1.0), rtol=1e-6, atol=1e-6)


def test_objectives_add_and_scale_like_numbers_and_say_what_they_are() -> None:
    a, S = target()
    seen = Seen(torch.rand(2, 3, 4, 4, dtype=torch.float64), {"f": torch.rand(2, C, dtype=torch.float64)})
    one, two = excite("f", a, S), near("f", a, S)
    torch.testing.assert_close((2 * (one + two) - two * 0.5)(seen), 2 * one(seen) + 1.5 * two(seen))
    torch.testing.assert_close(sum([one, two], 0.0)(seen), one(seen) + two(seen))  # type: ignore[call-overload]
    assert str(one + 0.5 * smooth()) == "−⟨u, a⟩ of 4 channels of f + 0.5 × total variation"
    assert (one + near("g", a, S)).layers == ("f", "g")


def test_an_image_that_is_the_target_is_a_fixed_point_of_inversion() -> None:
    """λ_d → ∞: the gradient is zero where z = a."""
    a, S = target()
    u = a[None].clone().requires_grad_()
    x = torch.zeros(1, 3, 2, 2)
    (gradient,) = torch.autograd.grad(near("f", a, S)(Seen(x, {"f": u})).sum(), u)
    assert float(gradient.abs().max()) == 0
    map = torch.rand(C, 3, 3, dtype=torch.float64)
    v = map[None].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(inverted("f", map)(Seen(x, {"f": v})).sum(), v)
    assert float(gradient.abs().max()) == 0


def test_without_distance_it_is_activation_maximisation() -> None:
    a, S = target()
    u = torch.rand(1, C, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(excite("f", a, S)(Seen(torch.zeros(1, 3, 2, 2), {"f": u})).sum(), u)
    expected = torch.zeros_like(a)
    expected[S] = -a[S] / a[S].square().sum()
    torch.testing.assert_close(gradient[0], expected)


def test_terms_on_the_image_are_what_they_say() -> None:
    flat = torch.full((1, 3, 8, 8), 0.5, dtype=torch.float64)
    ramp = torch.linspace(0, 1, 8, dtype=torch.float64).expand(1, 3, 8, 8)
    assert float(low_saturation()(Seen(flat, {}))) == 0
    assert float(smooth()(Seen(flat, {}))) < 1e-4
    assert float(smooth()(Seen(ramp, {}))) == pytest.approx(8 / 100 / 7, rel=1e-3)


def test_diversity_is_lowest_for_seeds_that_differ() -> None:
    random = torch.Generator().manual_seed(0)
    maps = torch.rand(2, 6, 4, 4, generator=random, dtype=torch.float64)
    same = maps[:1].repeat(2, 1, 1, 1)
    x = torch.zeros(2, 3, 4, 4)
    J = diverse("f")
    assert float(J(Seen(x, {"f": same})).min()) == pytest.approx(1)
    assert float(J(Seen(x, {"f": maps})).max()) < 1
    assert float(J(Seen(x[:1], {"f": maps[:1]}))) == 0


def test_alignment_of_a_map_grows_with_exaggeration_only_along_it() -> None:
    map = torch.rand(6, 4, 4, dtype=torch.float64)
    other = torch.rand(6, 4, 4, dtype=torch.float64)
    x = torch.zeros(1, 3, 4, 4)
    J = aligned("f", map)
    assert float(J(Seen(x, {"f": map[None]}))) == pytest.approx(-1)
    assert float(J(Seen(x, {"f": 2 * map[None]}))) == pytest.approx(-2)
    assert float(J(Seen(x, {"f": other[None] * map.norm() / other.norm()}))) > -1


def test_alignment_takes_maps_of_any_size() -> None:
    """Octaves change the size of the map: the goal follows."""
    map = torch.rand(6, 4, 4, dtype=torch.float64)
    larger = torch.nn.functional.interpolate(map[None], (7, 7), mode="bilinear")
    assert float(aligned("f", map)(Seen(torch.zeros(1, 3, 2, 2), {"f": larger}))) == pytest.approx(-1)


@pytest.mark.parametrize("shape", [(2, 3, 9, 7), (1, 1, 2, 2)])
def test_total_variation_and_its_gradient_are_those_of_the_definition(shape: tuple[int, int, int, int]) -> None:
    x = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    dy, dx = x.diff(dim=2)[..., :-1], x.diff(dim=3)[..., :-1, :]
    literal = (dy.square() + dx.square() + 1e-8).sqrt().flatten(1).mean(1) * shape[-1] / 100
    found = smooth()(Seen(x, {}))
    torch.testing.assert_close(found, literal, atol=1e-14, rtol=1e-12)
    weights = torch.arange(1.0, len(found) + 1, dtype=torch.float64)
    ours, theirs = (torch.autograd.grad((weights * each).sum(), x)[0] for each in (found, literal))
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("layout", ["contiguous", "channels last", "tokens"])
def test_moments_and_their_gradient_are_those_of_the_definition(layout: str) -> None:
    x = torch.randn(2, 5, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    x[0, 1] = 3.0  # equal values, whose deviation is zero
    x = x.flatten(2).mT.contiguous() if layout == "tokens" else x
    x = (x.contiguous(memory_format=torch.channels_last) if layout == "channels last" else x).requires_grad_()
    over = x.mT if layout == "tokens" else x.flatten(2)
    variance, mean = torch.var_mean(over, 2, correction=0)
    literal = torch.stack([mean, (variance + 1e-24).sqrt()])
    found = torch.stack(moments(x))
    assert torch.equal(found, literal)
    weights = torch.randn(found.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    ours, theirs = (torch.autograd.grad((weights * each).sum(), x)[0] for each in (found, literal))
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-10)


def test_sparsity_is_the_mean_size() -> None:
    p = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(4))
    p[0, 0] = 0
    p.requires_grad_()
    found, literal = sparse("p", 0.5)(Seen(p, {"p": p})), p.abs().flatten(1).mean(1) / 0.5
    torch.testing.assert_close(found, literal)
    ours, theirs = (torch.autograd.grad(each.sum(), p)[0] for each in (found, literal))
    torch.testing.assert_close(ours, theirs)
