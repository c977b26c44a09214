"""A copy that forgets: the same function forgets the same, however it is spelled, and whatever then explains it."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize, prune
from torch.utils.checkpoint import checkpoint

import foveal
from foveal.engine.arguments import Arguments
from foveal.engine.forgetting import Forgetful, Observed, Way, differences, observed
from foveal.engine.fresh import fresh
from foveal.engine.guard import untouched
from foveal.engine.layers import Layers, flat_of
from foveal.errors import ModelError
from tests.networks import architecture, tiny

if TYPE_CHECKING:
    from tests.conftest import NoTrace

X = torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(1))
TORCH_DEPRECATES = [
    "ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning",
    "ignore::DeprecationWarning",
    "ignore:torch.quantize_per_tensor:UserWarning",
]


def looked(model: nn.Module, x: Tensor = X) -> tuple[Observed, Way]:
    way = Way(x, Arguments(len(x)))
    return observed(model, way), way


def forgotten(model: nn.Module, x: Tensor = X, seed: int = 3) -> tuple[nn.Module, Layers]:
    """A copy that forgot everything."""
    network, _ = looked(model, x)
    layers = network.layers
    return Forgetful(network, [fresh(layers, k, seed) for k in range(len(layers.each))]).module, layers


# --- Spellings ----------------------------------------------------------------------------------------------------


def parts() -> tuple[nn.Module, nn.Module, nn.Module]:
    torch.manual_seed(0)
    return nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 10, 3, 2, 1), nn.Linear(10, 4)


def spelled(wrap: Callable[[Any], nn.Module] = lambda layer: layer) -> nn.Module:
    a, b, c = map(wrap, parts())
    return nn.Sequential(a, nn.ReLU(), b, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), c).eval()


class Held(nn.Module):
    """A layer that holds its weight in a way of its own."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.hold(layer.weight.detach().clone())
        self.register_buffer("bias", layer.bias.detach().clone())

    def hold(self, weight: Tensor) -> None:
        raise NotImplementedError

    def made(self) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        weight: Tensor = self.made()
        bias: Any = self.bias
        return F.linear(x, weight, bias) if weight.ndim == 2 else F.conv2d(x, weight, bias, 2, 1)


class Buffer(Held):
    def hold(self, weight: Tensor) -> None:
        self.register_buffer("own", weight)

    def made(self) -> Tensor:
        return self.own  # type: ignore[return-value]


class Packed(Held):
    """Integers and a scale, as quantized weights are kept."""

    def hold(self, weight: Tensor) -> None:
        self.register_buffer("integers", weight.double().mul(2**40).round().long())

    def made(self) -> Tensor:
        return (self.integers.double() / 2**40).float()  # type: ignore[operator]


class Attribute(Held):
    def hold(self, weight: Tensor) -> None:
        self.kept = {"weights": (weight,)}

    def made(self) -> Tensor:
        return self.kept["weights"][0]


class Listed(Held):
    def hold(self, weight: Tensor) -> None:
        self.own = nn.ParameterList([weight / 2, weight / 2])

    def made(self) -> Tensor:
        return self.own[0] + self.own[1]


class LowRank(Held):
    """A frozen layer, and two small matrices that are added to it."""

    def hold(self, weight: Tensor) -> None:
        self.base = nn.Module()
        self.base.register_parameter("weight", nn.Parameter(weight))
        self.up, self.down = nn.Parameter(torch.zeros(len(weight), 2)), nn.Parameter(torch.randn(2, weight[0].numel()))

    def made(self) -> Tensor:
        weight: Any = self.base.weight
        return weight + (self.up @ self.down).view_as(weight)  # type: ignore[no-any-return]


class Generated(Held):
    """Another network makes the weight."""

    def hold(self, weight: Tensor) -> None:
        self.seed = nn.Parameter(torch.ones(1))
        self.maker = nn.Linear(1, weight.numel(), bias=False)
        self.maker.weight.data = weight.reshape(-1, 1)
        self.shape = weight.shape

    def made(self) -> Tensor:
        return self.maker(self.seed).view(self.shape)  # type: ignore[no-any-return]


class Half(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight / 2


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.scale


def parametrized(layer: Any) -> nn.Module:
    weight = layer.weight.detach().clone()
    parametrize.register_parametrization(layer, "weight", Half())
    parametrize.register_parametrization(layer, "weight", Own())
    layer.parametrizations.weight.original.data = weight
    return layer  # type: ignore[no-any-return]


class Locked(nn.Module):
    """What cannot be copied stands beside the layer."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.lock, self.numbers = layer, threading.Lock(), (i for i in range(3))

    def forward(self, x: Tensor) -> Tensor:
        with self.lock:
            return self.layer(x)  # type: ignore[no-any-return]


class Checkpointed(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.layer, x, use_reentrant=False)  # type: ignore[no-any-return]


class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        return x @ weight.t()

    @staticmethod
    def backward(ctx: Any, *G: Tensor) -> Any:
        return G[0] @ ctx.saved_tensors[0], None


class OwnBackward(nn.Module):
    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, x: Tensor) -> Tensor:
        return Product.apply(x, self.weight) + self.bias  # type: ignore[no-any-return,no-untyped-call]


class Quotient(Held):
    def hold(self, weight: Tensor) -> None:
        self.own = nn.Parameter(2 * weight)

    def forward(self, x: Tensor) -> Tensor:
        return Product.apply(x, self.own / 2) + self.bias  # type: ignore[no-any-return,no-untyped-call]


class Cached(Held):
    """Computes its weight once, and keeps it."""

    def hold(self, weight: Tensor) -> None:
        self.own, self.last = nn.Parameter(weight / 2), None

    def made(self) -> Tensor:
        self.last = 2 * self.own if self.last is None else self.last
        return self.last  # type: ignore[return-value]


class Turned(Held):
    """Kept the other way round."""

    def hold(self, weight: Tensor) -> None:
        self.own, self.shape = nn.Parameter(weight.flatten(1).t().contiguous()), weight.shape

    def made(self) -> Tensor:
        return self.own.t().reshape(self.shape)


class Told(nn.Module):
    """Returns an object, runs a part without gradients, and is hooked."""

    def __init__(self) -> None:
        super().__init__()
        self.net: Any = spelled()
        self.net[2].register_forward_hook(lambda module, inputs, output: output.clone())

    def forward(self, x: Tensor) -> Any:
        with torch.no_grad():
            y = self.net[:2](x)
        return SimpleNamespace(logits=self.net[2:](y), nothing=None)


class Rooted(nn.Module):
    """The network itself holds everything."""

    def __init__(self) -> None:
        super().__init__()
        for name, layer in zip("abc", parts(), strict=True):
            own: Any = layer
            self.register_parameter(name, nn.Parameter(own.weight.detach().clone()))
            self.register_parameter(name + "_bias", nn.Parameter(own.bias.detach().clone()))
        self.first, self.last = nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        own: Any = self
        y = self.first(F.conv2d(x, own.a, own.a_bias, 2, 1))
        y = self.last(F.conv2d(y, own.b, None, 2, 1) + own.b_bias[:, None, None])
        return torch.addmm(own.c_bias, y.mean((2, 3)), own.c.t())


class Flat(Rooted):
    """All numbers in one parameter."""

    def __init__(self) -> None:
        super().__init__()
        values = list(self._parameters.values())
        self.shapes = [value.shape for value in values if value is not None]
        self.every = nn.Parameter(torch.cat([value.detach().flatten() for value in values if value is not None]))
        for name in [name for name in self._parameters if name != "every"]:
            del self._parameters[name]

    def forward(self, x: Tensor) -> Tensor:
        a, a_bias, b, b_bias, c, c_bias = (
            piece.view(shape)
            for piece, shape in zip(self.every.split([s.numel() for s in self.shapes]), self.shapes, strict=True)
        )
        y = self.last(F.conv2d(self.first(F.conv2d(x, a, a_bias, 2, 1)), b, b_bias, 2, 1))
        return F.linear(y.mean((2, 3)), c, c_bias)


class Closed(nn.Module):
    """The layers are known to a closure only."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c = (layer.requires_grad_(False) for layer in parts())
        self.first, self.last = nn.ReLU(), nn.ReLU()
        self.run = lambda x: c(self.last(b(self.first(a(x)))).mean((2, 3)))

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x)  # type: ignore[no-any-return]


class Uncopied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = spelled()

    def __deepcopy__(self, memo: Any) -> nn.Module:
        raise TypeError("there is only one of it")

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)  # type: ignore[no-any-return]


def only(kind: type, wrap: Callable[[Any], nn.Module]) -> Callable[[Any], nn.Module]:
    return lambda layer: wrap(layer) if isinstance(layer, kind) else layer


SPELLINGS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "weight_norm": (lambda: spelled(nn.utils.weight_norm), "6 2 0"),
    "weight_norm, parametrized": (lambda: spelled(parametrizations.weight_norm), "6 2 0"),
    "pruned": (lambda: spelled(lambda layer: prune.identity(layer, "weight")), "6 2 0"),
    "two parametrizations": (lambda: spelled(parametrized), "6 2 0"),
    "buffers": (lambda: spelled(Buffer), "6 2 0"),
    "integers": (lambda: spelled(Packed), "6 2 0"),
    "attributes": (lambda: spelled(Attribute), "6 2 0"),
    "sums": (lambda: spelled(Listed), "6 2 0"),
    "low rank": (lambda: spelled(LowRank), "6 2 0"),
    "generated": (lambda: spelled(Generated), "6 2 0"),
    "cached": (lambda: spelled(Cached), "6 2 0"),
    "turned": (lambda: spelled(Turned), "6 2 0"),
    "told": (lambda: Told().eval(), "net.6 net.2 net.0"),
    "locked": (lambda: spelled(Locked), "6.layer 2.layer 0.layer"),
    "checkpointed": (lambda: spelled(Checkpointed), "6.layer 2.layer 0.layer"),
    "own backward": (lambda: spelled(only(nn.Linear, OwnBackward)), "6 2 0"),
    "traced": (lambda: torch.fx.symbolic_trace(spelled()), "6 2 0"),
    "compiled": (lambda: torch.compile(spelled()), "6 2 0"),  # type: ignore[dict-item,return-value]
    "parallel": (lambda: nn.DataParallel(spelled()), "6 2 0"),
    "channels last": (lambda: spelled().to(memory_format=torch.channels_last), "6 2 0"),  # type: ignore[call-overload]
    "the network's own": (lambda: Rooted().eval(), "c b a"),
    "one parameter": (lambda: Flat().eval(), "every[954:994] every[224:944] every[0:216]"),
    "closure": (lambda: Closed().eval(), "linear conv2d[0:720] conv2d[0:216]"),
    "no copies": (lambda: Uncopied().eval(), "net.6 net.2 net.0"),
}


@pytest.mark.filterwarnings(*TORCH_DEPRECATES)
@pytest.mark.parametrize("name", SPELLINGS)
def test_the_same_function_gets_the_same_curve_however_it_is_spelled(name: str, no_trace: NoTrace) -> None:
    build, steps = SPELLINGS[name]
    model = build()
    methods = ["gradcam", "inputxgradient", "ablationcam"]
    plain = foveal.sanity(spelled(), X, 1, methods=methods, layer="3", radii=())
    layer = next((name for name in ("last", "net.3") if name in dict(model.named_modules())), "3")
    output = model(X)
    assert torch.allclose(getattr(output, "logits", output), spelled()(X), atol=1e-6)
    with no_trace(model) if name != "traced" else nullcontext():  # its hooks are of another kind
        found = foveal.sanity(model, X, 1, methods=methods, layer=layer, radii=())
    for method in methods:
        one, other = found.checked[method], plain.checked[method]
        assert one.verdict == other.verdict and one.classes == pytest.approx(other.classes, abs=1e-2)
        for step, expected in zip((*one.curve, one.null), (*other.curve, other.null), strict=True):
            assert step == pytest.approx(expected, abs=1e-2)
    names = [layer.removeprefix("the weight of a ").replace(" that no module holds", "") for layer in found.layers]
    assert " ".join(names) == steps and (not found.notes or name == "cached")  # what it was made of rests


@pytest.mark.parametrize("kind", ["resnet18", "convnext_tiny", "squeezenet1_1"])
def test_the_copy_is_the_network_with_other_numbers_in_it(kind: str) -> None:
    """For weights that are held as they are: the same as writing the numbers into a copy."""
    model, x = architecture(kind), torch.randn(2, 3, 64, 64)
    module, layers = forgotten(model, x)
    written = copy.deepcopy(model)
    state = written.state_dict()
    for number in range(len(layers.each)):
        for weight, values in fresh(layers, number, 3).items():
            tensor = weight.uses[0][1].tensor
            name = next(n for n, t in model.state_dict().items() if t.data_ptr() == tensor.data_ptr())
            flat_of(state[name])[weight.low : weight.high] = values
    assert torch.equal(module(x), written(x)) and not torch.equal(module(x), model(x))
    for method in ("gradcam", "guidedbackprop", "lrp-epsilon", "ablationcam:chunk=64", "occlusion:window=32"):
        mine, other = (foveal.explain(net, x, 1, method=method).map for net in (module, written))
        assert torch.equal(mine, other), method


class Drawn(nn.Module):
    """The same batch normalization, in different words."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        torch.manual_seed(4)
        values = torch.rand(4, 8) + 0.5
        if how == "module":
            self.norm = nn.BatchNorm2d(8)
            self.norm.load_state_dict(dict(zip(("weight", "bias", "running_mean", "running_var"), values, strict=True)),
                                      strict=False)  # fmt: skip
        else:
            for name, value in zip(("weight", "bias", "mean", "variance"), values, strict=True):
                self.register_buffer(name, value)

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "module":
            return self.norm(x)  # type: ignore[no-any-return]
        own: Any = self
        if self.how == "functional":
            return F.batch_norm(x, own.mean, own.variance, own.weight, own.bias)
        scale = own.weight * (own.variance + 1e-5).rsqrt()
        if self.how == "frozen":
            return x * scale[:, None, None] + (own.bias - own.mean * scale)[:, None, None]  # type: ignore[no-any-return]
        y = (x - own.mean.view(1, -1, 1, 1)) / (own.variance.view(1, -1, 1, 1) + 1e-5).sqrt()
        return y * own.weight.view(1, -1, 1, 1) + own.bias.view(1, -1, 1, 1)  # type: ignore[no-any-return]


def test_frozen_normalisation_is_a_layer_like_any_other() -> None:
    found = []
    for how in ("module", "functional", "frozen", "by hand"):
        a, b, c = parts()
        model = nn.Sequential(a, Drawn(how), nn.ReLU(), b, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), c).eval()
        found.append(foveal.sanity(model, X, 1, layer="4", radii=()))
        assert found[-1].layers == ("7", "3", "1.norm" if how == "module" else "1", "0")
    for other in found[1:]:
        assert other.checked["gradcam"].verdict == found[0].checked["gradcam"].verdict
        for step, expected in zip(other.checked["gradcam"].curve, found[0].checked["gradcam"].curve, strict=True):
            assert step == pytest.approx(expected, abs=0.02)


# --- What belongs together ----------------------------------------------------------------------------------------


class Shared(nn.Module):
    """One weight in two layers, or one layer twice; a third use turned round."""

    def __init__(self, how: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 1, 1)
        self.c = self.b if how == "module" else nn.Conv2d(8, 8, 3, 1, 1)
        self.fc, self.head, self.how = nn.Linear(8, 6, bias=False), nn.Linear(8, 4), how
        if how == "weight":
            self.c.weight, self.c.bias = self.b.weight, self.b.bias
        if how == "normed":
            parametrizations.weight_norm(self.b)
            self.c = self.b

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.c(F.relu(self.b(F.relu(self.a(x))))))
        return self.head(F.relu(self.fc(y.mean((2, 3)))) @ self.fc.weight)  # type: ignore[no-any-return]


def test_what_is_shared_is_forgotten_in_one_step_and_stays_shared() -> None:
    outputs = []
    for how in ("module", "weight", "normed"):
        module, layers = forgotten(Shared(how).eval())
        assert [layer.name for layer in layers.each] == ["head", "fc", "b", "a"]
        outputs.append(module(X))
        if how == "weight":
            own: Any = module
            assert own.b.weight is own.c.weight and len(layers.each[1].sites) == 2
            manual = F.relu(F.relu(F.conv2d(F.relu(own.a(X)), own.b.weight, own.b.bias, 1, 1)))
            manual = F.relu(F.conv2d(manual, own.b.weight, own.b.bias, 1, 1)).mean((2, 3))
            manual = own.head(F.relu(manual @ own.fc.weight.t()) @ own.fc.weight)
            assert torch.allclose(outputs[-1], manual, atol=1e-6)
    assert torch.allclose(outputs[1], outputs[0], atol=1e-6) and torch.allclose(outputs[2], outputs[0], atol=1e-6)


class Tokens(nn.Module):
    """A class token, places and a layer scale that belong to no layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.relu = nn.Conv2d(3, 8, 4, 4), nn.ReLU()
        self.token, self.places = nn.Parameter(torch.randn(1, 1, 8)), nn.Parameter(torch.randn(1, 37, 8))
        self.mix, self.gamma = nn.Linear(8, 8), nn.Parameter(torch.rand(8) + 0.5)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.patch(x)).flatten(2).mT
        y = torch.cat([self.token.expand(len(y), -1, -1), y], 1) + self.places
        y = y + self.gamma * F.gelu(self.mix(y))
        y = y + self.attention(y, y, y, need_weights=False)[0]
        return self.head(self.norm(y)[:, 0])  # type: ignore[no-any-return]


def test_what_the_network_holds_itself_is_forgotten_too() -> None:
    model = Tokens().eval()
    for parameter in model.norm.parameters():
        parameter.data += 0.3
    module, layers = forgotten(model)
    same = [name for name, p in module.named_parameters() if torch.equal(p, model.get_parameter(name))]
    assert not same
    names = [layer.name for layer in layers.each]
    assert names == ["head", "norm", "attention", "gamma", "mix", "token", "patch"]  # the places go with the token
    seen, way = looked(model)
    before = Forgetful(seen, ())
    for number in range(len(names)):
        network = Forgetful(seen, [fresh(seen.layers, number, 1)])
        assert differences(network, before, [number], way)[number] > 1e-3, names[number]


def test_statistics_that_are_not_saved_are_no_weights() -> None:
    class Blurred(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)
            self.register_buffer("kernel", torch.full((4, 1, 3, 3), 1 / 9), persistent=False)

        def forward(self, x: Tensor) -> Tensor:
            kernel: Any = self.kernel
            return self.fc(F.conv2d(F.relu(self.conv(x)), kernel, groups=4).mean((2, 3)))  # type: ignore[no-any-return]

    module, layers = forgotten(Blurred().eval())
    assert [layer.name for layer in layers.each] == ["fc", "conv"]
    assert torch.equal(module.get_buffer("kernel"), torch.full((4, 1, 3, 3), 1 / 9))


def test_a_decision_ends_the_way() -> None:
    found = foveal.sanity(tiny(), X, foveal.Neuron("conv2", 3), layer="relu1", radii=())
    assert found.layers == ("conv2", "conv1")


# --- What new weights are -----------------------------------------------------------------------------------------


def test_layers_begin_as_torch_begins_them_and_each_with_its_own() -> None:
    model = nn.Sequential(nn.Conv2d(3, 64, 5), nn.Conv2d(64, 64, 5), nn.Conv2d(64, 64, 5), nn.Flatten(),
                          nn.Linear(64 * 12 * 12, 200)).eval()  # fmt: skip
    module, _ = forgotten(model)
    a, b, c, fc = (module[i] for i in (0, 1, 2, 4))  # type: ignore[index]
    for layer, inputs in ((a, 75), (b, 1600), (c, 1600), (fc, 9216)):
        bound = inputs**-0.5
        weight, bias = layer.weight.detach(), layer.bias.detach()
        assert bound * 0.99 < float(weight.abs().max()) <= bound and float(bias.abs().max()) <= bound
        assert float(weight.std()) == pytest.approx(bound / 3**0.5, rel=0.1)
    assert not torch.equal(b.weight, c.weight)
    again, other = forgotten(model)[0], forgotten(model, seed=4)[0]
    assert torch.equal(again[1].weight, b.weight) and not torch.equal(other[1].weight, b.weight)  # type: ignore[index]


def test_signs_and_spreads_stay_where_no_layer_says_how_it_begins() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.low, self.grid = nn.Parameter(torch.rand(3, 24, 24) + 4), nn.Parameter(torch.randn(3, 24, 24) - 7)
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(torch.maximum(x / self.low, self.grid)).mean((2, 3))  # type: ignore[no-any-return]

    model = Odd().eval()
    own: Any = forgotten(model)[0]
    low, grid = own.low.detach(), own.grid.detach()
    assert bool((low > 0).all()) and float(low.mean()) == pytest.approx(4.5, abs=0.1)
    assert float(grid.mean()) == pytest.approx(-7, abs=0.2) and float(grid.std()) == pytest.approx(1, rel=0.1)


# --- What cannot forget -------------------------------------------------------------------------------------------


class Outside(Uncopied):
    """Goes through NumPy, where nobody can follow."""

    __deepcopy__ = None  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        y: Any = self.net
        return y[2:](torch.from_numpy(y[:2](x).detach().numpy().copy()))  # type: ignore[no-any-return]


def partly_scripted() -> nn.Module:
    model: Any = spelled()
    model[0] = torch.jit.script(model[0])
    return model  # type: ignore[no-any-return]


def quantized() -> nn.Module:
    return torch.ao.quantization.quantize_dynamic(spelled(), {nn.Linear})  # type: ignore[no-any-return]


CANNOT: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "partly scripted": (partly_scripted, "TorchScript: pass the nn.Module"),
    "quantized": (quantized, "packed for quantized arithmetic"),
    "outside": (Outside, "other than torch operations"),
    "computed in checkpoints": (
        lambda: spelled(lambda layer: Checkpointed(parametrizations.weight_norm(layer))),
        "inside activation checkpoint",
    ),
    "computed for functions": (
        lambda: spelled(only(nn.Linear, Quotient)), "inside a torch.autograd.Function",
    ),
}  # fmt: skip


@pytest.mark.filterwarnings(*TORCH_DEPRECATES)
@pytest.mark.parametrize("name", CANNOT)
def test_one_sentence_where_it_cannot_be_done(name: str) -> None:
    build, words = CANNOT[name]
    with pytest.raises(ModelError, match=words):
        foveal.sanity(build().eval(), X, 1, methods=["occlusion:window=12,stride=12"], radii=())


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    torch.manual_seed(7)
    yield


# --- Other threads ------------------------------------------------------------------------------------------------


@pytest.mark.timeout(60)
@pytest.mark.parametrize("build", [spelled, lambda: Uncopied().eval()])
def test_what_another_thread_has_hooked_is_not_copied(build: Callable[[], nn.Module]) -> None:
    model, plain = build(), spelled()
    seen, _ = looked(model)
    weights = [fresh(seen.layers, number, 3) for number in range(len(seen.layers.each))]
    expected = forgotten(plain)[0](X)
    jobs: list[Callable[[], Any]] = [lambda: looked(model)[0], lambda: Forgetful(seen, weights)]
    found: dict[int, Any] = {}
    threads = [threading.Thread(target=lambda k=k: found.update({k: jobs[k]()}), daemon=True) for k in range(len(jobs))]
    with untouched(model):
        handles = [module.register_forward_hook(lambda *_: 1 / 0) for module in model.modules()]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        for handle in handles:
            handle.remove()
    for thread in threads:
        thread.join(30)
    assert [layer.name for layer in found[0].layers.each] == [layer.name for layer in seen.layers.each]
    assert found[0].inside == seen.inside and torch.equal(found[1].module(X), expected)


def test_comparing_writes_into_nothing_that_was_known_before() -> None:
    class Kept(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net: Any = spelled()
            self.register_buffer("mean", torch.zeros(8))
            self.register_buffer("variance", torch.ones(8))

        def forward(self, x: Tensor) -> Tensor:
            own: Any = self
            return self.net[1:](F.batch_norm(self.net[0](x), own.mean, own.variance, training=True))  # type: ignore[no-any-return]

    model = Kept().eval()
    seen, way = looked(model)
    numbers = range(len(seen.layers.each))
    before, after = (Forgetful(seen, [fresh(seen.layers, number, seed) for number in numbers]) for seed in (3, 4))
    flats = {key: flat.clone() for network in (before, after) for key, flat in network.flats.items()}
    for old in (Forgetful(seen, ()), before):
        kept = {key: flat.clone() for key, flat in old.flats.items()}
        assert min(differences(after, old, numbers, way).values()) >= 0
        assert all(torch.equal(flat, kept[key]) for key, flat in old.flats.items())
    assert all(torch.equal(flat, flats[key]) for key, flat in after.flats.items())
    assert torch.equal(model.mean, torch.zeros(8)) and torch.equal(model.variance, torch.ones(8))  # type: ignore[arg-type]
