"""Ablation-CAM: grad-cam's is the paper's where activations reach down to exactly zero, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.peers.raw import grad_cam
from tests.peers.subjects import TARGETS, difference, evidence, ours, relative, subject


def literal(model: nn.Module, A: Tensor, rest: tuple[str, ...], ablate: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Σ_c (y − y without channel c) / y · A_c, by running the `rest` of `tiny` above A, then its head."""

    def score(a: Tensor, k: int) -> Tensor:
        a = a[None]
        for name in rest:
            a = model.get_submodule(name)(a)
        return model.fc(a.mean((2, 3)))[0, k]  # type: ignore[no-any-return, operator]

    maps = []
    with torch.no_grad():
        for a, k in zip(A, TARGETS, strict=True):
            y = score(a, k)
            without = torch.stack([score(ablate(a, c), k) for c in range(len(a))])
            maps.append((((y - without) / y)[:, None, None] * a).sum(0))
    return torch.stack(maps)


def to_zero(a: Tensor, channel: int) -> Tensor:
    return a.index_fill(0, torch.tensor([channel]), 0)


def ever_lower(a: Tensor, channel: int) -> Tensor:
    """The value for the k-th channel lies 10⁷ below that of the one before: the minimum is taken over all of them."""
    return a.index_fill(0, torch.tensor([channel]), float(a.min()) - 1e7 * (channel + 1))


RESTS = {"relu1": ("pool", "conv2", "relu2"), "relu2": (), "conv2": ("relu2",)}


@pytest.mark.parametrize("layer", RESTS)
def test_at_and_before_a_relu_it_is_the_paper(layer: str) -> None:
    model, x = subject("tiny")
    A, _ = evidence("tiny", layer)
    theirs = grad_cam("AblationCAM", model, x, layer)
    assert relative(literal(model, A, RESTS[layer], to_zero), theirs) < 1e-5
    mine = ours(model, x, "ablationcam", layer) / model(x)[torch.arange(2), TARGETS].detach()[:, None, None]
    assert difference(mine, theirs) < 1e-5


def test_the_paper_divides_by_the_score_which_turns_its_map_round_where_that_is_negative() -> None:
    """Ours is in units of the score: what speaks in favor is positive whatever its sign."""
    model, x = subject("tiny")
    with torch.no_grad():
        model.fc.bias -= 10
    A, _ = evidence("tiny", "relu2")
    in_favor = model.fc.weight[TARGETS][:, :, None, None] * A
    mine = ours(model, x, "ablationcam", "relu2")
    assert (mine * in_favor.sum(1)).sum() > 0
    assert (grad_cam("AblationCAM", model, x, "relu2") * in_favor.sum(1)).sum() < 0


def signed() -> tuple[nn.Module, Tensor, Tensor]:
    """`tiny` without its last ReLU: the network, its input, and what conv2 makes of it."""
    model, x = subject("tiny")
    model.relu2 = nn.Identity()
    with torch.no_grad():
        return model, x, model.features(x)  # type: ignore[operator]


def test_elsewhere_channels_are_sent_far_below_and_each_further_than_the_one_before() -> None:
    model, x, A = signed()
    theirs = grad_cam("AblationCAM", model, x, "conv2")
    assert relative(literal(model, A, (), ever_lower), theirs) < 1e-5
    assert relative(literal(model, A, (), to_zero), theirs) > 0.1
    mine = ours(model, x, "ablationcam", "conv2") / model(x)[torch.arange(2), TARGETS].detach()[:, None, None]
    assert difference(mine, literal(model, A, (), to_zero)) < 1e-9


def test_so_its_map_there_depends_on_how_many_channels_are_ablated_at_once() -> None:
    model, x, _ = signed()
    all_at_once = grad_cam("AblationCAM", model, x, "conv2")
    one_by_one = grad_cam("AblationCAM", model, x, "conv2", batch_size=1)
    assert relative(all_at_once, one_by_one) > 0.1
    mine = [ours(model, x, f"ablationcam:chunk={chunk}", "conv2") for chunk in (1, 32)]
    torch.testing.assert_close(*mine, rtol=1e-9, atol=1e-12)
    alone = torch.cat([ours(model, one[None], "ablationcam", "conv2", k) for one, k in zip(x, TARGETS, strict=True)])
    torch.testing.assert_close(mine[0], alone, rtol=1e-9, atol=1e-12)
