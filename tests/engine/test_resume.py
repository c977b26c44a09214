"""Going on from a layer against whole forwards with a hook in it, for every way of writing a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from foveal.engine.guard import untouched
from foveal.engine.resume import Cut, Recording, Resumption
from foveal.engine.stages import describe
from tests.networks import ARCHITECTURES, architecture, tiny

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import NoTrace


class Computed(TorchDispatchMode):
    """Counts the convolutions that are really computed."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.convolutions += func.overloadpacket.__name__ == "convolution"
        return func(*args, **(kwargs or {}))


def hooked(model: nn.Module, layer: str, x: Tensor, copies: Tensor, call: int = 0) -> Tensor:
    """Scores by whole forwards, one a copy, with a hook that exchanges what the layer returns."""
    scores = []
    for copy in copies:
        count = iter(range(100))

        def exchange(_module: nn.Module, _inputs: Any, _output: Any, copy: Tensor = copy, count: Any = count) -> Any:
            return copy[None].clone() if next(count) == call else None

        handle = model.get_submodule(layer.split("#")[0]).register_forward_hook(exchange)
        scores.append(model(x.clone())[0, 0])
        handle.remove()
    return torch.stack(scores)


def resumption(model: nn.Module, layer: str, x: Tensor, last_call: int = 0) -> Resumption:
    def ask(x: Tensor) -> Tensor:
        return model(x)[:, 0]  # type: ignore[no-any-return]

    return Resumption(Cut(model, layer, last_call), ask, x, float(ask(x.clone())))


def altered(activation: Tensor, k: int = 4) -> Tensor:
    factor = torch.rand(k, *activation.shape[1:], generator=torch.Generator().manual_seed(7), dtype=activation.dtype)
    return activation * factor


def check(model: nn.Module, layer: str, x: Tensor, last_call: int = 0, *, fault: str | None = None) -> None:
    """Going on gives the scores of whole forwards, for several copies and for one, and again afterwards."""
    with untouched(model), torch.no_grad():
        resumed = resumption(model, layer, x, last_call)
        copies = altered(resumed.returned)
        expected = hooked(model, layer, x, copies, last_call)
        assert (resumed.refusal is None) == (fault is None), resumed.refusal
        assert fault is None or fault in str(resumed.refusal)
        assert expected.std() > 0
        for numbers in ([0, 1, 2, 3], [1], [2, 0], [3]):
            assert torch.allclose(resumed(copies[numbers].clone()), expected[numbers], rtol=1e-9, atol=1e-12)


# --- Real architectures -------------------------------------------------------------------------------------------

INSIDE = {
    "resnet18": ["layer3.0.conv1", "layer3.0.downsample.0", "layer3.1.bn1", "layer3.1.relu"],
    "resnet50": ["layer2.1.conv2"],
    "densenet121": ["features.denseblock3.denselayer4.conv1", "features.transition2.conv"],
    "inception_v3": ["Mixed_6a.branch3x3", "Mixed_7b.branch_pool"],
    "mobilenet_v3_small": ["features.4.block.2.fc1", "features.4.block.1"],
    "convnext_tiny": ["features.3.0.block.0"],
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_gives_the_scores_of_whole_forwards_on_real_architectures(name: str, no_trace: NoTrace) -> None:
    model, side = architecture(name).double(), min(ARCHITECTURES[name], 96 if name == "inception_v3" else 64)
    x = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1)).double()
    stages = [stage.name for stage in describe(model, x).stages]
    with no_trace(model):
        for layer in [stages[-1], stages[len(stages) // 2], *INSIDE.get(name, ())]:
            calls = describe(model, x).last_calls(model, [layer])[layer]
            check(model, layer, x, calls)


def test_what_comes_before_the_layer_is_not_computed_again() -> None:
    model, x = architecture("resnet18"), torch.randn(1, 3, 64, 64)
    with untouched(model), torch.no_grad():
        with Computed() as first:
            resumed = resumption(model, "layer4.0.conv1", x)
        with Computed() as again:
            resumed(altered(resumed.returned))
    # One whole forward for the score, one up to the layer to record, and the rest to make sure.
    assert first.convolutions == 20 + 16 + 4
    assert again.convolutions == 4


def test_a_recording_of_several_images_serves_each(no_trace: NoTrace) -> None:
    model, x = architecture("resnet18").double(), torch.randn(3, 3, 64, 64).double()
    with no_trace(model), untouched(model), torch.no_grad():
        cut = Cut(model, "layer3.1.conv1", 0)
        recording = Recording(cut, 3)
        with recording.running():
            scores = model(x.clone())[:, 0]
        for image in range(3):
            with Computed() as computed:
                resumed = Resumption(
                    cut, lambda x: model(x)[:, 0], x[image : image + 1], float(scores[image]), recording, image
                )
            assert resumed.refusal is None and computed.convolutions == 6
            copies = altered(resumed.returned)
            assert torch.allclose(resumed(copies), hooked(model, "layer3.1.conv1", x[image : image + 1], copies))


# --- Ways of writing a network ------------------------------------------------------------------------------------


class Written(nn.Module):
    """Two convolutions and a linear layer, with `way` to say what happens in between."""

    def __init__(self, way: Callable[[Written, Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.way = way
        self.one, self.two = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.relu, self.clip = nn.ReLU(), nn.ReLU(inplace=True)
        self.fc = nn.Linear(4, 2)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.way(self, x).mean((2, 3)))  # type: ignore[no-any-return]


def functional(m: Written, x: Tensor) -> Tensor:
    return F.relu(m.two(F.relu(m.one(x)))).sin()


def skips_round(m: Written, x: Tensor) -> Tensor:
    a = F.relu(m.one(x))
    return a + m.two(a) * a.mean((2, 3), keepdim=True)


def adds_into_what_came_before(m: Written, x: Tensor) -> Tensor:
    a = F.relu(m.one(x))
    a += m.two(a)
    return a


def adds_in_place_and_drops_the_answer(m: Written, x: Tensor) -> Tensor:
    a = m.one(x)
    a.mul_(2.0)
    a[:, 0] = 1.0
    b = m.two(a)
    b.add_(a)
    return b


def shared_relu(m: Written, x: Tensor) -> Tensor:
    return m.relu(m.two(m.relu(m.one(x))))


def clips_right_after(m: Written, x: Tensor) -> Tensor:
    return m.clip(m.two(m.clip(m.one(x))))


def asks_for_shapes(m: Written, x: Tensor) -> Tensor:
    a = m.two(m.one(x).view(x.shape[0], 4, -1).reshape(x.size(0), 4, *x.shape[2:]))
    noise = torch.zeros(len(a), 1, a.shape[2], 1, dtype=a.dtype)
    return torch.cat([a, noise.expand(-1, 4, -1, a.shape[3])]).view(2, x.shape[0], *a.shape[1:]).sum(0)


def makes_weights(m: Written, x: Tensor) -> Tensor:
    weight = m.two.weight - m.two.weight.mean((1, 2, 3), keepdim=True)
    return m.two(F.conv2d(m.one(x), weight, padding=1))


def several_outputs(m: Written, x: Tensor) -> Tensor:
    low, high = m.one(x).chunk(2, 1)
    best = torch.cat([low, high], 1).max(1, keepdim=True)
    return m.two(torch.cat([high, low], 1)) * best.values + best.indices


def clips_its_input(m: Written, x: Tensor) -> Tensor:
    x.clamp_(min=-0.5)
    return m.two(m.one(x)) + x[:, :1]


def scales_by_a_learned_number(m: Written, x: Tensor) -> Tensor:
    return m.two(m.one(x) * m.fc.bias.abs().sum()) * m.fc.weight.abs().max()


WAYS = [
    functional, skips_round, adds_into_what_came_before, adds_in_place_and_drops_the_answer, shared_relu,
    clips_right_after, asks_for_shapes, makes_weights, several_outputs, clips_its_input, scales_by_a_learned_number,
]  # fmt: skip


def example() -> Tensor:
    return torch.randn(1, 3, 6, 8, generator=torch.Generator().manual_seed(1)).double()


@pytest.mark.parametrize("layer", ["one", "two"])
@pytest.mark.parametrize("way", WAYS)
def test_however_a_network_is_written(way: Callable[[Written, Tensor], Tensor], layer: str, no_trace: NoTrace) -> None:
    model = Written(way)
    with no_trace(model):
        check(model, layer, example())


@pytest.mark.parametrize("call", [0, 1])
def test_one_call_of_a_module_that_runs_twice(call: int) -> None:
    check(Written(shared_relu), f"relu#{call}", example(), call)


def test_whoever_holds_what_a_layer_worked_on_in_place_goes_on_with_it() -> None:
    def way(m: Written, x: Tensor) -> Tensor:
        a = m.one(x)
        m.clip(a)
        return m.two(a) + a

    def plainly(m: Written, x: Tensor) -> Tensor:
        a = m.relu(m.one(x))
        return m.two(a) + a

    with torch.no_grad():
        in_place, plain = resumption(Written(way), "clip", example()), resumption(Written(plainly), "relu", example())
        copies = altered(plain.returned)
        assert in_place.refusal is None
        assert torch.allclose(in_place(copies), plain(copies))


def test_models_that_return_more_than_a_tensor() -> None:
    class Split(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"map": x.relu(), "sign": x.sign()}

    def way(m: Any, x: Tensor) -> Tensor:
        found = m.split(m.one(x))
        return m.two(found["map"]) + found["sign"]  # type: ignore[no-any-return]

    model = Written(way)
    model.split = Split()
    with torch.no_grad():
        resumed = resumption(model, "split[map]", example())
        copies = altered(resumed.returned)
        expected = [F.relu(model.one(example()))[:0]]
        sign = model.one(example()).sign()
        expected = [model.fc((model.two(copy[None]) + sign).mean((2, 3)))[0, 0] for copy in copies]
        assert resumed.refusal is None
        assert torch.allclose(resumed(copies), torch.stack(expected))


# --- Where it cannot be done --------------------------------------------------------------------------------------


def image_by_image(m: Written, x: Tensor) -> Tensor:
    return m.two(torch.cat([m.one(image[None]) for image in x]))


def way_by_value(m: Written, x: Tensor) -> Tensor:
    a = m.one(x)
    return m.two(a if len(a) == 1 else a.relu().neg())


REFUSED = [image_by_image, way_by_value]


@pytest.mark.parametrize("way", REFUSED)
def test_other_networks_get_whole_forwards_and_it_is_said(
    way: Callable[[Written, Tensor], Tensor], no_trace: NoTrace
) -> None:
    model = Written(way)
    with no_trace(model), untouched(model), torch.no_grad():
        resumed = resumption(model, "two", example())
        assert resumed.refusal
        copies = altered(resumed.returned)
        assert torch.allclose(resumed(copies), hooked(model, "two", example(), copies))


def less_their_mean(m: Written, x: Tensor) -> Tensor:
    a = m.two(m.one(x))
    return a - a.mean(0)


def relative_to_the_largest(m: Written, x: Tensor) -> Tensor:
    a = m.two(m.one(x))
    return a / a.abs().max()


@pytest.mark.parametrize("way", [less_their_mean, relative_to_the_largest])
def test_images_that_disturb_one_another_are_noticed(way: Callable[[Written, Tensor], Tensor]) -> None:
    assert "unaltered" in str(resumption(Written(way), "two", example()).refusal)


def test_one_number_of_what_came_before() -> None:
    def way(m: Written, x: Tensor) -> Tensor:
        a = m.one(x)
        return m.two(a / a.abs().max()) * float(a.min())

    check(Written(way), "two", example())


def test_a_view_into_what_was_recorded_is_not_written_into() -> None:
    def way(m: Written, x: Tensor) -> Tensor:
        a = m.one(x)
        first = a[0]
        first += 1.0
        return m.two(a)

    with torch.no_grad():
        model = Written(way)
        resumed = resumption(model, "two", example())
        copies = altered(resumed.returned)
        for _ in range(3):
            assert torch.allclose(resumed(copies), hooked(model, "two", example(), copies))


def test_memory_before_the_layer_is_given_up() -> None:
    """Only what the network still holds when the layer returns is kept: for a chain, what the layer returned."""
    model = nn.Sequential(*[nn.Conv2d(3 if i == 0 else 4, 4, 1) for i in range(8)])
    with torch.no_grad():
        recording = Recording(Cut(model, "6", 0), 1)
        with recording.running():
            model(torch.randn(1, 3, 16, 16))
    held = [tensor for step in recording.record.steps for tensor in [step.result] if isinstance(tensor, Tensor)]
    assert sum(tensor.untyped_storage().nbytes() > 1000 for tensor in held) <= 2


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def test_tiny_networks_in_single_precision() -> None:
    model = tiny()
    x = torch.randn(1, 3, 8, 8)
    resumed = resumption(model, "relu1", x)
    assert resumed.refusal is None
    assert torch.allclose(resumed(altered(resumed.returned)), hooked(model, "relu1", x, altered(resumed.returned)))


def test_a_single_copy_is_not_doubled_and_leaves_the_record_as_it_is() -> None:
    """In-place operations after the layer write into a copy of what was recorded."""

    class Skipping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
            self.rows: list[int] = []

        def forward(self, x: Tensor) -> Tensor:
            skipped = self.first(x)
            out = self.second(skipped)
            self.rows.append(len(out))
            skipped += out
            return skipped.relu_().mean((1, 2, 3))

    torch.manual_seed(0)
    model, x = Skipping().eval(), torch.rand(1, 3, 8, 8)
    with untouched(model), torch.no_grad():
        resumed = Resumption(Cut(model, "second", 0), model, x, float(model(x)))
        assert resumed.refusal is None
        copy = 2 * resumed.returned
        expected = float((model.first(x) + copy).relu().mean())
        model.rows.clear()
        for _ in range(2):
            assert float(resumed(copy)) == pytest.approx(expected, abs=1e-6)
    assert model.rows == [1, 1]
