"""Forwards that do more than compute: write into what they get, count, work in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.engine import buffers
from tests.networks import Tiny

if TYPE_CHECKING:
    from tests.conftest import NoTrace


class Normalizing(Tiny):
    """Writes into its input, as some preprocessing inside models does."""

    def forward(self, x: Tensor) -> Any:
        return super().forward(x.sub_(0.5).div_(0.25))


def test_a_forward_that_writes_into_its_input() -> None:
    torch.manual_seed(0)
    model, x = Normalizing().eval(), torch.rand(1, 3, 8, 8)
    before = x.clone()
    first, second = (foveal.explain(model, x) for _ in range(2))
    assert torch.equal(x, before)
    assert torch.equal(first.map, second.map)


class Remembering(Tiny):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: Tensor) -> Any:
        self.calls = self.calls + 1
        return super().forward(x)


def test_a_buffer_given_anew_is_put_back(no_trace: NoTrace) -> None:
    model, x = Remembering(), torch.randn(1, 3, 8, 8)
    with no_trace(model):
        foveal.explain(model, x)
    assert float(model.calls) == 0


class SkippingInPlace(nn.Module):
    """The ReLU works in place, and the skip connection reads the rectified tensor again."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.conv = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.relu, self.fc = nn.ReLU(inplace), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x)
        rectified = self.relu(x)
        if self.relu.inplace:
            return self.fc((x + self.conv(rectified)).mean((2, 3)))
        return self.fc((rectified + self.conv(rectified)).mean((2, 3)))


@pytest.mark.parametrize("layers", ["relu", ["stem", "relu"]])
@pytest.mark.parametrize("method", ["gradcam", "hirescam", "eigencam"])
def test_an_in_place_module_whose_input_is_read_again(method: str, layers: Any) -> None:
    x = torch.randn(2, 3, 8, 8)
    plain, inplace = (
        foveal.explain(SkippingInPlace(way).eval(), x, 0, method=method, layer=layers) for way in (False, True)
    )
    assert plain.score is not None and inplace.score is not None
    assert torch.equal(plain.score, inplace.score)
    for layer in plain.layers:
        assert torch.allclose(plain.maps[layer], inplace.maps[layer], atol=1e-6), layer


def test_a_module_that_does_nothing_is_explained_as_its_input() -> None:
    class Passing(Tiny):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Identity()

        def forward(self, x: Tensor) -> Any:
            x = self.relu1(self.conv1(x))
            return self.fc(self.relu2(self.conv2(self.drop(x) + x)).mean((2, 3)))

    torch.manual_seed(0)
    model, x = Passing().eval(), torch.randn(1, 3, 8, 8)
    assert torch.allclose(foveal.explain(model, x, 0, layer="drop").map, foveal.explain(model, x, 0, layer="relu1").map)


class Banked(Tiny):
    """Compares with a bank of features and, if it is to, puts each new one into it."""

    def __init__(self, *, writing: bool) -> None:
        super().__init__()
        self.register_buffer("bank", torch.randn(40, 12))
        self.register_buffer("place", torch.zeros((), dtype=torch.long))
        self.writing = writing

    def forward(self, x: Tensor) -> Any:
        feature = self.features(x).mean((2, 3))
        similarity = feature @ self.bank.clone().mT  # type: ignore[operator]
        if self.writing:
            self.bank[: len(x)] = feature.detach()  # through a view
            self.bank.view(-1).add_(1)
            self.place.add_(1)  # type: ignore[operator]
        return similarity


@pytest.mark.parametrize("large", [8, 10**9])
@pytest.mark.parametrize("method", ["gradcam", "eigencam", "guidedbackprop", "scorecam"])
def test_large_buffers_are_put_back_whoever_writes_into_them(
    method: str, large: int, monkeypatch: pytest.MonkeyPatch, no_trace: NoTrace
) -> None:
    monkeypatch.setattr(buffers, "LARGE", large)
    torch.manual_seed(0)
    model, x = Banked(writing=True).eval(), torch.randn(2, 3, 8, 8)
    with no_trace(model):
        why = foveal.explain(model, x, 3, method=method, layer="relu2")
    torch.manual_seed(0)
    reading = Banked(writing=False).eval()
    assert torch.allclose(why.map, foveal.explain(reading, x, 3, method=method, layer="relu2").map, atol=1e-6)


def test_large_buffers_are_copied_only_for_a_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "LARGE", 100)
    for writing in (False, True):
        model = Banked(writing=writing).eval()
        kept = buffers.Buffers([model], list(model.buffers()))
        assert kept.watch is not None
        before = model.bank.clone()  # type: ignore[operator]
        with torch.no_grad(), kept.watch:
            model(torch.randn(2, 3, 8, 8))
        assert len(kept.watch.copies) == writing
        kept.restore()
        assert torch.equal(model.bank, before) and int(model.place) == 0  # type: ignore[arg-type, call-overload]


class Reversed(torch.autograd.Function):
    """Gradient reversal, as domain-adversarial training sets it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return -gradients[0]


class Turning(Tiny):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def features(self, x: Tensor) -> Tensor:
        maps = super().features(x)
        if self.how == "hooked" and maps.requires_grad:
            maps.register_hook(lambda gradient: -gradient)
        return Reversed.apply(maps) if self.how == "Reversed" else maps  # type: ignore[no-any-return, no-untyped-call]


@pytest.mark.parametrize("how", ["Reversed", "hooked", "plain"])
def test_gradients_that_are_the_networks_own_are_named(how: str) -> None:
    torch.manual_seed(0)
    methods = ("gradcam", "inputxgradient", "eigencam", "occlusion")
    found = foveal.compare(Turning(how).eval(), torch.randn(2, 3, 8, 8), 0, methods=methods, layer=None)
    named = {why.method for why in found if any("gradients go through" in note for note in why.notes)}
    assert named == (set() if how == "plain" else {"gradcam", "inputxgradient"})
    word = {"Reversed": "Reversed", "hooked": "a hook on a tensor"}.get(how, "")
    assert all(word in " ".join(why.notes) for why in found if why.method in named)
