"""Activation checkpointing inside a model: parts of the forward run again during the backward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import foveal
from foveal.engine.capture import capture
from foveal.errors import MethodError, ModelError
from foveal.methods import METHODS
from tests.networks import Tiny, awake

if TYPE_CHECKING:
    from tests.conftest import NoTrace


class Checkpointed(nn.Module):
    """Two blocks and a head; the blocks are run again in the backward. One ReLU serves everywhere, in place."""

    def __init__(self, *, reentrant: bool | None) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.one = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.two = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6))
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(6, 3)
        self.reentrant = reentrant

    def forward(self, x: Tensor) -> Any:
        def block(part: nn.Module) -> Any:
            return lambda x: self.relu(part(x))

        x = self.stem(x)
        for part in (self.one, self.two):
            x = block(part)(x) if self.reentrant is None else checkpoint(block(part), x, use_reentrant=self.reentrant)
        return self.fc(x.mean((2, 3)))


def checkpointed(reentrant: bool | None) -> nn.Module:
    torch.manual_seed(0)
    return awake(Checkpointed(reentrant=reentrant)).eval()


X = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
LAYERS = ["stem", "one.0", "one", "two.0", "two", "relu", "relu#0", ["stem", "one", "two"], ["one.0", "relu#0", "relu"]]


@pytest.mark.parametrize("layers", LAYERS, ids=str)
def test_maps_are_those_without_checkpointing(layers: Any, no_trace: NoTrace) -> None:
    plain, model = checkpointed(None), checkpointed(False)
    with no_trace(model):
        why = foveal.explain(model, X, 1, method="hirescam", layer=layers)
    expected = foveal.explain(plain, X, 1, method="hirescam", layer=layers)
    for layer in expected.layers:
        assert torch.allclose(why.maps[layer], expected.maps[layer], atol=1e-7)


def test_several_backwards_on_one_forward() -> None:
    with capture(checkpointed(False), ["one.0", "two"]) as run:
        each = [run.gradients(score, keep_graph=True) for score in run.forward(X).T]
    with capture(checkpointed(None), ["one.0", "two"]) as run:
        expected = [run.gradients(score, keep_graph=True) for score in run.forward(X).T]
    for one, other in zip(each, expected, strict=True):
        assert all(torch.allclose(one[layer], other[layer], atol=1e-7) for layer in one)


def test_every_method_gives_the_same_map_or_says_that_it_cannot() -> None:
    results = {why.method: why for why in foveal.compare(checkpointed(False), X, 1, methods="fast")}
    expected = {why.method: why for why in foveal.compare(checkpointed(None), X, 1, methods="fast")}
    for method, other in expected.items():
        if method in results:
            assert results[method].layers == other.layers
            assert torch.allclose(results[method].map, other.map, atol=1e-5), method
        else:
            assert METHODS[method].rules is not None
            with pytest.raises(MethodError, match="switch checkpointing off"):
                foveal.explain(checkpointed(False), X, 1, method=method)


def test_differentiable_maps_through_checkpointing() -> None:
    gradients = []
    for reentrant in (None, False):
        model = checkpointed(reentrant)
        foveal.explain(model, X, 1, method="hirescam", layer="one", differentiable=True).map.pow(2).sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        if gradient is not None:
            assert torch.allclose(gradient, gradients[1][name], atol=1e-7), name  # type: ignore[arg-type]


def test_behind_reentrant_checkpointing_all_is_well() -> None:
    class Early(Tiny):
        def forward(self, x: Tensor) -> Any:
            x = checkpoint(lambda x: self.pool(self.relu1(self.conv1(x))), x, use_reentrant=True)
            return self.fc(self.relu2(self.conv2(x)).mean((2, 3)))

    torch.manual_seed(0)
    with pytest.warns(UserWarning, match="None of the inputs have requires_grad"):
        why = foveal.explain(Early().eval(), X, 1)
    assert why.layer == "relu2" and float(why.map.abs().amax()) > 0


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("layer", ["stem", "one.0", "two", "relu"])
def test_reentrant_checkpointing_is_told_in_one_sentence(layer: str, no_trace: NoTrace) -> None:
    model = checkpointed(True)
    with no_trace(model), pytest.raises(ModelError, match=r"use_reentrant=False") as caught:
        foveal.explain(model, X, 1, layer=layer)
    assert "\n" not in str(caught.value)
