"""The estimate of what a map costs, against passes that are counted."""

from __future__ import annotations

import pytest
import torch

import foveal
from foveal.methods import METHODS, find_method
from foveal.methods.cost import forward_passes
from tests.networks import tiny


def counted(name: str) -> int:
    """Rows that go through the network's last layer while one map is made."""
    model, rows = tiny(), []
    model.fc.register_forward_hook(lambda module, inputs, output: rows.append(len(output)))
    foveal.explain(model, torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)), 0, method=name)
    return sum(rows)


@pytest.mark.parametrize("name", ["scorecam", "occlusion", "occlusion:window=8,stride=3", "rise"])
def test_passes_are_as_many_as_said(name: str) -> None:
    method = find_method(name)
    shape = (3, 32, 32) if method.place == "input" else (12, 16, 16)
    said = forward_passes(method, shape)
    assert said is not None
    assert counted(name) - said in range(4)  # the decision, and a baseline, come on top


def test_a_backward_pass_counts_as_two() -> None:
    assert forward_passes(METHODS["gradcam"], (8, 4, 4)) == 3
    assert forward_passes(METHODS["eigencam"], (8, 4, 4)) == 1
    assert forward_passes(METHODS["smoothgrad"], (3, 32, 32)) == 150


def test_passes_behind_the_layer_are_shorter() -> None:
    assert forward_passes(METHODS["ablationcam"], (8, 4, 4), behind=0.25) == 2
    assert forward_passes(METHODS["scorecam"], (8, 4, 4), behind=0.25) == 8


def test_of_a_tree_no_one_knows() -> None:
    assert forward_passes(METHODS["gap"], (8, 4, 4)) is None
