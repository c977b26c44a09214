"""Grouping against its definition and identities: P1–P10, P16, P17 of the specification."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from foveal.attention.grouping import Grouping
from foveal.errors import MethodError


def features(n: int = 3, c: int = 12, side: int = 6, seed: int = 0, *, signed: bool = False) -> Tensor:
    F = torch.randn(n, c, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return F if signed else F.relu()


def slowly(F: Tensor, count: int) -> list[list[dict[str, Tensor]]]:
    """The definition, image by image and place by place."""
    found = []
    for one in F:
        places = [one.flatten(1)[:, p] for p in range(one[0].numel())]
        activity = [float(f.norm()) for f in places]
        slots = []
        for _ in range(count):
            seed = max(range(len(places)), key=lambda p: (activity[p], -p))
            s = [float(f @ places[seed] / (f.norm() * places[seed].norm())) if f.norm() > 0 else 0.0 for f in places]
            a = [value / sum(s) for value in s]
            v = sum(weight * f for weight, f in zip(a, places, strict=True))
            slots.append(
                {
                    "seed": torch.tensor(seed),
                    "a": torch.tensor(a, dtype=F.dtype),
                    "v": v,
                    "σ": torch.tensor(activity[seed]),
                }
            )
            activity = [(1 - s[p]) * activity[p] for p in range(len(places))]
        found.append(slots)
    return found


def test_all_images_at_once_are_each_alone_by_the_definition() -> None:
    """P3, in float64."""
    F = features()
    F[0, :, 2, 3] = 0
    groups = Grouping(4)(F)
    for i, slots in enumerate(slowly(F, 4)):
        for k, slot in enumerate(slots):
            assert int(groups.seeds[i, k]) == int(slot["seed"])
            assert torch.allclose(groups.maps[i, k].flatten(), slot["a"], atol=1e-12)
            assert torch.allclose(groups.vectors[i, k], slot["v"], atol=1e-12)  # type: ignore[arg-type]
            assert groups.scores[i, k] == pytest.approx(float(slot["σ"]))
    for i in range(len(F)):
        alone = Grouping(4)(F[i : i + 1])
        assert torch.allclose(alone.vectors[0], groups.vectors[i], atol=1e-12)
        assert torch.allclose(alone.maps[0], groups.maps[i], atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 3), c=st.integers(1, 6), h=st.integers(1, 4), w=st.integers(1, 4), count=st.integers(1, 6),
    seed=st.integers(0, 99), signed=st.booleans(), dead=st.floats(0, 1),
)  # fmt: skip
def test_maps_are_distributions_whatever_the_features(
    n: int, c: int, h: int, w: int, count: int, seed: int, signed: bool, dead: float
) -> None:
    """P1, P2: places and maps of zeros, one place, fewer places than slots, signed features."""
    random = torch.Generator().manual_seed(seed)
    F = torch.randn(n, c, h, w, generator=random) * (torch.rand(n, 1, h, w, generator=random) >= dead)
    groups = Grouping(count)(F if signed else F.relu())
    total = groups.maps.flatten(2).sum(2)
    assert bool((groups.maps >= 0).all())
    assert torch.allclose(total, groups.used.float(), atol=1e-5)
    assert bool(groups.used[:, 0].all())
    assert all(bool(torch.isfinite(tensor).all()) for tensor in (groups.vectors, groups.maps, groups.scores))
    assert not bool(groups.vectors[~groups.used].any())
    assert bool((groups.scores.diff(dim=1) <= 1e-6).all())
    norm = F.norm(dim=1) if signed else F.relu().norm(dim=1)
    assert torch.allclose(groups.scores[:, 0], norm.flatten(1).amax(1))
    shares = groups.shares
    assert torch.allclose(shares.sum(1), torch.ones(n, h, w), atol=1e-5) and bool((shares >= -1e-6).all())


def test_a_map_of_zeros_is_flat_and_its_vector_zero() -> None:
    F = torch.zeros(1, 4, 3, 2, requires_grad=True)
    groups = Grouping(2)(F)
    assert torch.equal(groups.maps[0, 0], torch.full((3, 2), 1 / 6))
    assert not bool(groups.maps[0, 1].any()) and groups.used.tolist() == [[True, False]]
    groups.vectors.sum().backward()
    assert F.grad is not None and not bool(F.grad.any())


def test_moving_places_moves_maps_and_nothing_else() -> None:
    """P4."""
    F = features()
    groups = Grouping(3)(F)
    order = torch.randperm(36, generator=torch.Generator().manual_seed(1))
    moved = Grouping(3)(F.flatten(2)[:, :, order].unflatten(2, (6, 6)))
    assert torch.allclose(moved.vectors, groups.vectors)
    assert torch.allclose(moved.maps.flatten(2), groups.maps.flatten(2)[:, :, order])
    for change in (lambda t: t.flip(-1), lambda t: t.roll((2, 1), (-2, -1))):
        other = Grouping(3)(change(F))
        assert torch.allclose(other.maps, change(groups.maps)) and torch.allclose(other.vectors, groups.vectors)


def test_mixing_and_scaling_channels() -> None:
    """P5."""
    F = features(signed=True)
    groups = Grouping(3)(F)
    Q = torch.linalg.qr(torch.randn(12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(2))).Q
    mixed = Grouping(3)(torch.einsum("dc,nchw->ndhw", Q, F))
    assert torch.allclose(mixed.maps, groups.maps) and torch.allclose(mixed.vectors, groups.vectors @ Q.T)
    scaled = Grouping(3)(7.5 * F)
    assert torch.allclose(scaled.maps, groups.maps) and torch.allclose(scaled.vectors, 7.5 * groups.vectors)


def test_empty_places_change_nothing_and_doubled_ones_share() -> None:
    """P6."""
    F = features()
    groups = Grouping(3)(F)
    padded = Grouping(3)(torch.nn.functional.pad(F, (0, 2, 1, 0)))
    assert torch.allclose(padded.vectors, groups.vectors)
    assert torch.allclose(padded.maps[:, :, 1:, :6], groups.maps)
    assert not bool(padded.maps[:, :, 0].any()) and not bool(padded.maps[..., 6:].any())
    twice = Grouping(3)(torch.cat([F, F], 3))
    assert torch.allclose(twice.vectors, groups.vectors) and torch.allclose(2 * twice.maps[..., :6], groups.maps)


def test_clusters_come_out_whole_in_the_order_of_their_peaks() -> None:
    """P7: three orthogonal directions."""
    F = torch.zeros(1, 5, 4, 6, dtype=torch.float64)
    F[0, 1, :, :2], F[0, 3, :, 2:4], F[0, 4, :, 4:] = 2, 9, 4
    groups = Grouping(3)(F)
    assert groups.vectors.argmax(2).tolist() == [[3, 4, 1]] and groups.scores.tolist() == [[9, 4, 2]]
    for k, columns in enumerate((slice(2, 4), slice(4, 6), slice(0, 2))):
        expected = torch.zeros(4, 6, dtype=torch.float64)
        expected[:, columns] = 1 / 8
        assert torch.allclose(groups.maps[0, k], expected)
    assert groups.sizes.tolist() == [[8, 8, 8]] and float(groups.unseen.abs().max()) < 1e-12


def test_places_all_alike_are_one_group() -> None:
    """P17: what is left is rounding, and is not taken for a group."""
    direction = torch.rand(1, 16, 1, 1, generator=torch.Generator().manual_seed(0))
    for dtype in (torch.float32, torch.float64):
        F = (direction * torch.rand(2, 1, 5, 5, generator=torch.Generator().manual_seed(1))).to(dtype)
        groups = Grouping(3)(F)
        assert groups.used.tolist() == [[True, False, False]] * 2
        assert not bool(groups.maps[:, 1:].any()) and not bool(groups.vectors[:, 1:].any())


def test_stopping_early_leaves_weak_slots_empty() -> None:
    """P16, second half."""
    F = features(5)
    whole, short = Grouping(4)(F), Grouping(4, threshold=0.6)(F)
    expected = whole.scores > 0.6 * whole.scores[:, :1]
    assert torch.equal(short.used, expected) and not bool(short.used.all()) and bool(short.used[:, 1].any())
    assert torch.allclose(short.vectors[short.used], whole.vectors[short.used])
    assert not bool(short.maps[~short.used].any())


def test_the_soft_choice_becomes_the_hard_one() -> None:
    """P16, first half; straight through is hard in value, soft in gradient."""
    F = features(4)
    hard = Grouping(3)(F)
    gaps = []
    for temperature in (0.1, 0.01, 0.001, 0.0001):
        soft = Grouping(3, choice="soft", temperature=temperature)(F)
        gaps.append(float((soft.vectors - hard.vectors).abs().max()))
    assert gaps[1:] == sorted(gaps[1:], reverse=True) and gaps[-1] < 1e-6 < gaps[0]
    through = Grouping(3, choice="straight_through")(F)
    assert torch.allclose(through.vectors, hard.vectors)
    grads = {}
    for choice in ("hard", "soft", "straight_through"):
        leaf = F.clone().requires_grad_()
        Grouping(3, choice=choice)(leaf).vectors.pow(2).sum().backward()  # type: ignore[arg-type]
        grads[choice] = leaf.grad
    assert not torch.allclose(grads["straight_through"], grads["hard"])  # type: ignore[arg-type]


def test_gradients() -> None:
    """P9: right away from ties, zero (and a number) at places of zeros."""
    F = features(2, 4, 3).clamp(min=0.05).requires_grad_()
    for choice in ("hard", "soft"):
        grouping = Grouping(2, choice=choice, temperature=0.5)  # type: ignore[arg-type]
        assert torch.autograd.gradcheck(lambda f, g=grouping: g(f).vectors, F)
    G = features(2, 4, 3)
    G[:, :, 1, 1] = 0
    G.requires_grad_()
    Grouping(2)(G).vectors.pow(2).sum().backward()
    assert G.grad is not None and bool(torch.isfinite(G.grad).all()) and not bool(G.grad[:, :, 1, 1].any())


def test_ablations() -> None:
    """P10."""
    F = features()
    plain = Grouping(3, refine=False)(F)
    for i in range(3):
        assert torch.equal(plain.vectors[i].T, F[i].flatten(1)[:, plain.seeds[i]])
    a, b, c = (Grouping(3)(F, seeds="random", generator=torch.Generator().manual_seed(s)).seeds for s in (4, 4, 5))
    assert torch.equal(a, b) and not torch.equal(a, c)
    given_ = Grouping(2)(F, seeds=torch.tensor([[3, 8]] * 3))
    assert given_.seeds.tolist() == [[3, 8]] * 3
    tight, loose = (Grouping(1, power=power)(F) for power in (8.0, 1.0))
    assert bool((tight.sizes < loose.sizes).all()) and torch.equal(tight.seeds, loose.seeds)
    sharp = Grouping(1, sharpness=50.0)(F)
    assert torch.allclose(sharp.maps[:, 0].flatten(1), (50 * loose.alike[:, 0].flatten(1)).softmax(1))


def test_signed_features_may_be_left_as_the_published_program_has_them() -> None:
    F = features(8, 3, 4, signed=True)
    raw, clamped = Grouping(2, allow_negative=True)(F), Grouping(2)(F)
    assert bool((raw.maps < 0).any()) and bool((clamped.maps >= 0).all())
    assert torch.allclose(raw.alike[:, 0].clamp(min=0), clamped.alike[:, 0])


@pytest.mark.parametrize("shape", [(5,), (4, 3), (3, 2, 4)])
def test_maps_of_any_number_of_axes(shape: tuple[int, ...]) -> None:
    F = torch.rand(2, 6, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    groups, flat = Grouping(3)(F), Grouping(3)(F.flatten(2))
    assert groups.maps.shape == (2, 3, *shape) and groups.norm.shape == (2, *shape)
    assert torch.allclose(groups.vectors, flat.vectors)


def test_seeds_do_not_depend_on_autocast_or_half_precision_of_the_sums() -> None:
    """P8: an island of single precision; fp16 squares of large features would overflow."""
    F = 300 * features(4, 16, 8).float()
    single = Grouping(3)(F)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(Grouping(3)(F).seeds, single.seeds)
        assert Grouping(3)(F).maps.dtype == torch.float32
    for dtype in (torch.float16, torch.bfloat16):
        low = Grouping(3)(F.to(dtype))
        assert torch.equal(low.seeds, Grouping(3)(F.to(dtype).float()).seeds)
        assert low.vectors.dtype == dtype and bool(torch.isfinite(low.norm).all())


def test_repeats_itself_and_tells_how_narrowly_a_seed_won() -> None:
    F = features(2)
    F[1].flatten(1)[:, 7] = 1.0000001 * F[1].flatten(1)[:, int(Grouping(1)(F).seeds[1, 0])]
    a, b = Grouping(3)(F), Grouping(3)(F)
    assert torch.equal(a.vectors, b.vectors) and torch.equal(a.seeds, b.seeds)
    assert float(a.gaps[1, 0]) < 1e-6 < float(a.gaps[0, 0])


def test_what_cannot_be_grouped() -> None:
    with pytest.raises(MethodError, match=r"feature maps \(n, c, h, w\)"):
        Grouping()(torch.rand(3, 4))
    with pytest.raises(MethodError, match="count=0"):
        Grouping(0)
    with pytest.raises(MethodError, match="'firm'"):
        Grouping(choice="firm")  # type: ignore[arg-type]
    with pytest.raises(MethodError, match="indices"):
        Grouping(2)(torch.rand(1, 3, 2, 2), seeds=torch.tensor([[0, 4]]))
    with pytest.raises(MethodError, match="'luck'"):
        Grouping(2)(torch.rand(1, 3, 2, 2), seeds="luck")  # type: ignore[arg-type]
