"""Asking the network again: chunks, memory, decisions, precision, progress, and nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.engine.channel_swap import ChannelSwap
from foveal.engine.chunks import RESUMED, WHOLE, Chunks, fitting
from foveal.errors import LayerError, MethodError, ModelError
from foveal.methods import METHODS, Method
from tests.engine.test_resume import Computed
from tests.networks import Tiny, architecture, tiny

if TYPE_CHECKING:
    from foveal.attribution.perturbation import PerturbationScorer
    from tests.conftest import NoTrace

X = torch.randn(2, 3, 12, 16, generator=torch.Generator().manual_seed(0))
FORWARDS = [
    "scorecam", "scorecam:clusters=3", "sscorecam:samples=2", "isscorecam:samples=2", "ablationcam", "opticam:steps=3",
    "occlusion", "rise:count=20",
]  # fmt: skip


@pytest.fixture
def asking() -> Callable[[Callable[[PerturbationScorer], Tensor]], Method]:
    """Makes a method of a formula, to see what a probe does from within."""

    def make(formula: Callable[[PerturbationScorer], Tensor]) -> Method:
        return Method("asking", "Asking", formula, "forwards", "", "")

    return make


Asking = Callable[[Callable[..., Tensor]], Method]


# --- Chunks -------------------------------------------------------------------------------------------------------


def test_chunks_cover_everything_once_in_order() -> None:
    told: list[tuple[int, int]] = []
    found = Chunks(4)(lambda a, b: torch.arange(a, b).float(), 10, lambda *step: told.append(step))
    assert found.tolist() == list(range(10)) and told == [(4, 10), (8, 10), (10, 10)]
    assert len(Chunks(4)(lambda a, b: torch.arange(a, b).float(), 0, lambda *step: None)) == 0


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_chunks_are_halved_when_memory_runs_out(error: Exception, wrapped: bool) -> None:
    sizes = []

    def scores(a: int, b: int) -> Tensor:
        sizes.append(b - a)
        if b - a > 3:
            if wrapped:
                raise ModelError("running Tiny failed") from error
            raise error
        return torch.arange(a, b).float()

    assert Chunks(16)(scores, 10, lambda *step: None).tolist() == list(range(10))
    assert sizes == [10, 8, 4, 2, 2, 2, 2, 2]


def test_other_errors_and_too_little_memory_for_one_are_raised() -> None:
    def fail(a: int, b: int) -> Tensor:
        raise RuntimeError("can't allocate memory" if b - a == 1 else "shapes do not fit")

    for size, words in ((1, "memory"), (4, "shapes")):
        with pytest.raises(RuntimeError, match=words):
            Chunks(size)(fail, 8, lambda *step: None)


def test_a_chunk_stays_within_the_budget() -> None:
    for budget in (WHOLE, RESUMED):
        for shape in ((2048, 7, 7), (3, 224, 224), (64, 112, 112)):
            one = torch.empty(1, *shape)
            copies = fitting(one, budget)
            assert copies == 1 or copies * one.numel() * 4 <= budget[0]["cpu"]
            assert fitting(one, budget) >= fitting(torch.empty(2, *shape), budget)
        assert fitting(torch.empty(1, 3, 5000, 5000), budget) == 1
        assert fitting(torch.empty(1, 1, 1, 1), budget) == 1024


# --- The buffer ---------------------------------------------------------------------------------------------------


def test_exchanged_copies_differ_in_their_channel_only() -> None:
    A = torch.randn(1, 5, 2, 3)
    exchange = ChannelSwap(A, 3)
    for numbers in ([0, 1, 2], [3, 4], [2, 0, 2]):
        channels, planes = torch.tensor(numbers), torch.randn(len(numbers), 2, 3)
        expected = A.repeat(len(numbers), 1, 1, 1)
        for row, channel in enumerate(numbers):
            expected[row, channel] = planes[row]
        copies = exchange(channels, planes)
        assert torch.equal(copies, expected)
        if len(numbers) == 2:
            copies.relu_()  # a network that works in place


# --- Asking -------------------------------------------------------------------------------------------------------


def test_scores_of_unaltered_copies_are_the_score(asking: Asking) -> None:
    def formula(probe: PerturbationScorer) -> Tensor:
        same = torch.full((5,), probe.score)
        assert torch.allclose(probe.scores(lambda a, b: probe.x.repeat(b - a, 1, 1, 1), 5, chunk=2), same)
        assert torch.allclose(probe.resumed(lambda a, b: probe.A.repeat(b - a, 1, 1, 1), 5, chunk=2), same)
        channels = torch.arange(5)
        assert torch.allclose(probe.exchanged(channels, probe.A[0, :5], chunk=2), same)
        return probe.A[0, 0]

    for target in (None, 1, foveal.Margin(0, 2), foveal.Neuron("fc", 2), foveal.Neuron("relu2", 3, (1, 2)), total):
        for layer in ("relu1", "input"):
            foveal.explain(
                tiny(), X, target, method=asking(formula if layer == "relu1" else _at_the_input), layer=layer
            )


def total(output: Tensor) -> Tensor:
    return output.sum(1)


def _at_the_input(probe: PerturbationScorer) -> Tensor:
    assert probe.A is probe.x
    scores = probe.resumed(lambda a, b: probe.x.repeat(b - a, 1, 1, 1), 3)
    assert torch.allclose(scores, torch.full((3,), probe.score))
    return probe.x[0, 0]


def test_a_forward_for_one_unit_ends_at_its_layer() -> None:
    model, x = architecture("resnet18"), torch.randn(1, 3, 64, 64)
    foveal.stages(model, x)
    with Computed() as computed:
        foveal.explain(
            model, x, foveal.Neuron("layer1.1", 3), method="occlusion:window=32,stride=32,chunk=1", layer="input"
        )
    assert computed.convolutions == 5 * 5  # the image and four windows, each through five convolutions


def test_what_comes_before_the_layer_runs_once() -> None:
    model, x = architecture("resnet18"), torch.randn(2, 3, 64, 64)
    foveal.stages(model, x)
    with Computed() as computed:
        foveal.explain(model, x, method="ablationcam", layer="layer4")
    assert computed.convolutions == 20


def test_the_unit_of_an_earlier_layer_does_not_depend_on_this_one() -> None:
    with pytest.raises(LayerError, match="does not depend on layer 'relu2'"):
        foveal.explain(tiny(), X, foveal.Neuron("relu1", 0), method="ablationcam", layer="relu2")


def test_networks_that_cannot_be_gone_on_with_are_said_to_be() -> None:
    class OneByOne(Tiny):
        def features(self, x: Tensor) -> Tensor:
            return torch.cat([super(OneByOne, self).features(image[None]) for image in x])

    torch.manual_seed(0)
    awkward = OneByOne().eval()
    why = foveal.explain(awkward, X[:1], 1, method="ablationcam", layer="relu1")
    assert any("full forward pass" in note for note in why.notes) and why.measured["relu1"] == {"resumed": [False]}


def test_a_network_that_ends_in_a_sigmoid(asking: Asking) -> None:
    """Class 0 scores 1 − p, also where the score is read without a graph."""

    def formula(probe: PerturbationScorer) -> Tensor:
        assert torch.allclose(
            probe.exchanged(torch.arange(3), probe.A[0, :3]), torch.full((3,), probe.score), atol=1e-6
        )
        return probe.A[0, 0]

    model = nn.Sequential(tiny(classes=1), nn.Sigmoid()).eval()
    for target in (0, 1):
        foveal.explain(model, X, target, method=asking(formula), layer="0.relu1")
    for_, against = (foveal.explain(model, X, target, method="ablationcam", layer="0.relu1").map for target in (1, 0))
    assert torch.allclose(for_, -against, atol=1e-6) and for_.abs().amax() > 0


@pytest.mark.parametrize("method", FORWARDS)
def test_every_method_leaves_no_trace_and_is_the_same_every_time(method: str, no_trace: NoTrace) -> None:
    model = tiny().train()
    with no_trace(model):
        first = foveal.explain(model, X, 1, method=method)
    torch.manual_seed(5)
    with torch.no_grad():
        assert torch.equal(foveal.explain(model, X, 1, method=method).map, first.map)
    with torch.inference_mode():
        assert torch.equal(foveal.explain(model, X, 1, method=method).map, first.map)
    assert not first.map.requires_grad


@pytest.mark.parametrize("method", FORWARDS)
def test_every_method_tells_how_far_it_is(method: str) -> None:
    told: list[tuple[str, int, int]] = []
    foveal.explain(tiny(), X, 1, method=method, progress=lambda *step: told.append(step))
    names, done, totals = zip(*told, strict=True)
    assert set(names) == {f"{method} at {'input' if METHODS[method.split(':')[0]].place == 'input' else 'relu2'}"}
    assert list(done) == sorted(done) and done[-1] == totals[-1]


@pytest.mark.parametrize("method", FORWARDS)
def test_every_method_takes_what_the_network_takes_beside_the_image(method: str) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = tiny()

        def forward(self, x: Tensor, *, gain: Tensor) -> Tensor:
            return self.net(x * gain[:, :, None, None])  # type: ignore[no-any-return]

    gain = torch.tensor([[1.0, 2.0, 0.5], [0.3, 1.0, 1.0]]).double()  # drops of a score are small differences
    model, x = Two().eval().double(), X.double()
    both = foveal.explain(model, x, 1, method=method, keywords={"gain": gain})
    for image in range(2):
        alone = foveal.explain(model, x[image:][:1], 1, method=method, keywords={"gain": gain[image:][:1]})
        assert torch.allclose(both.map[image], alone.map[0], rtol=1e-3, atol=1e-6 * float(both.map.abs().amax()))


def test_maps_that_overflow_are_refused() -> None:
    model = tiny().half()
    with torch.no_grad():
        model.fc.weight.mul_(60000)
    x = 300 * X.half()
    with pytest.raises((MethodError, foveal.errors.TargetError), match=r"float32|nothing can be explained"):
        foveal.explain(model, x, 1, method="ablationcam", layer="relu1")


def test_a_decision_that_cannot_be_asked_again() -> None:
    class Once:
        layers = ()

        def decide(self, outcome: Any) -> Any:
            from foveal.targets import TargetScore

            return TargetScore(outcome.output[:, 0], ("it",) * len(outcome.output), {"kind": "it"})

    with pytest.raises(MethodError, match="gradient method"):
        foveal.explain(tiny(), X, Once(), method="ablationcam")
