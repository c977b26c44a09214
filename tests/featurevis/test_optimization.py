"""The way to an image: descent, batches, seeds, masks, resuming, no trace (T2, T7, T10, T12, T14, T15)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from foveal.errors import MethodError
from foveal.featurevis import STILL, FeatureTask, Fourier, Octave, Optimization, Pixels, Schedule, Views
from foveal.featurevis.image_objectives import low_saturation, smooth
from foveal.featurevis.objectives import diverse, excite, near
from foveal.featurevis.published_code import center_mask
from tests.featurevis.networks import network_of, small

if TYPE_CHECKING:
    from foveal.featurevis import Objective
    from foveal.featurevis.network import FeatureNetwork
    from tests.conftest import NoTrace

LAYER = "relu2"


def goals(network: FeatureNetwork, count: int = 3) -> list[Objective]:
    """Features of random pictures as targets."""
    x = torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(5), dtype=network.dtype)
    found = []
    for a in network.features(x, [LAYER])[LAYER]:
        S = a.topk(4).indices
        found.append(excite(LAYER, a, S) + near(LAYER, a, S) + 0.1 * smooth())
    return found


def tasks(network: FeatureNetwork, kind: Any = Fourier, **options: Any) -> list[FeatureTask]:
    return [
        FeatureTask(f"facet {b}", J, lambda size: kind((3, *size), network.dtype), LAYER, **options)
        for b, J in enumerate(goals(network))
    ]


def run(network: FeatureNetwork, jobs: list[FeatureTask], steps: int = 12, **options: Any) -> Optimization:
    optimization = Optimization(network, jobs, Schedule((Octave(1.0, steps),), check=4, patience=0, **options))
    for _ in optimization:
        pass
    return optimization


def test_descent_never_rises() -> None:
    network = network_of(small(dtype=torch.float64))
    optimization = Optimization(
        network, tasks(network), Schedule((Octave(1.0, 40),), optimizer="descent", views=STILL, check=1, patience=0)
    )
    for _ in optimization:
        pass
    for image in optimization.images:
        losses = torch.tensor([loss for _, loss in image.curve])
        assert bool((losses.diff() <= 0).all()) and float(losses[-1]) < float(losses[0])


def test_small_steps_fall_over_fifty_of_them() -> None:
    network = network_of(small(dtype=torch.float64))
    optimization = Optimization(
        network, tasks(network), Schedule((Octave(1.0, 150),), rate=0.3, views=STILL, check=50, patience=0)
    )
    for _ in optimization:
        pass
    for image in optimization.images:
        assert bool((torch.tensor([loss for _, loss in image.curve]).diff() < 0).all())


def test_jobs_of_a_batch_are_as_if_alone() -> None:
    network = network_of(small(dtype=torch.float64))
    together = run(network, tasks(network))
    few = run(network, tasks(network), batch=1)
    for b, job in enumerate(tasks(network)):
        alone = run(network, [job])
        torch.testing.assert_close(alone.best[0].image, together.best[b].image, atol=1e-8, rtol=0)
        torch.testing.assert_close(few.best[b].image, together.best[b].image, atol=1e-8, rtol=0)


def test_the_seed_decides() -> None:
    network = network_of(small())
    one, same, other = (run(network, tasks(network), seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(a.image, b.image) for a, b in zip(one.best, same.best, strict=True))
    assert not torch.equal(one.best[0].image, other.best[0].image)
    assert not torch.equal(one.best[0].image, one.best[1].image)


def test_the_best_is_kept() -> None:
    network = network_of(small())
    optimization = run(network, tasks(network), steps=40, rate=40.0)  # far too fast
    for image in optimization.images:
        assert image.best is not None
        assert image.best.loss == min(loss for _, loss in image.curve)
        assert (image.best.step, image.best.loss) in image.curve


def test_a_plateau_ends_an_image_and_not_the_others() -> None:
    network = network_of(small())
    jobs = tasks(network)
    flat = FeatureTask("flat", 0.0 * low_saturation(), jobs[0].parametrization, LAYER)
    optimization = Optimization(network, [flat, *jobs], Schedule((Octave(1.0, 60),), check=4, patience=2))
    steps = list(optimization)
    assert steps[-1].done == 60 and steps[20].active == 3
    assert optimization.images[0].curve[-1][0] == 8
    ended = list(Optimization(network, [flat], Schedule((Octave(1.0, 60),), check=4, patience=2)))
    assert ended[-1].done == 8 and ended[-1].active == 0


def test_octaves_enlarge_the_image() -> None:
    network = network_of(small())
    optimization = Optimization(
        network, tasks(network), Schedule((Octave(0.5, 4), Octave(1.0, 4), Octave(2.0, 2)), check=2)
    )
    sizes = [tuple(optimization.shown()[0].shape[1:]) for _ in optimization]
    assert sizes[0] == (8, 8) and sizes[5] == (16, 16) and sizes[-1] == (32, 32)
    assert all(best.image.shape == (3, 32, 32) for best in optimization.best)


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "descent"])
def test_resuming_gives_the_same(optimizer: str, tmp_path: Any) -> None:
    network = network_of(small())
    schedule = Schedule((Octave(0.5, 6), Octave(1.0, 8)), optimizer=optimizer, check=4, patience=0)  # type: ignore[arg-type]
    whole = Optimization(network, tasks(network), schedule)
    for _ in whole:
        pass
    first = Optimization(network, tasks(network), schedule)
    for step in first:
        if step.done == 9:
            break
    torch.save(first.state(), tmp_path / "state.pt")
    second = Optimization(network, tasks(network), schedule)
    second.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    done = [step.done for step in second]
    assert done[0] == 10 and done[-1] == 14
    for a, b in zip(whole.best, second.best, strict=True):
        assert torch.equal(a.image, b.image) and a.loss == b.loss
    assert [i.curve for i in whole.images] == [i.curve for i in second.images]


def test_masked_pixels_do_not_move() -> None:
    network = network_of(small())
    mask = center_mask((16, 16), 420 * 16 / 512)
    mask[:4] = 0
    start = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    optimization = run(network, tasks(network, Pixels, start=start), mask=lambda size: mask)
    after = optimization.shown()[0]
    torch.testing.assert_close(after[:, :4], start[:, :4], atol=2e-3, rtol=0)  # sigmoids do not reach 0 and 1
    kept = start.clamp(1e-3, 1 - 1e-3)
    assert torch.allclose(after[:, :4], kept[:, :4], atol=1e-6)
    assert float((after[:, 6:10] - start[:, 6:10]).abs().max()) > 0.01


def test_nothing_of_the_network_changes_and_its_head_never_runs(no_trace: NoTrace) -> None:
    net = small()
    net.train()
    network = network_of(net)
    jobs = tasks(network)  # traces the network, once
    heads = net.heads
    with no_trace(net):
        optimization = Optimization(network, jobs, Schedule((Octave(1.0, 6),), check=2))
        for step in optimization:
            assert net.training and all(p.requires_grad and p.grad is None for p in net.parameters())
            if step.done == 4:
                break
        optimization.check()
    assert net.heads == heads


def test_hooks_are_gone_after_a_failure(no_trace: NoTrace) -> None:
    net = small()
    network = network_of(net)
    jobs = tasks(network)

    def fails(seen: Any) -> Any:
        raise ZeroDivisionError

    from foveal.featurevis import Objective

    with no_trace(net), pytest.raises(ZeroDivisionError):
        run(network, [FeatureTask("bad", Objective(fails, "bad", (LAYER,)), jobs[0].parametrization, LAYER)])


def test_seeds_of_a_facet_differ_more_where_diversity_is_asked_for() -> None:
    network = network_of(small())
    J = goals(network)[0]
    plain, varied = (
        run(network, [FeatureTask("f", objective, lambda size: Fourier((3, *size)), LAYER, seeds=(0, 1, 2))], steps=60)
        for objective in (J, J + 3.0 * diverse(LAYER))
    )

    def likeness(optimization: Optimization) -> float:
        images = torch.stack([best.image for best in optimization.best])
        return float(diverse(LAYER)(network.look(images, [LAYER], gradient=False)).mean())

    assert likeness(varied) < likeness(plain)


def test_half_precision_ends_near_full() -> None:
    """T15: gain and fit within 2 %."""
    found = []
    for precision in ("float32", "bfloat16"):
        network = network_of(small(), precision=precision)
        reference = network_of(small())
        optimization = run(network, tasks(reference), steps=60, views=STILL)
        images = torch.stack([best.image for best in optimization.best])
        found.append(reference.features(images, [LAYER])[LAYER])
    full, half = found
    torch.testing.assert_close(half.mean(1), full.mean(1), rtol=0.02, atol=0)
    assert float(torch.cosine_similarity(half, full).min()) > 0.98


def test_unknown_optimizer() -> None:
    network = network_of(small())
    with pytest.raises(MethodError, match="choose adam"):
        Optimization(network, tasks(network), Schedule(optimizer="magic"))  # type: ignore[arg-type]


def test_views_are_drawn_anew_each_step() -> None:
    network = network_of(small())
    optimization = Optimization(
        network,
        [FeatureTask("f", low_saturation(), lambda size: Pixels((3, *size)), LAYER)],
        Schedule(views=Views(0.2)),
    )
    states = []
    for step in optimization:
        states.append(optimization.images[0].generator.get_state().clone())
        if step.done == 3:
            break
    assert not torch.equal(states[0], states[1])


def test_a_step_asks_the_network_once_and_copies_no_map_where_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layer rectifies in place: a map that nothing can overwrite any more is kept as it is."""
    from foveal.engine import capture, taps

    kept: list[tuple[torch.Tensor, taps.Tap]] = []

    def tap(tensor: torch.Tensor, **options: Any) -> taps.Tap:
        kept.append((tensor, taps.tap(tensor, **options)))
        return kept[-1][1]

    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(inplace=True), torch.nn.Conv2d(4, 4, 3))
    network = network_of(net)
    assert network.structure
    monkeypatch.setattr(capture, "tap", tap)
    x = torch.rand(2, 3, 16, 16, requires_grad=True)
    for layers, copied in ((["1"], [False]), (["0", "1"], [True, False])):
        kept.clear()
        seen = network.look(x, layers)
        assert [tapped.kept is not tapped.onward for _, tapped in kept] == copied
        torch.testing.assert_close(seen.maps["1"], net[:2](network.normalization.to_input(x)))
        (gradient,) = torch.autograd.grad(seen.maps["1"].square().sum(), x)
        (literal,) = torch.autograd.grad(net[:2](network.normalization.to_input(x)).square().sum(), x)
        torch.testing.assert_close(gradient, literal)
