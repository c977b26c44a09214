"""Layer-wise relevance propagation: rule by rule with zennit and Captum, then where those two go wrong in silence."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn
from zennit.canonizers import SequentialMergeBatchNorm
from zennit.composites import LayerMapComposite, layer_map_base
from zennit.core import Composite
from zennit.rules import AlphaBeta, Epsilon, Gamma, ZPlus
from zennit.torchvision import ResNetCanonizer
from zennit.types import Convolution, Linear

import foveal
from tests.networks import awake
from tests.peers.raw import captum_input, zennit_input
from tests.peers.subjects import TARGETS, Functional, difference, ours, plain, subject

if TYPE_CHECKING:
    from tests.conftest import NoTrace

pytestmark = pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")  # Captum, each time

TINY = 1e-12
"""Where a rule here has no epsilon: the smallest that zennit may take."""


def share_of(epsilon: float) -> Callable[[Tensor], Tensor]:
    """Our stabilizer for zennit's rules: ε is a share of the layer's mean |z| in each image, theirs a plain number."""

    def stabilized(z: Tensor) -> Tensor:
        return z + epsilon * z.abs().mean(tuple(range(1, z.ndim)), keepdim=True) * torch.where(z < 0, -1, 1)

    return stabilized


RULES: dict[str, Callable[[], list[tuple[type, object]]]] = {
    "lrp-epsilon": lambda: [(Linear, Epsilon(share_of(1e-6)))],
    "lrp-epsilon:epsilon=0.01": lambda: [(Linear, Epsilon(share_of(0.01)))],
    "lrp-gamma": lambda: [(Convolution, Gamma(0.25, TINY)), (Linear, Epsilon(share_of(1e-6)))],
    "lrp-gamma:gamma=2": lambda: [(Convolution, Gamma(2, TINY)), (Linear, Epsilon(share_of(1e-6)))],
    "lrp-zplus": lambda: [(Convolution, ZPlus(TINY)), (Linear, Epsilon(share_of(1e-6)))],
    "lrp-alphabeta": lambda: [(Convolution, AlphaBeta(2, 1, TINY)), (Linear, Epsilon(share_of(1e-6)))],
    "lrp-alphabeta:alpha=3": lambda: [(Convolution, AlphaBeta(3, 2, TINY)), (Linear, Epsilon(share_of(1e-6)))],
}


def zennit(rules: list[tuple[type, object]], model: nn.Module, x: Tensor) -> Tensor:
    canonizers = [ResNetCanonizer() if hasattr(model, "layer4") else SequentialMergeBatchNorm()]
    composite: Composite = LayerMapComposite(layer_map_base(TINY) + rules, canonizers=canonizers)
    return zennit_input(composite, deepcopy(model), x).sum(1)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("method", RULES)
def test_zennit_gives_the_same_relevance(method: str, bias: bool) -> None:
    model, x = plain(bias=bias)
    assert difference(ours(model, x, method), zennit(RULES[method](), model, x)) < 1e-9


@pytest.mark.parametrize("bias", [True, False])
def test_captum_gives_the_same_relevance(bias: bool) -> None:
    """Up to its epsilon, which is 10⁻⁹ in every layer, whatever the size of its numbers."""
    model, x = plain(bias=bias)
    assert difference(ours(model, x, "lrp-epsilon:epsilon=1e-9"), captum_input("LRP", model, x).sum(1)) < 1e-5


def test_an_epsilon_that_is_a_number_means_another_thing_in_every_network() -> None:
    """Weights of the first layer a thousandth, of the second a thousandfold: the same function, another relevance."""
    model, x = plain(bias=False)
    same, _ = plain(bias=False)
    with torch.no_grad():
        same.body[0].weight.mul_(1e-3)
        same.body[3].weight.mul_(1e3)
    torch.testing.assert_close(score(same, x), score(model, x))
    method, absolute = "lrp-epsilon:epsilon=0.01", [(Linear, Epsilon(0.01))]
    assert difference(ours(same, x, method), ours(model, x, method)) < 1e-9
    assert difference(zennit(absolute, same, x), zennit(absolute, model, x)) > 0.1


@pytest.mark.parametrize("bias", [True, False])
def test_excitation_backpropagation_is_that_of_zennit_without_biases(bias: bool) -> None:
    """The paper's walk cannot go to a bias; zennit loses a share of the probability there unless told not to."""
    model, x = plain(bias=bias)
    losing = zennit_input(excitation(), model, x, relevance=False)
    keeping = zennit_input(excitation(zero_params=["bias"]), model, x, relevance=False)
    mine = ours(model, x, "excitationbp")
    assert difference(mine, keeping.sum(1)) < 1e-9
    torch.testing.assert_close(mine.sum((1, 2)), torch.ones(2, dtype=torch.float64))
    assert bool((losing.sum((1, 2, 3)) < 0.999).all()) == bias


def excitation(zero_params: list[str] | None = None) -> Composite:
    return LayerMapComposite([*layer_map_base(TINY)[1:3], (Linear, ZPlus(TINY, zero_params=zero_params))])


# --- Batch normalization and residual sums --------------------------------------------------------------------------


def normalized() -> tuple[nn.Module, Tensor]:
    """`plain` with batch normalization behind its convolutions."""
    model, x = plain()
    first, relu1, pool, second, relu2 = model.body
    model.body = nn.Sequential(first, nn.BatchNorm2d(6), relu1, pool, second, nn.BatchNorm2d(12), relu2)
    return awake(model).double().eval(), x


# Before 1.0, zennit forgets the normalization's own epsilon when it merges: each layer is off by a factor 1 − 5·10⁻⁶.
FORGETFUL = int(version("zennit").split(".")[0]) < 1
MERGED = 1e-3 if FORGETFUL else 1e-6


@pytest.mark.parametrize("method", RULES)
@pytest.mark.parametrize("make", [normalized, lambda: subject("resnet18")], ids=["normalized", "resnet18"])
def test_zennit_with_the_right_canonizer_gives_the_same(
    make: Callable[[], tuple[nn.Module, Tensor]], method: str
) -> None:
    model, x = make()
    with_zennits_sums = method
    if "zplus" in method or "alphabeta" in method:  # zennit shares residual sums in proportion, in every rule
        with_zennits_sums += ("," if ":" in method else ":") + "sums=plain"
    assert difference(ours(model, x, with_zennits_sums), zennit(RULES[method](), model, x)) < MERGED


@pytest.mark.skipif(FORGETFUL, reason="zennit before 1.0 puts everything back")
def test_zennit_leaves_merged_weights_in_the_state_and_ours_leaves_nothing(no_trace: NoTrace) -> None:
    model, x = normalized()
    with no_trace(model):
        ours(model, x, "lrp-epsilon")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    composite = LayerMapComposite(RULES["lrp-epsilon"](), canonizers=[SequentialMergeBatchNorm()])
    zennit_input(composite, model, x)
    after = model.state_dict()
    assert not all(torch.equal(before[name], after[name]) for name in before)


def test_relevance_does_not_depend_on_who_works_in_place() -> None:
    (separate, x), (in_place, _) = normalized(), normalized()
    for module in in_place.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = True
    for method in ("lrp-epsilon:epsilon=0.1", "lrp-gamma", "lrp-zplus", "lrp-alphabeta"):
        assert difference(ours(in_place, x, method), ours(separate, x, method)) < 1e-9, method


def test_residual_sums_are_shared_among_parts_of_one_sign_by_default() -> None:
    """In z⁺ and αβ, so that a large difference of two larger numbers does not blow relevance up."""
    model, x = subject("resnet18")
    assert difference(ours(model, x, "lrp-zplus"), zennit(RULES["lrp-zplus"](), model, x)) > 0.1


# --- Where conservation is lost in silence --------------------------------------------------------------------------


def score(model: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model(x)[torch.arange(2), TARGETS]  # type: ignore[no-any-return]


def test_captum_makes_billions_of_a_residual_network_and_ours_accounts_for_all() -> None:
    """It meets functional sums with the plain gradient of a quotient, and reused ReLU modules with the wrong values."""
    model, x = subject("resnet18")
    assert (captum_input("LRP", model, x).sum((1, 2, 3)).abs() > 1e6 * score(model, x).abs()).all()
    why = foveal.explain(model, x, TARGETS, method="lrp-epsilon")
    account = why.measured["input"]
    left = torch.tensor(account["relevance"]) + torch.tensor(account["taken by biases and stabilizers"])
    torch.testing.assert_close(left, torch.tensor(account["score"]), rtol=1e-6, atol=0)
    torch.testing.assert_close(left.double(), score(model, x), rtol=1e-6, atol=0)
    assert any("relevance at input sums to" in note for note in why.notes)


def test_captum_has_no_rule_for_relu6_and_ours_has() -> None:
    model, x = subject("mobilenet_v2")
    with pytest.raises(TypeError, match="no rule"):
        captum_input("LRP", model, x)
    assert ours(model, x, "lrp-epsilon").isfinite().all()


def test_functional_pooling_changes_their_relevance_and_not_ours() -> None:
    """Neither sees `x.mean((2, 3))`, and the gradient that passes there is no share of relevance."""
    (modules, x), (functional, _) = plain(bias=False), plain(Functional, bias=False)
    for method in ("lrp-epsilon", "lrp-zplus"):
        assert difference(ours(functional, x, method), ours(modules, x, method)) < 1e-9
        theirs = zennit(RULES[method](), functional, x)
        assert difference(theirs, zennit(RULES[method](), modules, x)) > 0.3
    found = [captum_input("LRP", model, x).sum((1, 2, 3)) / score(model, x) for model in (modules, functional)]
    torch.testing.assert_close(found[0], torch.ones_like(found[0]), rtol=1e-4, atol=0)
    assert ((found[1] - 1).abs() > 0.1).all()


def test_zennit_passes_the_gradient_through_modules_without_a_rule_and_says_nothing() -> None:
    model, x = plain(bias=False)
    known = zennit_input(LayerMapComposite([*layer_map_base(TINY), (Linear, Epsilon(TINY))]), model, x)
    without = zennit_input(LayerMapComposite([*layer_map_base(TINY)[:2], (Linear, Epsilon(TINY))]), model, x)
    assert difference(without, known) > 1
