"""Many explanations in a row: no hook, no `.grad`, and nothing that only the collector would find."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch

import foveal
from foveal.methods import METHODS
from tests.networks import tiny

if TYPE_CHECKING:
    from tests.conftest import NoTrace

QUICK = [name for name, method in METHODS.items() if method.needs != "forwards" and not method.similarity]
SLOW = [name for name, method in METHODS.items() if method.needs == "forwards"]
KINDS = ("gradcam", "eigencam", "eigengradcam", "gradient", "guidedbackprop", "lrp-epsilon")
"""One of each way to a map that takes a forward and at most a backward: these are asked two hundred times."""


def growth(question: Callable[[], object], times: int, alive: Callable[[], int]) -> int:
    """How many more tensors are alive after `times` questions than after the first ones."""
    for _ in range(2):
        question()
    before = alive()
    for _ in range(times):
        question()
    return alive() - before


@pytest.mark.parametrize("method", QUICK)
def test_two_hundred_explanations_leave_nothing_behind(
    method: str, no_trace: NoTrace, alive: Callable[[], int]
) -> None:
    model, x = tiny(), torch.randn(2, 3, 8, 8)
    with no_trace(model):
        times = 200 if method in KINDS else 10
        assert growth(lambda: foveal.explain(model, x, 1, method=method), times, alive) <= 0


@pytest.mark.parametrize("layer", ["relu1", "input"])
@pytest.mark.parametrize("method", SLOW)
def test_methods_that_ask_again_leave_nothing_behind(
    method: str, layer: str | None, no_trace: NoTrace, alive: Callable[[], int]
) -> None:
    model, x = tiny(), torch.randn(1, 3, 8, 8)

    def question() -> None:
        try:
            foveal.explain(model, x, 1, method=method, layer=layer)
        except foveal.FovealError:
            pytest.skip(f"{method} does not apply at {layer}")

    with no_trace(model):
        assert growth(question, 3, alive) <= 0


@pytest.mark.usefixtures("alive")
@pytest.mark.parametrize("method", [*QUICK, *SLOW])
def test_a_model_goes_with_its_last_name(method: str) -> None:
    """Nothing remembers a network that its owner has dropped."""
    model = tiny()
    gone = weakref.ref(model)
    foveal.explain(model, torch.randn(1, 3, 8, 8), 1, method=method)
    del model
    assert gone() is None


@pytest.mark.parametrize("arguments", [{"target": 7}, {"layer": "fc"}, {"method": "gradcan"}, {"layer": "nothing"}])
def test_refusals_leave_no_hook(arguments: Any, no_trace: NoTrace) -> None:
    model, x = tiny().train(), torch.randn(1, 3, 8, 8)
    with no_trace(model):
        for _ in range(5):
            with pytest.raises(foveal.FovealError):
                foveal.explain(model, x, **arguments)
