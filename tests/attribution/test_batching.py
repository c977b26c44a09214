"""Many images through a few at a time: the same maps, whatever decides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.attribution import batching
from foveal.errors import TargetError
from tests.networks import tiny

X = torch.randn(7, 3, 12, 12, generator=torch.Generator().manual_seed(5))


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """By threes; what is seen is how many images each pass has."""
    seen: list[int] = []
    run_through = batching.BatchSlice.decide

    def decide(self: batching.BatchSlice, outcome: Any) -> Any:
        seen.append(self.stop - self.start)
        return run_through(self, outcome)

    monkeypatch.setattr(batching, "fitting", lambda one, budget: 3)
    monkeypatch.setattr(batching.BatchSlice, "decide", decide)
    return seen  # type: ignore[return-value]


TARGETS: dict[str, Any] = {
    "predicted": None,
    "one each": [0, 1, 2, 0, 1, 2, 0],
    "margin": foveal.Margin(),
    "margin, one each": foveal.Margin([0, 1, 2, 0, 1, 2, 0], [1, 2, 0, 2, 0, 1, 1]),
    "unit": foveal.Neuron("conv2", 3),
    "callable": lambda output: output[torch.arange(7), [0, 2, 1, 0, 1, 2, 1]],
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("method", ["gradcam", "lrp-epsilon", "guidedbackprop", "relevancecam", "gradient"])
def test_the_same_as_all_at_once(method: str, target: str, sizes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny()
    layer = "input" if method in ("gradient", "guidedbackprop") else "relu1"
    by_threes = foveal.explain(model, X, TARGETS[target], method=method, layer=layer)
    assert sizes == [3, 3, 1]
    monkeypatch.setattr(batching, "fitting", lambda one, budget: 100)
    at_once = foveal.explain(model, X, TARGETS[target], method=method, layer=layer)
    assert len(sizes) == 3
    assert torch.allclose(by_threes.map, at_once.map, atol=1e-6 * float(at_once.map.abs().amax()))
    assert torch.allclose(by_threes.score, at_once.score)
    assert (by_threes.target, by_threes.target_spec) == (at_once.target, at_once.target_spec)
    assert by_threes[5].target_spec == at_once[5].target_spec
    assert by_threes.notes == at_once.notes
    assert by_threes.measured.keys() == at_once.measured.keys()


def test_the_last_stage_takes_all_images_at_once(sizes: list[int]) -> None:
    foveal.explain(tiny(), X, method="gradcam")
    assert sizes == []


def test_other_inputs_follow_their_images(sizes: list[int]) -> None:
    class Gain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = tiny()

        def forward(self, x: Tensor, gain: Tensor) -> Tensor:
            return self.net(x * gain[:, None, None, None])  # type: ignore[no-any-return]

    gain = torch.linspace(0.2, 2, 7)
    many = foveal.explain(Gain().eval(), X, 1, method="inputxgradient", inputs=gain)
    assert sizes == [3, 3, 1]
    for i in (0, 4, 6):
        one = foveal.explain(Gain().eval(), X[i : i + 1], 1, method="inputxgradient", inputs=gain[i : i + 1])
        assert torch.allclose(many.map[i], one.map[0], atol=1e-5 * float(one.map.abs().amax()))


def test_outputs_that_cannot_be_cut_go_at_once(sizes: list[int]) -> None:
    class Said:
        def __init__(self, logits: Tensor) -> None:
            self.logits = logits

    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = tiny()

        def forward(self, x: Tensor) -> Said:
            return Said(self.net(x))

    odd = foveal.explain(Odd().eval(), X, 1, method="gradient")
    assert sizes == [3]
    assert torch.allclose(odd.map, foveal.explain(tiny(), X, 1, method="gradient").map)


def test_a_model_that_ends_in_a_softmax_is_still_seen_to(sizes: list[int]) -> None:
    model = nn.Sequential(tiny(), nn.Softmax(1)).eval()
    why = foveal.explain(model, X, 1, method="gradient")
    assert sizes == [3, 3, 1]
    assert why.target_spec["of"] == "probability"
    assert why.probability is not None
    assert torch.allclose(why.probability, model(X)[:, 1])


def test_a_target_with_too_many_scores_is_refused_as_ever(sizes: list[int]) -> None:
    with pytest.raises(TargetError, match="for 7 images"):
        foveal.explain(tiny(), X, lambda output: output.flatten(), method="gradient")
