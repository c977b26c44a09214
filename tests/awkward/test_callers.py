"""Whoever calls, and however: threads, generators, modes, wrappers, precisions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import torch

import foveal
from tests.networks import tiny

if TYPE_CHECKING:
    from tests.conftest import NoTrace


def test_threads_take_turns_at_one_model(no_trace: NoTrace) -> None:
    model = tiny().train()
    pictures = [torch.randn(1, 3, 16, 16) for _ in range(24)]
    alone = [foveal.explain(model, x, 0, layer="all").maps["relu1"] for x in pictures]
    with no_trace(model), ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda x: foveal.explain(model, x, 0, layer="all").maps["relu1"], pictures))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_first_call_of_all_may_be_without_gradients(mode: Any) -> None:
    model = tiny()
    with mode():
        assert foveal.explain(model, torch.randn(1, 3, 8, 8)).layer == "relu2"
