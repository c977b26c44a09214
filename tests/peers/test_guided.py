"""Guided backpropagation and the deconvolutional network: one rule at ReLU, and what peers do where they see none."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from pytorch_grad_cam import GuidedBackpropReLUModel
from torch import Tensor, nn
from torch.nn import functional as F
from zennit.composites import DeconvNet, GuidedBackprop

import foveal
from tests.peers.raw import captum_input, grad_cam_guided, zennit_input
from tests.peers.subjects import TARGETS, Functional, ours, plain, subject

if TYPE_CHECKING:
    from tests.conftest import NoTrace

pytestmark = [  # Captum says these each time
    pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU"),
    pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients"),
]


def reaction(gradient: Tensor) -> Tensor:
    """Ours looks at no color: the strongest channel."""
    return gradient.abs().amax(1)


def guided(model: nn.Module, x: Tensor) -> Tensor:
    return zennit_input(GuidedBackprop(), model, x, relevance=False)


PEERS = {
    "Captum": lambda model, x: captum_input("GuidedBackprop", model, x),
    "grad-cam": grad_cam_guided,
    "zennit": guided,
}


def gradient(model: nn.Module, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    return torch.autograd.grad(model(x)[torch.arange(len(x)), TARGETS].sum(), x)[0]


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("name", ["plain", "resnet18"])
def test_the_same_map_where_every_relu_is_a_module(name: str, peer: str) -> None:
    model, x = plain() if name == "plain" else subject(name)
    mine = ours(model, x, "guidedbackprop")
    torch.testing.assert_close(mine, reaction(PEERS[peer](deepcopy(model), x)), rtol=1e-9, atol=1e-12)


def test_the_same_deconvnet() -> None:
    model, x = plain()
    mine = ours(model, x, "deconvnet")
    torch.testing.assert_close(mine, reaction(captum_input("Deconvolution", model, x)), rtol=1e-9, atol=1e-12)
    theirs = zennit_input(DeconvNet(), model, x, relevance=False)
    torch.testing.assert_close(mine, reaction(theirs), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("peer", PEERS)
def test_functional_relu_is_plain_gradient_there_and_guided_here(peer: str) -> None:
    (modules, x), (functional, _) = plain(), plain(Functional)
    theirs = PEERS[peer](deepcopy(functional), x)
    torch.testing.assert_close(theirs, gradient(functional, x), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(ours(functional, x, "guidedbackprop"), ours(modules, x, "guidedbackprop"))
    assert not torch.allclose(reaction(theirs), reaction(guided(modules, x)), rtol=0.1)


class Positive(torch.autograd.Function):
    """The rule again, where it cannot be overlooked: the identity, whose backward keeps what is positive."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: object, *G: Tensor) -> Tensor:
        return G[0].relu()


class Guided6(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return Positive.apply(F.relu6(x))  # type: ignore[no-any-return]


@pytest.mark.parametrize("peer", PEERS)
def test_relu6_is_plain_gradient_there_and_guided_here(peer: str) -> None:
    """All of MobileNetV2: nobody's rule is written for nn.ReLU6."""
    model, x = subject("mobilenet_v2")
    theirs = PEERS[peer](deepcopy(model), x)
    torch.testing.assert_close(theirs, gradient(model, x), rtol=1e-9, atol=1e-12)
    mine = ours(model, x, "guidedbackprop")
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.ReLU6):
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, Guided6())
    torch.testing.assert_close(mine, reaction(gradient(model, x)), rtol=1e-9, atol=1e-12)


def test_grad_cam_leaves_one_shared_module_behind_and_doubles_what_it_gave_out() -> None:
    model, x = plain()
    one, explain = x[:1].clone(), GuidedBackpropReLUModel(model)
    first = explain(one, 2)
    kept, second = first.copy(), explain(one, 2)
    np.testing.assert_allclose(second, 2 * kept)
    np.testing.assert_allclose(first, second, err_msg="a view of .grad: what was handed out before changes too")
    assert model.body[1] is model.body[4]


def test_twice_is_the_same_here_and_nothing_is_replaced(no_trace: NoTrace) -> None:
    model, x = plain()
    with no_trace(model):
        first, second = (foveal.explain(model, x, TARGETS, method="guidedbackprop").map for _ in range(2))
    assert torch.equal(first, second)
    assert model.body[1] is not model.body[4]
