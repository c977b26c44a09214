"""Structures at another size of the images: as a trace gives them, and without one where the network does the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

import foveal
from foveal.engine import stages
from foveal.engine.arguments import Arguments
from foveal.engine.blank import Blank
from foveal.engine.settings import settings_of
from foveal.engine.stages import describe
from foveal.engine.structure import Structure
from foveal.errors import ModelError
from tests.networks import architecture

BY_VALUE = {"embedding", "orders", "traced", "default", "lying"}


def image(side: int | tuple[int, int], channels: int = 3) -> Tensor:
    size = side if isinstance(side, tuple) else (side, side)
    return torch.randn(1, channels, *size, generator=torch.Generator().manual_seed(0))


def traced(model: nn.Module, x: Tensor) -> Structure:
    """What a trace gives, whatever is remembered."""
    return stages._trace(model, x, Arguments(1)).structure


def followed(model: nn.Module, first: Any, then: Any) -> Structure | None:
    """What is known at the size `then` from a trace at the size `first`; None where the network is traced anew."""
    describe(model, image(first))
    known = [*stages._known[model].traced.values()]
    return known[0].at_other_size(model, image(then), Arguments(1)) if known else None


def assert_alike(a: Structure, b: Structure) -> None:
    """Bit for bit, except for the signs, which are observed on the traced image."""
    for name in {field.name for field in fields(Structure)} - BY_VALUE:
        assert getattr(a, name) == getattr(b, name), name
    assert [*a.shapes] == [*b.shapes]
    assert [replace(s, sign="signed") for s in a.traced] == [replace(s, sign="signed") for s in b.traced]
    assert (a.default and a.default.name) == (b.default and b.default.name)
    assert [*a.lying] == [*b.lying]
    for address, one in a.lying.items():
        other = b.lying[address]
        assert (one.shape, one.image, one.layout) == (other.shape, other.image, other.layout), address
        assert len(one.shape) != 4 or one.place("nchw") == other.place("nchw"), address
        assert (one.where is None) == (other.where is None), address
        if one.where and other.where:
            assert (one.where.lost, one.where.by) == (other.where.lost, other.where.by), address
            for p, q in zip(one.where.axes, other.where.axes, strict=True):
                assert p.grain == q.grain and p.at.shape == q.at.shape, address
                assert torch.equal(p.at.nan_to_num(-1e9), q.at.nan_to_num(-1e9)), address


class Wired(nn.Module):
    """A function as a network, with layers to use."""

    def __init__(self, run: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.run = run
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, 2, padding=1)
        self.norm, self.last = nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3)
        self.gate, self.head = nn.Conv2d(4, 4, 1), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.last(self.run(self, self.second(self.first(x)))))
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
convolutions = st.builds(
    lambda kernel, stride, padding, dilation: nn.Conv2d(4, 4, kernel, stride, padding, dilation),
    st.tuples(st.integers(1, 4), st.integers(1, 4)), pairs, st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
)  # fmt: skip
pools = st.builds(
    lambda kind, kernel, stride, ceil: kind(kernel, stride, padding=kernel // 2, ceil_mode=ceil),
    st.sampled_from([nn.MaxPool2d, nn.AvgPool2d]), st.integers(2, 3), st.integers(1, 3), st.booleans(),
)  # fmt: skip
paddings = st.builds(
    lambda sides, kind: kind(sides),
    st.tuples(*[st.integers(0, 2)] * 4), st.sampled_from([nn.ZeroPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d]),
)  # fmt: skip
plain = st.sampled_from([nn.ReLU(inplace=True), nn.Hardswish(), nn.BatchNorm2d(4), nn.Dropout(), nn.GELU()])
other = st.sampled_from(
    [nn.Upsample(scale_factor=2), nn.AdaptiveAvgPool2d(7), nn.GroupNorm(2, 4), nn.ConvTranspose2d(4, 4, 3, 2)]
)


class Both(nn.Module):
    """Two ways side by side, or one after the other where their maps do not fit together."""

    def __init__(self, one: nn.Module, two: nn.Module, joined: bool) -> None:
        super().__init__()
        self.one, self.two, self.joined, self.after = one, two, joined, nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        one, two = self.one(x), self.two(x)
        if one.shape != two.shape:
            return self.two(one)  # type: ignore[no-any-return]
        return self.after(torch.cat([one, two], 1)) if self.joined else one + two  # type: ignore[no-any-return]


class Gated(nn.Module):
    """Squeeze and excite."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * F.adaptive_avg_pool2d(x, 1).mul(self.gate.bias[:, None, None]).sigmoid()  # type: ignore[index]


layers = st.one_of(convolutions, convolutions, pools, paddings, plain)
parts = st.one_of(layers, layers, st.builds(Both, layers, layers, st.booleans()), st.builds(Gated), other)


@settings(max_examples=30, deadline=None)
@given(parts=st.lists(parts, min_size=1, max_size=4), sizes=st.tuples(*[st.integers(17, 40)] * 4))
def test_random_networks(parts: list[nn.Module], sizes: tuple[int, int, int, int]) -> None:
    ends = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    model = nn.Sequential(nn.Conv2d(3, 4, 3), *parts, *ends).eval()
    first, then = sizes[:2], sizes[2:]
    try:
        traced(model, image(then))
        found = followed(model, first, then)
    except ModelError:
        return  # a window wider than the map
    if found:
        assert_alike(found, traced(model, image(then)))


@settings(max_examples=15, deadline=None)
@given(parts=st.lists(layers, min_size=1, max_size=3), sizes=st.tuples(*[st.integers(96, 128)] * 4))
def test_windows_never_need_a_second_trace(parts: list[nn.Module], sizes: tuple[int, int, int, int]) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 2), *parts, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    found = followed(model, sizes[:2], sizes[2:])
    assert found
    assert_alike(found, traced(model, image(sizes[2:])))


@pytest.mark.parametrize("name", ["alexnet", "inception_v3", "densenet121", "mobilenet_v3_small", "efficientnet_b0"])
def test_architectures(name: str) -> None:
    model, side = architecture(name), 139 if name == "inception_v3" else 96
    then = (side + 32, side + 1)
    found = followed(model, side, then)
    assert found
    assert_alike(found, traced(model, image(then)))


@pytest.mark.parametrize("name", ["convnext_tiny", "shufflenet_v2_x0_5"])
def test_architectures_that_are_traced_anew(name: str) -> None:
    assert followed(architecture(name), 64, 96) is None


class Own(torch.autograd.Function):
    """Sets gradients itself."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.relu()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def hooked(net: Any, x: Tensor) -> Tensor:
    x = net.norm(x)
    x.register_hook(lambda gradient: 2 * gradient)
    return x


def without_graph(net: Any, x: Tensor) -> Tensor:
    with torch.no_grad():
        shift = net.norm(x)
    return x + shift  # type: ignore[no-any-return]


def alike(net: Any, x: Tensor) -> Tensor:
    return net.norm(x)  # type: ignore[no-any-return]


BY_SIZE: dict[str, tuple[Callable[[Any, Tensor], Tensor], Callable[[Any, Tensor], Tensor]]] = {
    "pooling": (lambda _, x: x + 0, lambda _, x: F.avg_pool2d(x, 3, 1, 1)),
    "kernels": (lambda _, x: F.avg_pool2d(x, 3, 1, 1), lambda _, x: F.avg_pool2d(x, 5, 1, 2)),
    "modules": (alike, lambda net, x: F.batch_norm(x, net.norm.running_mean, net.norm.running_var)),
    "other modules": (alike, lambda net, x: net.norm(net.gate(x))),
    "detached": (lambda _, x: x + x, lambda _, x: x + x.detach()),
    "wiring": (lambda net, x: net.norm(x) + x, lambda net, x: (y := net.norm(x)) + y),
    "no graph": (lambda net, x: x + net.norm(x), without_graph),
    "gradients": (lambda _, x: x.relu(), lambda _, x: Own.apply(x)),
    "hooks": (alike, hooked),
}


@pytest.mark.parametrize("name", BY_SIZE)
def test_what_depends_on_the_size_is_traced(name: str) -> None:
    """A network that does one thing with small images, another with large ones, of which sizes tell nothing."""
    small, large = BY_SIZE[name]
    model = Wired(lambda net, x: (large if x.shape[-1] > 10 else small)(net, x)).eval()
    for then in (14, 18, 28, 34):
        found = followed(model, 16, then)
        assert (found is None) == (then > 20), then
        if found:
            assert_alike(found, traced(model, image(then)))
    assert_alike(describe(model, image(28)), traced(model, image(28)))


def same(net: Any, x: Tensor) -> Tensor:
    """As TensorFlow pads."""
    total = [max((-(-side // 3) - 1) * 3 + 3 - side, 0) for side in x.shape[2:]]
    x = F.pad(x, [total[1] // 2, total[1] - total[1] // 2, total[0] // 2, total[0] - total[0] // 2])
    return F.max_pool2d(x, 3, 3)


OTHERWISE: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "enlarged": lambda _, x: F.interpolate(x, scale_factor=2),
    "enlarged to a size": lambda _, x: F.interpolate(x, size=24, mode="bilinear"),
    "same padding": same,
    "reshaped": lambda _, x: x.flatten(2).mT.reshape(1, 4, *x.shape[2:]),
    "cropped": lambda _, x: x[:, :, x.shape[2] // 2 :],
    "attention": lambda _, x: x + (x.flatten(2).mT @ x.flatten(2)).softmax(-1).mean() * x,
    "by value": lambda net, x: net.norm(x) if float(x.mean()) < 9 else x,
    "in NumPy": lambda _, x: x * float(x.detach().numpy().max() > -9),
    "coordinates": lambda _, x: x + torch.linspace(0, 1, x.shape[-1]),
    "written in part": lambda _, x: x.clone().index_fill_(1, torch.tensor([1]), 0.0),
    "one row": lambda _, x: x + x[:, :, -1:],
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_everything_else_is_traced(name: str) -> None:
    model = Wired(OTHERWISE[name]).eval()
    assert followed(model, 32, (44, 36)) is None
    assert_alike(describe(model, image((44, 36))), traced(model, image((44, 36))))


def pooled_to_a_size(net: Any, x: Tensor) -> Tensor:
    """Two grids that depend on the size, and convolutions on them."""
    one, two = F.adaptive_avg_pool2d(x, (5, 6)), F.adaptive_max_pool2d(net.gate(x), (5, 6))
    return net.gate(F.relu_(one + two.mul_(2))) + net.gate.bias.view(1, 4, 1, 1)  # type: ignore[no-any-return]


@pytest.mark.parametrize("then", [(44, 36), (33, 32), (20, 80)])
def test_what_lies_behind_pooling_to_a_size_is_followed_as_in_a_trace(then: tuple[int, int]) -> None:
    model = Wired(pooled_to_a_size).eval()
    found = followed(model, 32, then)
    assert found
    assert_alike(found, traced(model, image(then)))


class Computed(TorchDispatchMode):
    """Counts the layers that are computed."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __init__(self) -> None:
        super().__init__()
        self.layers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.layers += func.overloadpacket.__name__ in ("convolution", "native_batch_norm", "addmm")
        return func(*args, **(kwargs or {}))


def test_nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    traces: list[int] = []
    trace = stages._trace
    monkeypatch.setattr(stages, "_trace", lambda *given, **options: traces.append(1) or trace(*given, **options))
    model = architecture("resnet18")
    layers = sum(isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.Linear) for module in model.modules())
    counts = []
    for side in (64, 96, 128, 96, 64):
        with Computed() as computed:
            describe(model, image(side))
        counts.append(computed.layers)
    assert counts == [layers, 0, 0, 0, 0]
    with Computed() as computed:
        foveal.explain(model, image(160), 1)
    assert computed.layers == layers and len(traces) == 1


def test_settings_and_further_inputs_are_kept_apart() -> None:
    model = Wired(lambda net, x: net.norm(x)).eval()
    assert describe(model, image(32)).stages[-1].stride == (2, 2)
    model.second.stride = (3, 3)
    assert describe(model, image(40)).stages[-1].stride == (3, 3)
    model.second.stride = (2, 2)
    assert describe(model, image(40)).stages[-1].stride == (2, 2)


class Enlarging(nn.Module):
    def __init__(self, ratios: Any) -> None:
        super().__init__()
        self.first, self.enlarge = nn.Conv2d(3, 4, 3, 2, 1), nn.Upsample(scale_factor=2.0)
        self.last = nn.Conv2d(4, 4, 3, 1, 1)
        self.enlarge.ratios = ratios

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.enlarge(self.first(x))).mean((2, 3))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "ratios", [None, (1, [2]), (torch.ones(2), 3)], ids=["plain", "a list inside", "a tensor inside"]
)
def test_whatever_sets_a_layer_is_noticed(ratios: Any) -> None:
    """Numbers that are not whole, an attribute of another kind, a new one, another layer, and back again."""
    model = Enlarging(ratios).eval()

    def size() -> tuple[int, ...]:
        return describe(model, image(32)).shapes["last"][2:]

    assert size() == (32, 32)
    first = settings_of(model)
    model.enlarge.scale_factor = 4.0
    assert size() == (64, 64)
    model.enlarge.scale_factor, model.enlarge.size = None, (24, 24)
    assert size() == (24, 24) and settings_of(model) != first
    model.enlarge.scale_factor, model.enlarge.size = 2.0, None
    assert size() == (32, 32) and settings_of(model) == first
    model.enlarge.further = 1
    assert settings_of(model) != first
    del model.enlarge.further
    assert settings_of(model) == first
    model.first.register_module("nothing", None)
    model.enlarge.scale_factor = 4.0
    assert size() == (64, 64)
    model.enlarge = nn.Identity()
    assert size() == (16, 16)


def test_channels_last_in_memory_are_something_else() -> None:
    def run(net: Any, x: Tensor) -> Tensor:
        last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
        return F.avg_pool2d(x, 3, 1, 1) if last else net.norm(x)  # type: ignore[no-any-return]

    model = Wired(run).eval()
    for first in (torch.contiguous_format, torch.channels_last):
        stages._known.pop(model, None)
        describe(model, image(32).to(memory_format=first))
        (known,) = stages._known[model].traced.values()
        for then in (torch.contiguous_format, torch.channels_last):
            x = image(44).to(memory_format=then)
            found = known.at_other_size(model, x, Arguments(1))
            assert (found is not None) == (first == then)
            if found:
                assert_alike(found, traced(model, x))


class Keeping(nn.Module):
    """Keeps what went through it."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.layer, self.where = nn.Conv2d(3, 4, 3), where
        self.kept: list[Tensor] = []
        self.last: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x)
        if self.where == "list":
            self.kept.append(x)
        if self.where == "attribute":
            self.last = x
        return x.relu().mean((2, 3))


@pytest.mark.parametrize(("where", "known"), [("list", False), ("attribute", False), ("nowhere", True)])
def test_networks_keep_no_tensor_without_numbers(where: str, known: bool, no_trace: Any) -> None:
    model = Keeping(where).eval()
    with no_trace(model):
        assert (followed(model, 16, 24) is not None) == known
        describe(model, image(20))
    assert not any(isinstance(tensor, Blank) for tensor in (*model.kept, model.last))


def test_hooks_of_others_meet_no_tensor_without_numbers() -> None:
    model = Wired(lambda net, x: net.norm(x)).eval()
    met: list[Tensor] = []
    describe(model, image(32))
    handle = model.first.register_forward_hook(lambda _m, _i, output: met.append(output))
    describe(model, image(40))
    handle.remove()
    assert len(met) == 1 and not isinstance(met[0], Blank)
    assert followed(model, 32, 44)


@pytest.mark.parametrize("what", ["buffer", "weight"])
def test_networks_that_write_are_traced(what: str, no_trace: Any) -> None:
    def write(net: Any, x: Tensor) -> Tensor:
        (net.norm.running_mean if what == "buffer" else net.gate.weight.data).add_(1)
        return net.gate(net.norm(x))  # type: ignore[no-any-return]

    model = Wired(write).eval()
    with no_trace(model):
        assert followed(model, 32, 40) is None


def test_errors_are_those_of_a_trace() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 7), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 4, 2)).eval()
    describe(model, image(8))
    with pytest.raises(ModelError, match="running Sequential on"):
        describe(model, image(12))
    with pytest.raises(ModelError, match="running Sequential on"):
        describe(model, image(5))
