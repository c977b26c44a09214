"""A model is left as it was, also by forwards that write past autograd, hook, or expect gradients; threads too."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import foveal
from foveal.engine.guard import untouched
from foveal.engine.weights import _Watch
from foveal.errors import ModelError

if TYPE_CHECKING:
    from tests.conftest import NoTrace

METHODS = ["gradcam", "eigencam", "lrp-epsilon", "guidedbackprop", "ablationcam", "occlusion", "integratedgradients"]


def pictures(n: int = 2) -> Tensor:
    return torch.randn(n, 3, 24, 24, generator=torch.Generator().manual_seed(1))


class Writing(nn.Module):
    """Counts its forwards, or spoils its weights, in one of many ways."""

    def __init__(self, way: Callable[[Any], None]) -> None:
        super().__init__()
        self.register_buffer("n", torch.zeros(1))
        self.register_buffer("cache", None)
        self.register_buffer("flag", torch.tensor(False))
        self.register_buffer("odd", torch.tensor([0.0, -0.0, float("nan")]))
        self.m = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
        self.fc, self.way = nn.Linear(8, 3), way

    def forward(self, x: Tensor) -> Any:
        self.way(self)
        return self.fc(self.m(x).mean((2, 3)))


def _set(name: str, make: Callable[[Any], Any]) -> Callable[[Any], None]:
    return lambda net: setattr(net, name, make(net))


def _numpy(of: Callable[[Any], Tensor]) -> Callable[[Any], None]:
    def write(net: Any) -> None:
        of(net).numpy()[...] += 1

    return write


def _array(net: Any) -> None:
    np.asarray(net.fc.weight.detach())[0] = 5


def _pointer(net: Any) -> None:
    memory = np.ctypeslib.as_array(
        (np.ctypeslib.ctypes.c_float * net.fc.weight.numel()).from_address(net.fc.weight.data_ptr())  # type: ignore[attr-defined]
    )
    memory[:] = 7


def _no_grad(net: Any) -> None:
    with torch.no_grad():
        net.fc.weight.mul_(0.9)
        net.fc.weight.view(-1)[0] = 3
        torch.add(net.fc.bias, 1, out=net.fc.bias)


def _foreach(net: Any) -> None:
    with torch.no_grad():
        torch._foreach_add_([net.fc.weight, net.fc.bias], 1.0)


def _trained(net: Any) -> None:
    """Test-time training."""
    with torch.enable_grad():
        for p in net.fc.parameters():
            p.requires_grad_(True)
        net.fc.weight.square().sum().backward()
        with torch.no_grad():
            net.fc.weight -= 0.1 * net.fc.weight.grad


def _negative_zero(net: Any) -> None:
    net.odd.data.copy_(torch.tensor([-0.0, 0.0, float("nan")]))


WAYS: dict[str, Callable[[Any], None]] = {
    "buffer, .data": lambda net: net.n.data.add_(1),
    "buffer, NumPy": _numpy(lambda net: net.n),
    "buffer, bound anew": _set("n", lambda net: net.n + 1),
    "buffer, made": _set("cache", lambda net: torch.ones(3)),
    "buffer, registered": lambda net: net.register_buffer("late", torch.ones(2)),
    "buffer, gone": lambda net: net._buffers.pop("cache", None),
    "buffer, of another kind": lambda net: net.flag.data.fill_(True),
    "buffer, minus nothing": _negative_zero,
    "buffer, new memory": lambda net: setattr(net.n, "data", net.n.data + 1),
    "weight, .data": lambda net: net.fc.weight.data.mul_(0.9),
    "weight, detached": lambda net: net.fc.weight.detach().mul_(0.9),
    "weight, NumPy": _numpy(lambda net: net.fc.weight.detach()),
    "weight, array": _array,
    "weight, pointer": _pointer,
    "weight, no_grad": _no_grad,
    "weight, foreach": _foreach,
    "weight, new memory": lambda net: setattr(net.fc.weight, "data", net.fc.weight.data * 2),
    "weight, bound anew": lambda net: setattr(net.fc, "weight", nn.Parameter(net.fc.weight.detach() * 2)),
    "weight, trained": _trained,
    "weight, initialized": lambda net: nn.init.zeros_(net.fc.weight),
    "module, made": lambda net: setattr(net, "late", nn.Linear(2, 2)),
    "module, mode": lambda net: net.m.train(),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("method", METHODS)
def test_whatever_a_forward_writes_into_is_put_back(method: str, way: str, no_trace: NoTrace) -> None:
    if method == "lrp-epsilon" and way in ("weight, bound anew", "weight, trained", "module, made"):
        return  # weights that require gradients are taken for features, and refused
    torch.manual_seed(0)
    net = Writing(WAYS[way]).eval()
    for _ in range(2):
        with no_trace(net):
            foveal.explain(net, pictures(), 1, method=method, task="classes")


@pytest.mark.parametrize("way", WAYS)
def test_also_by_other_verbs_and_after_a_failure(way: str, no_trace: NoTrace) -> None:
    torch.manual_seed(0)
    net = Writing(WAYS[way]).eval()
    with no_trace(net):
        foveal.match(net, pictures(1), pictures())
        foveal.stages(net, pictures())
        foveal.audit(net, pictures(1), 1, explanations="gradcam", draws=2)
    with no_trace(net), pytest.raises(ModelError):
        foveal.explain(net, torch.zeros(2, 5, 24, 24), 1)


@pytest.mark.parametrize("count", [lambda net: net.n.add_(0.5), _set("n", lambda net: net.n + 0.5)])
@pytest.mark.parametrize("method", [*METHODS, "scorecam", "occlusion:chunk=3", "rise:count=20"])
def test_every_forward_begins_with_the_network_as_it_was_found(method: str, count: Callable[[Any], None]) -> None:
    """A network that remembers how often it was asked gives the map of its first answer."""

    class Tiring(Writing):
        def forward(self, x: Tensor) -> Any:
            return super().forward(x) * torch.exp(-self.n)  # type: ignore[operator]

    torch.manual_seed(0)
    tiring = Tiring(count).eval()
    fresh = Writing(lambda net: None).eval()
    fresh.load_state_dict(tiring.state_dict())
    scale = float(torch.exp(torch.tensor(-0.5)))
    why, plain = (foveal.explain(net, pictures(), 1, method=method) for net in (tiring, fresh))
    if method == "scorecam":  # a softmax of scores is not linear in them
        again = foveal.explain(tiring, pictures(), 1, method="scorecam:chunk=1").map
        assert torch.allclose(why.map, again, atol=1e-6)
    elif method in ("eigencam", "guidedbackprop", "lrp-epsilon"):
        assert bool(why.map.isfinite().all())
    else:
        assert torch.allclose(why.map, scale * plain.map, atol=1e-5)


def test_observers_of_quantization_aware_training(no_trace: NoTrace) -> None:
    quantization = pytest.importorskip("torch.ao.quantization")
    torch.manual_seed(0)
    fused = quantization.FusedMovingAvgObsFakeQuantize()
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), fused, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    with no_trace(net.eval()):
        foveal.explain(net, pictures(), 1)


def test_a_network_of_torchs_own_modules_with_a_hook_that_writes(no_trace: NoTrace) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
    ).eval()

    def write(module: Any, inputs: Any, output: Any) -> None:
        module.running_mean.data.add_(1)
        module.weight.data.mul_(2)

    net[1].register_forward_hook(write)
    with no_trace(net):
        foveal.explain(net, pictures(), 1)


def test_asking_does_not_write_into_the_picture(no_trace: NoTrace) -> None:
    class Shifting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.m, self.fc = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Any:
            x.sub_(1.0).div_(2.0)
            return self.fc(self.m(x).mean((2, 3)))

    torch.manual_seed(0)
    net, x = Shifting().eval(), 5 + pictures()
    kept = x.clone()
    for method in METHODS:
        foveal.explain(net, x, 1, method=method)
    foveal.measure(net, x, 1, explanations="gradcam")
    foveal.audit(net, x, 1, explanations="gradcam", draws=2)
    foveal.sanity(net, x, 1, steps=2)
    foveal.match(net, x[:1], x)
    foveal.shortcuts(net, torch.cat([x] * 4), [0, 1] * 4, task="classes")
    assert torch.equal(x, kept)


# --- forwards that expect gradients --------------------------------------------------------------------------------


class Home(nn.Module):
    """A home-made Grad-CAM network, or one that differentiates inside."""

    def __init__(self, way: str = "") -> None:
        super().__init__()
        self.f, self.fc, self.way = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU()), nn.Linear(8, 3), way

    def forward(self, x: Tensor) -> Any:
        y = self.f(x)
        if self.way == "hook":
            y.register_hook(lambda G: None)
        elif self.way == "retain":
            y.retain_grad()
        elif self.way == "insist":
            assert y.requires_grad, "this network is to be differentiated"
        elif self.way == "differentiate":
            with torch.enable_grad():
                energy = y.square().sum()
                (slope,) = torch.autograd.grad(energy, y, create_graph=True)
            y = y + 0.0 * slope
        return self.fc(y.mean((2, 3)))


EXPECTING = ["hook", "retain", "insist", "differentiate"]
ASKED: dict[str, Callable[[nn.Module, Tensor], Any]] = {
    **{name: lambda net, x, name=name: foveal.explain(net, x, 1, method=name).map for name in METHODS},
    "rise": lambda net, x: foveal.explain(net, x, 1, method="rise:count=20").map,
    "scorecam": lambda net, x: foveal.explain(net, x, 1, method="scorecam").map,
    "deeplift": lambda net, x: foveal.explain(net, x, 1, method="deeplift").map,
    "match": lambda net, x: foveal.match(net, x[:1], x).similarity,
    "decompose": lambda net, x: torch.tensor(foveal.decompose(net, x[:1], 1).root.children[0].share),
    "parts": lambda net, x: foveal.parts(net, x, 1).evidence,
    "flow": lambda net, x: foveal.flow(net, x, 1).map,
    "measure": lambda net, x: torch.tensor(
        foveal.measure(net, x, 1, explanations="gradcam").values["gradcam"]["deletion"]
    ),
    "prototypes": lambda net, x: foveal.explain(net, x, foveal.Prototypes(x, ["a", "b"])).map,
}


@pytest.mark.parametrize("way", EXPECTING)
@pytest.mark.parametrize("asked", ASKED)
def test_forwards_that_expect_gradients_get_them(asked: str, way: str, no_trace: NoTrace) -> None:
    if asked in ("lrp-epsilon", "deeplift") and way == "differentiate":
        return  # the derivative inside is an operation without a rule
    torch.manual_seed(0)
    expecting = Home(way).eval()
    plain = Home().eval()
    plain.load_state_dict(expecting.state_dict())
    x = pictures()
    with no_trace(expecting):
        value = ASKED[asked](expecting, x)
    assert torch.allclose(value, ASKED[asked](plain, x), atol=1e-5, equal_nan=True)
    assert not value.requires_grad


def test_a_forward_that_fails_anyway_says_its_own_reason() -> None:
    class Failing(Home):
        def forward(self, x: Tensor) -> Any:
            raise KeyError("my own reason")

    for method in ("gradcam", "ablationcam", "occlusion"):
        with pytest.raises(ModelError, match="my own reason"):
            foveal.explain(Failing().eval(), pictures(), 1, method=method)


class Oddity(Exception):
    """No error that a library would think of."""


@pytest.mark.parametrize(
    "error", [Oddity, ZeroDivisionError, StopIteration, NotImplementedError, OSError, OverflowError]
)
def test_whatever_a_model_raises_is_one_sentence(error: type[Exception]) -> None:
    class Failing(Home):
        def forward(self, x: Tensor) -> Any:
            raise error("on the way in")

    class Late(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, *G: Any) -> Any:
            raise error("on the way back")

    class FailingLate(Home):
        def forward(self, x: Tensor) -> Any:
            return self.fc(Late.apply(self.f(x)).mean((2, 3)))  # type: ignore[no-untyped-call]

    with pytest.raises(ModelError, match="on the way in"):
        foveal.explain(Failing().eval(), pictures(), 1)
    for method in ("gradcam", "inputxgradient", "integratedgradients", "smoothgrad", "gradientshap", "opticam"):
        with pytest.raises(ModelError, match="on the way back"):
            foveal.explain(FailingLate().eval(), pictures(), 1, method=method)
    with pytest.raises(foveal.FovealError):
        foveal.explain(FailingLate().eval(), pictures(), 1, method="deeplift")


# --- hooks of others on the way back -------------------------------------------------------------------------------


def hooked(kind: str, net: nn.Sequential) -> Any:
    if kind == "full":
        return net[3].register_full_backward_hook(lambda m, gi, go: (gi[0] * 0,))
    if kind == "pre":
        return net[3].register_full_backward_pre_hook(lambda m, go: (go[0] * 0,))
    if kind == "global":
        return nn.modules.module.register_module_full_backward_hook(lambda m, gi, go: (gi[0] * 0,))
    return net[1].register_full_backward_hook(lambda m, gi, go: 1 / 0)


@pytest.mark.parametrize("kind", ["full", "pre", "global", "failing"])
@pytest.mark.parametrize(
    "method", ["gradcam", "inputxgradient", "integratedgradients", "lrp-epsilon", "guidedbackprop"]
)
def test_backward_hooks_are_set_aside_with_a_remark(method: str, kind: str, no_trace: NoTrace) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3),
    ).eval()  # fmt: skip
    layer = None if method != "gradcam" else "3"
    plain = foveal.explain(net, pictures(), 1, method=method, layer=layer)
    handle = hooked(kind, net)
    try:
        with no_trace(net):
            why = foveal.explain(net, pictures(), 1, method=method, layer=layer)
    finally:
        handle.remove()
    assert torch.equal(why.map, plain.map)
    (note,) = set(why.notes) - set(plain.notes)
    assert "backward hooks" in note and "disabled during the explanation" in note
    assert foveal.explain(net, pictures(), 1, method=method, layer=layer).notes == plain.notes


def test_hooks_serve_again_afterwards() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)).eval()
    calls: list[int] = []
    own = net[1].register_full_backward_hook(lambda m, gi, go: calls.append(1))
    every = nn.modules.module.register_module_full_backward_hook(lambda m, gi, go: calls.append(2))
    try:
        foveal.explain(net, pictures(), 1, layer="0")
        assert not calls
        net(pictures().requires_grad_()).sum().backward()
        assert 1 in calls and 2 in calls
        own.remove()
        calls.clear()
        net(pictures().requires_grad_()).sum().backward()
        assert 1 not in calls
    finally:
        every.remove()


# --- threads -------------------------------------------------------------------------------------------------------


def together(*jobs: Callable[[], Any], times: int) -> list[BaseException]:
    """Each job in a thread of its own, many times, switching as often as can be."""
    failures: list[BaseException] = []

    def work(job: Callable[[], Any]) -> None:
        try:
            for _ in range(times):
                job()
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(job,)) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
            assert not thread.is_alive(), "threads wait for one another"
    finally:
        sys.setswitchinterval(interval)
    return failures


def bodied() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    one, other = (nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)) for _ in "ab")
    return one, other


@pytest.mark.timeout(200)
def test_networks_that_share_a_body_take_turns(no_trace: NoTrace) -> None:
    a, b = bodied()
    x, different = pictures(), []
    want = {id(net): foveal.explain(net, x, foveal.Class(1)).map for net in (a, b)}

    def explain(net: nn.Module) -> None:
        if not torch.equal(foveal.explain(net, x, foveal.Class(1)).map, want[id(net)]):
            different.append(net)

    with no_trace(a), no_trace(b):
        failures = together(lambda: explain(a), lambda: explain(b), lambda: explain(a), times=60)
    assert not failures and not different


@pytest.mark.timeout(200)
def test_networks_that_share_one_weight_take_turns() -> None:
    torch.manual_seed(0)
    a, b = (
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
        for _ in "ab"
    )
    b[0].weight = a[0].weight
    x = pictures()
    want = foveal.explain(a, x, 1).map
    different: list[int] = []

    def explain(net: nn.Module) -> None:
        foveal.explain(net, x, 1, differentiable=net is b)
        if net is a and not torch.equal(foveal.explain(a, x, 1).map, want):
            different.append(1)

    assert not together(lambda: explain(a), lambda: explain(b), times=40) and not different
    assert a[0].weight.requires_grad


@pytest.mark.timeout(200)
@pytest.mark.parametrize("method", ["ablationcam", "scorecam", "occlusion:window=8", "rise:count=30"])
def test_perturbation_methods_take_turns_at_one_network(method: str, no_trace: NoTrace) -> None:
    net, _ = bodied()
    net.eval()
    x, different = pictures(), []
    want = foveal.explain(net, x, 1, method=method).map

    def explain() -> None:
        if not torch.equal(foveal.explain(net, x, 1, method=method).map, want):
            different.append(1)

    with no_trace(net):
        failures = together(explain, explain, explain, explain, times=12)
    assert not failures and not different


class Drawing(nn.Module):
    """Adds noise to its features."""

    def __init__(self) -> None:
        super().__init__()
        self.f, self.fc = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Any:
        A = self.f(x)
        return self.fc((A + torch.randn_like(A)).mean((2, 3)))


@pytest.mark.timeout(200)
def test_random_state_is_put_back_also_where_threads_draw() -> None:
    nets, x = [Drawing().eval() for _ in range(3)], pictures()
    torch.manual_seed(7)
    before = torch.get_rng_state()
    assert not together(*(lambda net=net: foveal.explain(net, x, 1) for net in nets), times=30)
    assert torch.equal(torch.get_rng_state(), before)


def test_nested_blocks_begin_with_the_same_random_numbers() -> None:
    net = Drawing().eval()
    with untouched(net):
        draws = []
        for _ in range(2):
            with untouched(net):
                draws.append(torch.rand(3))
    assert torch.equal(draws[0], draws[1])


@pytest.mark.timeout(60)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_that_is_forked_while_a_thread_explains_does_not_wait_for_ever() -> None:
    net, x = Drawing().eval(), pictures()
    inside, done = threading.Event(), threading.Event()

    def hold() -> None:
        with untouched(net):
            inside.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(10)
    child = os.fork()
    if child == 0:
        try:
            with untouched(net):
                os._exit(0)
        finally:
            os._exit(1)
    try:
        for _ in range(200):
            finished, status = os.waitpid(child, os.WNOHANG)
            if finished:
                break
            time.sleep(0.1)
        else:
            os.kill(child, 9)
            os.waitpid(child, 0)
            pytest.fail("the child waits")
        assert os.waitstatus_to_exitcode(status) == 0
    finally:
        done.set()
        thread.join(30)
    assert torch.equal(foveal.explain(net, x, 1).map, foveal.explain(net, x, 1).map)


# --- sanity ---------------------------------------------------------------------------------------------------------


class Normed(nn.Module):
    """Normalizes with the statistics of what it is given, and keeps them."""

    def __init__(self, how: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.how, self.conv, self.norm, self.fc = how, nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.Linear(8, 3)
        self.register_buffer("mean", torch.zeros(8))
        self.register_buffer("variance", torch.ones(8))
        self.closed = lambda x: self.norm.train()(self.conv(x))

    def forward(self, x: Tensor) -> Any:
        if self.how == "closure":
            return self.fc(F.relu(self.closed(x)).mean((2, 3)))
        if self.how == "module":
            return self.fc(F.relu(self.norm.train()(self.conv(x))).mean((2, 3)))
        A = F.batch_norm(self.conv(x), self.mean, self.variance, training=True)  # type: ignore[arg-type]
        return self.fc(F.relu(A).mean((2, 3)))


class Single(Normed):
    """Cannot be copied."""

    def __deepcopy__(self, memo: Any) -> nn.Module:
        raise TypeError("there is only one of it")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", [Normed, Single])
@pytest.mark.parametrize("how", ["function", "module", "closure"])
def test_statistics_that_a_forward_keeps_are_as_before_after_sanity(
    how: str, kind: type[Normed], no_trace: NoTrace
) -> None:
    net = kind(how).eval()
    with no_trace(net):
        found = [foveal.sanity(net, pictures(), 1, layer="conv", steps=2, radii=()) for _ in range(2)]
    assert str(found[0]) == str(found[1])


@pytest.mark.timeout(200)
def test_sanity_takes_turns_with_others_at_one_network(no_trace: NoTrace) -> None:
    net, _ = bodied()
    net.eval()
    x, different = pictures(), []

    def check() -> str:
        return str(foveal.sanity(net, x, 1, layer="0", steps=2, radii=()))

    def explain() -> Tensor:
        return foveal.explain(net, x, 1, method="ablationcam", layer="0").map

    verdict, map = check(), explain()

    def both() -> None:
        if check() != verdict or not torch.equal(explain(), map):
            different.append(1)

    with no_trace(net):
        failures = together(both, both, both, times=5)
    assert not failures and not different


class _Plain(nn.Module):
    """A network of a person's own, which only reads its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).relu_().mean((2, 3)))


def test_weights_that_are_only_read_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Freezing them is no reason to."""
    seen: list[_Watch] = []
    made = _Watch.__init__
    monkeypatch.setattr(_Watch, "__init__", lambda self, tensors: (made(self, tensors), seen.append(self))[0])
    foveal.explain(_Plain(), torch.rand(1, 3, 8, 8), method="gradcam", layer="features")
    assert seen and not any(watch.copies for watch in seen)
