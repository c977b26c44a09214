"""Layers given as modules of the model, wherever a layer is named."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import foveal
from foveal.errors import LayerError
from foveal.featurevis.schedule import Octave, Schedule
from tests.networks import tiny

if TYPE_CHECKING:
    from pathlib import Path

X = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_a_module_is_the_layer_of_its_name() -> None:
    net: Any = tiny()
    by_name = foveal.explain(net, X, 1, layer=["conv1", "relu2"])
    by_module = foveal.explain(net, X, 1, layer=[net.conv1, "relu2"])
    assert by_module.layers == by_name.layers
    assert all(torch.equal(by_module.maps[layer], by_name.maps[layer]) for layer in by_name.layers)
    assert foveal.explain(net, X, 1, layer=(net.relu2,)).layers == ("relu2",)


@pytest.mark.parametrize(
    "wrap", [nn.DataParallel, partial(torch.compile, backend="eager"), lambda net: foveal.Model(net, "mine")]
)
def test_modules_inside_wrappers(wrap: Any) -> None:
    net: Any = tiny()
    wrapped = wrap(net)
    assert foveal.explain(wrapped, X, 1, layer=net.conv1).layers == ("conv1",)
    inside = wrapped.conv1 if hasattr(wrapped, "conv1") else wrapped.module.conv1
    assert foveal.explain(wrapped, X, 1, layer=inside).layers == ("conv1",)


VERBS: dict[str, Any] = {
    "compare": lambda net, at: [why.layer for why in foveal.compare(net, X, 1, methods=["gradcam"], layer=at)],
    "flow": lambda net, at: list(foveal.flow(net, X, 1, layer=[at]).layers),
    "parts": lambda net, at: [foveal.parts(net, X, count=2, layer=at).layer],
    "match": lambda net, at: [foveal.match(net, X[:1], X[1:], layer=at, embedding=net.relu2).layer],
    "sanity": lambda net, at: foveal.sanity(net, X, 1, layer=at, steps=2, radii=(0.1,)) and ["conv1"],
    "neuron": lambda net, at: [foveal.explain(net, X, foveal.Neuron(net.relu2, 1), layer=at).layer],
    "similar": lambda net, at: [
        foveal.explain(net, X, foveal.Similar(X, embedding=net.relu2), layer=at).layer
    ],
    "measure": lambda net, at: [
        foveal.measure(
            net, X, 1, explanations=foveal.explain(net, X, 1, layer=["conv1", "relu2"]), layer=at,
            metrics=["deletion"], baseline_maps=False,
        )
    ] and ["conv1"],
}  # fmt: skip


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_takes_a_module(verb: str) -> None:
    net: Any = tiny()
    assert VERBS[verb](net, net.conv1) == ["conv1"]


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (lambda net: net, "the whole .* was given as a layer"),
        (lambda net: deepcopy(net).conv1, "is not part of this"),
        (lambda net: nn.Sequential(net.conv1, nn.ReLU()), "made of layers of this .* give the last of them, 'conv1'"),
    ],
)
def test_other_modules_are_one_sentence(layer: Any, said: str) -> None:
    net = tiny()
    with pytest.raises(LayerError, match=said):
        foveal.explain(net, X, 1, layer=layer(net))
    with pytest.raises(LayerError, match=said):
        foveal.explain(net, X, foveal.Neuron(layer(net), 0))


def test_a_module_that_runs_twice_is_its_last_call() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.relu = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.relu(self.conv(self.relu(self.conv(x)))).mean((2, 3))

    net = Twice()
    why = foveal.explain(net, X, 1, layer=net.relu)
    assert why.layers == ("relu",) and any("runs 2 times" in note for note in why.notes)


def test_channels_and_feature_images_take_a_module(tmp_path: Path) -> None:
    net: Any = tiny()
    files = []
    for number in range(2):
        files.append(tmp_path / f"{number}.png")
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(files[-1])
    small = foveal.Preprocessing(size=(8, 8))
    examples = foveal.channels(net, files, cache=False, layer=net.relu1, preprocessing=small)
    assert len(examples.strongest("relu1", 2)) == 2
    schedule = Schedule((Octave(1.0, 2),))
    of_set = foveal.visualize(net, files, layer=net.conv1, facets=1, preprocessing=small, schedule=schedule)
    assert tuple(of_set.layers) == ("conv1",)
    unit = foveal.visualize(net, target=foveal.Neuron(net.conv1, 1), preprocessing=small, schedule=schedule)
    assert len(unit.images) >= 1
