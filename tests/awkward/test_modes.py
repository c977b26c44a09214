"""Every verb gives the same under the caller's `no_grad` and `inference_mode`, and leaves these modes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

import foveal
from tests.networks import Tiny, tiny

if TYPE_CHECKING:
    from tests.conftest import NoTrace

X = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
MANY = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def _shares(tree: foveal.Tree) -> Tensor:
    return torch.tensor([edge.share for feature in tree.features.values() for edge in feature.edges or ()])


def _grown(net: Tiny) -> Tensor:
    tree = foveal.decompose(net, X[:1], 1).grow(3).look()
    tree.audit()
    return _shares(tree)


VERBS: dict[str, Callable[[Tiny], Any]] = {
    "explain": lambda net: foveal.explain(net, X, 1).map,
    "ablation": lambda net: foveal.explain(net, X, 1, method="ablationcam").map,
    "paths": lambda net: foveal.explain(net, X, 1, method="integratedgradients").map,
    "decompose": _grown,
    "class_tree": lambda net: _shares(foveal.class_tree(net, X, 1, depth=2).trees[1]),
    "visualize": lambda net: foveal.visualize(net, MANY, steps=3)[0].image,
    "unit": lambda net: (
        foveal.visualize(net, target=foveal.Neuron("relu2", 1), steps=3, preprocessing=foveal.Preprocessing((16, 16)))[
            0
        ].image
    ),
    "flow": lambda net: foveal.flow(net, X, 1, mode="cascade").map,
    "parts": lambda net: foveal.parts(net, X, 1).evidence,
    "match": lambda net: foveal.match(net, X[:1], X).query_maps,
    "episode": lambda net: foveal.episode(net, X, MANY[:4], ["a", "b"] * 2).chances,
    "measure": lambda net: torch.tensor(
        foveal.measure(net, X, 1, explanations="gradcam", baseline_maps=False).values["gradcam"]["road"]
    ),
    "audit": lambda net: torch.tensor([one.marked for one in foveal.audit(net, X, 1, explanations="gradcam", draws=3)]),
    "sanity": lambda net: torch.tensor(foveal.sanity(net, X, 1, steps=2).checked["gradcam"].stability),
    "shortcuts": lambda net: foveal.shortcuts(net, MANY, [0, 1] * 4, task="classes").maps,
}


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("verb", VERBS)
def test_the_callers_mode_changes_nothing(verb: str, mode: Callable[[], Any], no_trace: NoTrace) -> None:
    net = tiny()
    outside = VERBS[verb](net)
    with no_trace(net), mode():
        inside = VERBS[verb](net)
        assert not torch.is_grad_enabled()
        assert torch.is_inference_mode_enabled() == (mode is torch.inference_mode)
    assert torch.equal(inside, outside) and not inside.requires_grad


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_tree_begun_outside_grows_inside(mode: Callable[[], Any]) -> None:
    tree = foveal.decompose(tiny(), X[:1], 1)
    with mode():
        tree.grow(3)
    assert torch.equal(_shares(tree), _shares(foveal.decompose(tiny(), X[:1], 1).grow(3)))
