"""Batch norms folded in passes that only ask: the same numbers, from fewer operations, by the same modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint

import foveal
from foveal.attribution.perturbed_score import perturbed_scores
from foveal.attribution.prepare import prepare
from foveal.engine import inference
from foveal.engine.inference import InferenceForward, way_of
from foveal.models.model import as_model
from tests.networks import architecture

if TYPE_CHECKING:
    from tests.conftest import NoTrace

X = torch.randn(3, 3, 96, 100, generator=torch.Generator().manual_seed(0))


class Counting(TorchFunctionMode):
    """How many batch norms are computed, and how many convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = self.convolutions = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.norms += func in (torch.batch_norm, functional.batch_norm)
        self.convolutions += func is torch.conv2d
        return func(*args, **(kwargs or {}))


def settled(net: nn.Module) -> nn.Module:
    """With weights and running statistics like those of a trained one."""
    random = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low in ((module.running_mean, -0.5), (module.running_var, 0.5), (module.weight, 0.5)):
                if tensor is not None:
                    tensor.data = low + torch.rand(tensor.shape, generator=random)
            if module.bias is not None:
                module.bias.data = torch.randn(module.bias.shape, generator=random)
    return net.eval()


class Net(nn.Module):
    """A convolution and a batch norm, called as `way` says, and a head."""

    def __init__(self, way: Callable[[Net, Tensor], Tensor], *, bias: bool = False, **norm: Any) -> None:
        super().__init__()
        self.way = way
        self.conv = nn.Conv2d(3, 8, 3, stride=4, padding=1, bias=bias)
        self.norm, self.other = nn.BatchNorm2d(8, **norm), nn.BatchNorm2d(8)
        self.again = nn.Conv2d(8, 8, 3, padding=1, groups=4)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.way(self, x).mean((2, 3)))  # type: ignore[no-any-return]


def ways_of(net: nn.Module) -> list[inference.FoldedWay | None]:
    return list(inference._ways[net].values())


def folded(net: nn.Module) -> int:
    """How many batch norms are folded."""
    return sum(call.norm is not None for way in ways_of(net) if way for call in way.calls)


def asked(net: nn.Module, x: Tensor = X) -> tuple[Tensor, Tensor]:
    """What the network returns, and what the faster pass does."""
    with torch.no_grad():
        return net(x.clone()), InferenceForward(net)(x, net)


def functional_norm(net: Net, x: Tensor) -> Tensor:
    return functional.batch_norm(net.conv(x), net.norm.running_mean, net.norm.running_var, eps=0.1).relu()


def native_norm(net: Net, x: Tensor) -> Tensor:
    n = net.norm
    return torch.batch_norm(
        net.conv(x), n.weight, n.bias, n.running_mean, n.running_var, False, 0.1, n.eps, True
    ).relu()


FOLDS: dict[str, Callable[[Net, Tensor], Tensor]] = {
    "modules": lambda net, x: net.norm(net.conv(x)).relu(),
    "in place": lambda net, x: net.norm(net.conv(x)).relu_(),
    "functional": functional_norm,
    "native": native_norm,
    "shape asked": lambda net, x: (y := net.conv(x)) is not None and net.norm(y) * y.shape[1],
    "input written": lambda net, x: net.norm(net.conv(x.mul_(2))).relu(),
}


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("way", FOLDS.values(), ids=FOLDS)
def test_a_batch_norm_goes_into_its_convolution(way: Callable[..., Tensor], affine: bool, bias: bool) -> None:
    if not affine and way is native_norm:
        pytest.skip("needs weights")
    net, x = settled(Net(way, bias=bias, affine=affine)), X.clone()
    plain, faster = asked(net, x)
    assert folded(net) == 1 and torch.allclose(plain, faster, rtol=0, atol=1e-5) and plain.abs().max() > 0.1
    with torch.no_grad(), Counting() as before:
        net(x.clone())
    assert before.norms == 1


def _norm_of_two(net: Net, x: Tensor) -> Tensor:
    y = net.conv(x)
    return net.norm(y) + net.other(y)


def _kept(net: Net, x: Tensor) -> Tensor:
    y = net.conv(x)
    return net.norm(y) + y


def _viewed(net: Net, x: Tensor) -> Tensor:
    y = net.conv(x)
    flat = y.flatten(2)
    return net.norm(y) + flat.mean(2)[..., None, None]


def _computed(net: Net, x: Tensor) -> Tensor:
    W = net.conv.weight * 2  # another tensor in each pass
    return net.norm(functional.conv2d(x, W, stride=4)).relu()


def _of_the_batch(net: Net, x: Tensor) -> Tensor:
    return functional.batch_norm(net.conv(x), None, None, training=True)


STAYS: dict[str, Callable[[Net, Tensor], Tensor]] = {
    "two norms": _norm_of_two,
    "used beside": _kept,
    "viewed beside": _viewed,
    "computed weights": _computed,
    "statistics of the batch": _of_the_batch,
    "no norm": lambda net, x: net.conv(x).relu(),
    "norm first": lambda net, x: net.again(net.other(net.conv(x).relu())),
}


@pytest.mark.parametrize("way", STAYS.values(), ids=STAYS)
def test_a_convolution_that_others_look_at_stays(way: Callable[..., Tensor]) -> None:
    net = settled(Net(way))
    plain, faster = asked(net)
    assert folded(net) == 0 and torch.allclose(plain, faster, rtol=0, atol=1e-5)


def test_a_convolution_that_is_returned_stays() -> None:
    class Both(Net):
        def forward(self, x: Tensor) -> Any:
            y = self.conv(x)
            return {"scores": self.norm(y).mean((2, 3)), "map": y}

    net = settled(Both(lambda net, x: x))
    with torch.no_grad():
        plain, faster = net(X), InferenceForward(net)(X, net)
    assert folded(net) == 0 and all(torch.allclose(plain[key], faster[key], rtol=0, atol=1e-5) for key in plain)


def test_a_convolution_called_twice_folds_twice_or_not_at_all() -> None:
    def twice(net: Net, x: Tensor) -> Tensor:
        return net.norm(net.conv(x)) + net.other(net.conv(x / 2))

    net = settled(Net(twice))
    plain, faster = asked(net)
    assert folded(net) == 2 and torch.allclose(plain, faster, rtol=0, atol=1e-5)


def test_a_network_that_wants_its_own_layout_keeps_it() -> None:
    def viewing(net: Net, x: Tensor) -> Tensor:
        return net.norm(net.conv(x)).view(len(x), -1).view(len(x), 8, -1)[..., None]

    net = settled(Net(viewing))
    plain, faster = asked(net)
    way = way_of(net, X)
    assert way and not way.last and torch.allclose(plain, faster, rtol=0, atol=1e-5)


def test_a_network_that_fails_for_several_images_says_so_itself() -> None:
    def alone(net: Net, x: Tensor) -> Tensor:
        return net.norm(net.conv(x)).view(8, -1).view(1, 8, -1, 1)

    net = settled(Net(alone))
    with torch.no_grad(), pytest.raises(RuntimeError, match="invalid"):
        InferenceForward(net)(X, lambda x: net(x) if len(x) == 1 else _fail())
    assert ways_of(net) == [None]


def _fail() -> Tensor:
    raise RuntimeError("invalid")


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "densenet121", "efficientnet_b0"])
def test_real_architectures_give_the_same_from_fewer_operations(name: str) -> None:
    net = settled(architecture(name))
    ask = InferenceForward(net)
    with torch.no_grad():
        plain, faster = net(X), ask(X, net)
        scale = plain.abs().max()
        assert (plain - faster).abs().max() <= 1e-5 * scale

        counts = Counting()

        def counted(x: Tensor) -> Tensor:
            with counts:
                return net(x)  # type: ignore[no-any-return]

        counted(X)
        every, counts.norms = counts.norms, 0
        ask(X, counted)
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    assert every == norms and folded(net) >= 0.3 * norms


def test_other_weights_are_noticed() -> None:
    net = settled(Net(FOLDS["modules"]))
    asked(net)
    with torch.no_grad():
        net.conv.weight.mul_(3)  # in place: folded anew in the next block
    plain, faster = asked(net)
    assert torch.allclose(plain, faster, rtol=0, atol=1e-5)
    net.conv.weight = nn.Parameter(torch.randn_like(net.conv.weight))
    net.norm.running_mean = torch.randn(8)
    plain, faster = asked(net)
    assert folded(net) == 1 and torch.allclose(plain, faster, rtol=0, atol=1e-5)


def test_a_way_that_depends_on_the_image_is_left() -> None:
    def choosing(net: Net, x: Tensor) -> Tensor:
        y = net.conv(x)
        return net.norm(y) if x.mean() > 0 else net.norm(y) + y

    net = settled(Net(choosing))
    light = X + 1
    plain, faster = asked(net, light)
    assert folded(net) == 1 and torch.allclose(plain, faster, rtol=0, atol=1e-5)
    plain, faster = asked(net, light - 5)
    assert folded(net) == 0 and torch.allclose(plain, faster, rtol=0, atol=1e-5)
    ask = InferenceForward(net)
    with torch.no_grad():
        for x in (light, light - 5, light, light - 5):
            assert torch.allclose(net(x), ask(x, net), rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda net: net.norm.register_forward_hook(lambda *_: None),
        lambda net: net.conv.register_forward_pre_hook(lambda *_: None),
        lambda net: net.double(),
        lambda net: net.add_module("scripted", torch.jit.trace(nn.ReLU(), X)),
    ],
    ids=["hook", "hook before", "double", "script"],
)
def test_where_somebody_looks_the_pass_is_the_network_s_own(spoil: Callable[[Net], Any]) -> None:
    net = settled(Net(FOLDS["modules"]))
    spoil(net)
    plain, faster = asked(net, X.to(net.conv.weight.dtype))
    assert torch.equal(plain, faster) and net not in {n for n, ways in inference._ways.items() if any(ways.values())}


def test_a_network_that_wants_gradients_inside_gets_them() -> None:
    def guided(net: Net, x: Tensor) -> Tensor:
        with torch.enable_grad():
            y = net.norm(net.conv(x.detach().requires_grad_()))
            (slope,) = torch.autograd.grad(y.square().sum(), net.conv.weight)
        return y.detach() * slope.mean()

    net = settled(Net(guided))
    plain, faster = asked(net)
    assert folded(net) == 0 and torch.equal(plain, faster)


def gradients(net: nn.Module, x: Tensor = X) -> tuple[Tensor, Tensor]:
    """Of what the network returns, squared, with respect to images, and the same of the faster pass."""
    ask, found = InferenceForward(net), []
    for run in (net, lambda x: ask(x, net)):
        leaf = x.clone().requires_grad_()
        found += torch.autograd.grad(run(leaf.clone()).square().sum(), leaf)
    return found[0], found[1]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("way", FOLDS.values(), ids=FOLDS)
def test_gradients_go_back_through_folded_norms(way: Callable[..., Tensor], bias: bool) -> None:
    net = settled(Net(way, bias=bias)).requires_grad_(False)
    plain, faster = gradients(net)
    assert folded(net) == 1 and torch.allclose(plain, faster, rtol=0, atol=1e-5 * float(plain.abs().max()))
    assert plain.abs().max() > 0


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "densenet121", "efficientnet_b0"])
def test_real_architectures_have_the_same_gradients(name: str) -> None:
    net = settled(architecture(name)).requires_grad_(False)
    plain, faster = gradients(net)
    assert folded(net) and float((plain - faster).norm() / plain.norm()) < 1e-3


def _detached(net: Net, x: Tensor) -> Tensor:
    y = net.conv(x)
    return net.norm(y) * y.detach().mean()


def _checkpointed(net: Net, x: Tensor) -> Tensor:
    return checkpoint(lambda x: net.norm(net.conv(x)).relu(), x, use_reentrant=False)  # type: ignore[no-any-return]


def _hooked(net: Net, x: Tensor) -> Tensor:
    y = net.conv(x)
    if y.requires_grad:
        y.register_hook(lambda G: G * 2)
    return net.norm(y)


def _without_graph(net: Net, x: Tensor) -> Tensor:
    with torch.no_grad():
        y = net.norm(net.conv(x))
    return net.again(y) + x.mean()


OWN = {"detached": _detached, "checkpointed": _checkpointed, "hooked": _hooked, "without a graph": _without_graph}


@pytest.mark.parametrize("way", OWN.values(), ids=OWN)
def test_a_pass_with_a_graph_of_its_own_keeps_it(way: Callable[..., Tensor]) -> None:
    net = settled(Net(way)).requires_grad_(False)
    for _ in range(2):
        plain, faster = gradients(net)
        assert torch.allclose(plain, faster, rtol=0, atol=1e-5 * float(plain.abs().max()))


def test_weights_that_want_gradients_get_them() -> None:
    net = settled(Net(FOLDS["modules"]))
    for part in (net.conv, net.norm, net.head):
        net.requires_grad_(False)
        part.requires_grad_()
        wanted = [p for p in net.parameters() if p.requires_grad]
        found = []
        for run in (net, lambda x: InferenceForward(net)(x, net)):
            leaf = X.clone().requires_grad_()
            found.append(torch.autograd.grad(run(leaf).square().sum(), [leaf, *wanted]))
        assert all(map(torch.equal, *found))


def test_gradients_of_gradients_are_those_of_the_network() -> None:
    net = settled(Net(lambda net, x: net.norm(net.conv(x)).square())).requires_grad_(False)
    ask, found = InferenceForward(net), []
    for run in (net, lambda x: ask(x, net)):
        leaf = X.clone().requires_grad_()
        (first,) = torch.autograd.grad(run(leaf).sum(), leaf, create_graph=True)
        found += torch.autograd.grad(first.square().sum(), leaf)
    assert folded(net) == 1 and torch.allclose(*found, rtol=0, atol=1e-4 * float(found[0].abs().max()))


@pytest.mark.parametrize("method", ["smoothgrad:samples=6", "integratedgradients:steps=6", "opticam:steps=4"])
def test_methods_that_ask_for_many_gradients_give_the_same_from_folded_passes(method: str, no_trace: NoTrace) -> None:
    net = settled(architecture("resnet18"))
    x = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(3))
    with no_trace(net):
        faster = foveal.explain(net, x, method=method, target=2).map
    assert folded(net) == 20
    inference._ways[net] = {inference._kind(x): None}
    plain = foveal.explain(net, x, method=method, target=2).map
    assert float((plain - faster).norm() / plain.norm()) < 1e-2 and not torch.equal(plain, faster)


def test_gradients_and_other_modes_keep_the_network_s_own_pass() -> None:
    net = settled(Net(FOLDS["modules"]))
    assert torch.equal(net(X), InferenceForward(net)(X, net))
    with torch.no_grad(), Counting() as counts:
        net(X)
        before = counts.norms
        InferenceForward(net)(X, net)
    assert counts.norms == 2 * before > 0 and not ways_of(net)


def test_altered_copies_get_their_scores_from_folded_passes(no_trace: NoTrace) -> None:
    net = settled(architecture("resnet18"))
    x = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(3))
    with no_trace(net):
        faster = foveal.explain(net, x, method="occlusion", target=2).map
    assert folded(net) == 20
    inference._ways[net] = {inference._kind(x): None}
    plain = foveal.explain(net, x, method="occlusion", target=2).map
    with torch.no_grad():
        rounding = 1e-5 * float(net(x).abs().max())
    assert torch.allclose(plain, faster, rtol=0, atol=rounding) and float(plain.abs().max()) > 100 * rounding


def test_a_score_that_nothing_moves_is_known_as_such() -> None:
    def same(net: Net, x: Tensor) -> Tensor:
        return net.again(net.norm(net.conv(x * 0 + fixed)).relu())

    fixed = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(2))
    net = settled(Net(same, bias=True))
    x = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        assert not torch.equal(net(x), InferenceForward(net)(x, net)), "there is rounding to be told from an effect"
    why = foveal.explain(net, x, method="occlusion", target=2)
    assert folded(net) == 1 and any("no altered copy has another score" in note for note in why.notes)
    with torch.no_grad():
        assert asked_whole(net, x) == pytest.approx(float(net(x)[0, 2]), abs=1e-6)


def asked_whole(net: nn.Module, x: Tensor) -> float:
    """The score of class 2 as metrics know it, which is that of a copy that is the image itself."""
    context = prepare(as_model(net), x, 2)
    with perturbed_scores(context, "score") as (ask,):
        assert float(ask(x)[0]) == ask.whole == float(ask(torch.cat([x, x, x]))[1])
        return ask.whole
