"""Rules know operations however they are spelled; what they do not know is named or refused, and sums are checked."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import foveal
from foveal.errors import MethodError

if TYPE_CHECKING:
    from tests.conftest import NoTrace

Act = Callable[[Tensor], Tensor]
LRP = ["lrp-epsilon", "lrp-gamma", "lrp-zplus", "lrp-alphabeta", "excitationbp", "relevancecam"]


class Net(nn.Module):
    def __init__(self, act: Act) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 10, 3, 2, 1)
        self.fc, self.act = nn.Linear(10, 4), act

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.act(self.b(self.act(self.a(x)))).mean((2, 3)))  # type: ignore[no-any-return]


def net(act: Act) -> Net:
    torch.manual_seed(0)
    return Net(act).eval()


def pictures(n: int = 2) -> Tensor:
    return torch.randn(n, 3, 24, 24, generator=torch.Generator().manual_seed(3))


def _set(t: Tensor) -> Tensor:
    t = t.clone()
    t[t < 0] = 0
    return t


def _put(t: Tensor) -> Tensor:
    return t.clone().index_put_((t < 0,), torch.zeros(()))


RELU: dict[str, Act] = {
    "maximum": lambda t: torch.maximum(t, torch.zeros_like(t)),
    "maximum, the other way round": lambda t: torch.maximum(torch.zeros(()), t),
    "fmax": lambda t: torch.fmax(t, torch.zeros(())),
    "max": lambda t: t.max(torch.zeros_like(t)),
    "mask": lambda t: t * (t > 0),
    "mask as numbers": lambda t: (t > 0).float() * t,
    "mask in place": lambda t: t.mul_(t > 0),
    "where": lambda t: torch.where(t > 0, t, torch.zeros_like(t)),
    "where not": lambda t: torch.where(t <= 0, 0.0, t),
    "masked_fill": lambda t: t.masked_fill(t < 0, 0),
    "masked_fill_": lambda t: t.masked_fill_(t.lt(0), 0),
    "assigned": _set,
    "index_put": _put,
    "clamp": lambda t: t.clamp(min=0),
    "clamp_": lambda t: t.clamp_(min=0),
    "clip": lambda t: t.clip(0),
    "aten packet": lambda t: torch.ops.aten.relu(t),
    "aten overload": lambda t: torch.ops.aten.relu.default(t),
    "threshold": lambda t: F.threshold(t, 0, 0),
    "relu6 far below six": F.relu6,
    "leaky by nothing": lambda t: F.leaky_relu(t, 0.0),
}


@pytest.mark.parametrize("spelling", RELU)
@pytest.mark.parametrize("method", ["guidedbackprop", "lrp-gamma", "lrp-zplus"])
def test_relu_is_relu_however_it_is_spelled(method: str, spelling: str, no_trace: NoTrace) -> None:
    right = foveal.explain(net(F.relu), pictures(), 1, method=method, task="classes")
    model = net(RELU[spelling])
    if method != "guidedbackprop" and spelling == "index_put":
        with pytest.raises(MethodError, match="no rule for the operation 'index_put'"):
            foveal.explain(model, pictures(), 1, method=method)
        return
    with no_trace(model):
        why = foveal.explain(model, pictures(), 1, method=method, task="classes")
    assert torch.allclose(why.map, right.map, atol=1e-6 * float(right.map.abs().max()), rtol=1e-4)
    assert why.notes == right.notes


@pytest.mark.parametrize("spelling", RELU)
def test_deconvnet_is_right_or_refused(spelling: str) -> None:
    right = foveal.explain(net(F.relu), pictures(), 1, method="deconvnet", task="classes")
    try:
        why = foveal.explain(net(RELU[spelling]), pictures(), 1, method="deconvnet", task="classes")
    except MethodError as error:
        assert "deconvnet does not apply" in str(error)
        return
    assert torch.allclose(why.map, right.map, atol=1e-6 * float(right.map.abs().max()), rtol=1e-4)
    assert why.notes == right.notes


class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x.sigmoid()

    @staticmethod
    def backward(ctx: Any, *G: Any) -> Any:
        (x,) = ctx.saved_tensors
        s = x.sigmoid()
        return G[0] * s * (1 + x * (1 - s))


class Rectify(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, *G: Any) -> Any:
        return G[0] * (ctx.saved_tensors[0] > 0)


class Reverse(torch.autograd.Function):
    """Gradient reversal: nothing on the way in, the sign on the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *G: Any) -> Any:
        return -G[0]


def scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        script: nn.Module = torch.jit.script(nn.ReLU())
    return script


OTHER: dict[str, tuple[Act, str]] = {
    "square": (torch.square, "square"),
    "power": (lambda t: t**2, "pow"),
    "abs": (torch.abs, "abs"),
    "sigmoid": (torch.sigmoid, "sigmoid"),
    "hard sigmoid": (F.hardsigmoid, "hardsigmoid"),
    "silu by hand": (lambda t: t * t.sigmoid(), "sigmoid, mul of two features"),
    "half the sum": (lambda t: (t + t.abs()) / 2, "abs"),
    "maxout": (lambda t: torch.maximum(t, -t), "maximum"),
    "leaky by where": (lambda t: torch.where(t > 0, t, 0.1 * t), "where"),
    "above something": (lambda t: torch.maximum(t, torch.full_like(t, 0.1)), "maximum"),
    "exponential": (torch.exp, "exp"),
    "quotient": (lambda t: t / (1 + t.abs()), "abs, div of two features"),
    "Function": (Swish.apply, "Swish"),
    "Function that is a ReLU": (Rectify.apply, "Rectify"),
    "Function before a ReLU": (lambda t: F.relu(Reverse.apply(t)), "Reverse"),
    "script": (scripted(), "Relu"),
    "vmapped Function": (lambda t: Swish.apply(t.flatten(1)).view_as(t), "Swish"),
}


@pytest.mark.parametrize("spelling", OTHER)
@pytest.mark.parametrize("method", ["guidedbackprop", "deconvnet"])
def test_guided_rules_name_what_they_pass_by_the_derivative(method: str, spelling: str) -> None:
    act, names = OTHER[spelling]
    try:
        why = foveal.explain(net(act), pictures(), 1, method=method, task="classes")
    except MethodError as error:
        assert method == "deconvnet" and "does not apply" in str(error)
        return
    assert any(note.endswith(f"because there is no rule for it: {names}") for note in why.notes), why.notes


REFUSED = {
    "square": "square between layers", "power": "pow between layers", "abs": "'abs'",
    "sigmoid": "sigmoid between layers", "hard sigmoid": "hardsigmoid between layers", "half the sum": "'abs'",
    "exponential": "'exp'", "quotient": "'abs'", "Function": "'Swish'", "Function that is a ReLU": "'Rectify'",
    "Function before a ReLU": "'Reverse'", "script": "'Relu'", "vmapped Function": "'Swish'",
}  # fmt: skip


@pytest.mark.parametrize("spelling", REFUSED)
@pytest.mark.parametrize("method", LRP)
def test_relevance_is_refused_where_an_operation_has_no_rule(method: str, spelling: str) -> None:
    with pytest.raises(MethodError, match=rf"no rule for (the operation )?{REFUSED[spelling]}"):
        foveal.explain(net(OTHER[spelling][0]), pictures(), 1, method=method, layer="input")


def test_a_function_behind_the_layer_that_is_explained_does_not_matter() -> None:
    class Late(Net):
        def forward(self, x: Tensor) -> Tensor:
            return self.fc(F.relu(self.b(Swish.apply(self.a(x)))).mean((2, 3)))  # type: ignore[no-any-return, no-untyped-call]

    torch.manual_seed(0)
    foveal.explain(Late(F.relu).eval(), pictures(), 1, method="lrp-gamma", layer="b")
    with pytest.raises(MethodError, match="Swish"):
        foveal.explain(Late(F.relu).eval(), pictures(), 1, method="lrp-gamma", layer="a")


# --- linear maps in other words -------------------------------------------------------------------------------------


class Worded(nn.Module):
    """A head that is a linear layer, in one of several spellings."""

    def __init__(self, spelling: str) -> None:
        super().__init__()
        self.a, self.spelling = nn.Conv2d(3, 8, 3, 2, 1), spelling
        self.W, self.b = nn.Parameter(torch.randn(8, 6)), nn.Parameter(torch.randn(6))
        self.fc = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        v = F.relu(self.a(x)).mean((2, 3))
        h = {
            "linear": lambda: F.linear(v, self.W.mT, self.b),
            "matmul": lambda: v @ self.W + self.b,
            "mm": lambda: torch.mm(v, self.W) + self.b,
            "addmm": lambda: torch.addmm(self.b, v, self.W),
            "einsum": lambda: torch.einsum("nc,cd->nd", v, self.W) + self.b,
            "the other way round": lambda: (self.W.mT @ v[:, :, None])[:, :, 0] + self.b,
            "across the images": lambda: (self.W.mT @ v.mT).mT + self.b,
            "aten": lambda: torch.ops.aten.addmm.default(self.b, v, self.W),
            "bmm": lambda: torch.bmm(v[:, None], self.W.expand(len(v), -1, -1))[:, 0] + self.b,
        }[self.spelling]()
        return self.fc(F.relu(h))  # type: ignore[no-any-return]


@pytest.mark.parametrize("method", ["lrp-epsilon", "lrp-zplus"])
def test_products_whose_rows_are_not_the_images_are_refused(method: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(MethodError, match="matmul, with these arguments"):
        foveal.explain(Worded("across the images").eval(), pictures(), 1, method=method)


@pytest.mark.parametrize("spelling", ["matmul", "mm", "addmm", "einsum", "the other way round", "aten", "bmm"])
@pytest.mark.parametrize("method", ["lrp-epsilon:epsilon=0.25", "lrp-gamma", "lrp-zplus"])
def test_a_linear_layer_is_one_however_it_is_spelled(method: str, spelling: str) -> None:
    whys = []
    for one in ("linear", spelling):
        torch.manual_seed(0)
        whys.append(foveal.explain(Worded(one).eval(), pictures(), 1, method=method))
    right, why = whys
    if "0.25" in method and spelling in ("the other way round", "bmm"):
        return  # ε is in units of the mean |y|, which is taken over other axes there
    # Biases that are added afterwards take their share by themselves; what arrives is checked by the sum.
    if spelling in ("addmm", "aten"):
        assert torch.allclose(why.map, right.map, atol=1e-5 * float(right.map.abs().max()), rtol=1e-3)
    assert all(abs(missing) == 0 for missing in why.measured["input"]["missing"])  # type: ignore[index, call-overload, union-attr]


# --- sums -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", LRP)
@pytest.mark.parametrize("act", [F.relu, F.silu, F.gelu, torch.tanh, F.hardswish, lambda t: t * t.sigmoid()])
def test_what_arrives_and_what_is_lost_is_what_began(method: str, act: Act) -> None:
    why = foveal.explain(net(act), pictures(), 1, method=method, layer="input")
    assert why.measured["input"]["missing"] == [0.0, 0.0]  # type: ignore[index, call-overload]
    assert not any("add up" in note for note in why.notes)


def test_what_is_missing_is_said_with_its_place() -> None:
    class Lossy(Net):
        def forward(self, x: Tensor) -> Tensor:
            A = F.relu(self.a(x))
            A = torch.maximum(A, torch.full_like(A, 0.4))  # a constant that no rule counts
            return self.fc(F.relu(self.b(A)).mean((2, 3)))  # type: ignore[no-any-return]

    torch.manual_seed(0)
    model = Lossy(F.relu).eval()
    why = foveal.explain(model, pictures(), 1, method="lrp-epsilon")
    (note,) = [note for note in why.notes if "does not add up" in note]
    assert "between a and b" in note or "between input and b" in note or "between a and the output" in note
    found: Any = why.measured["input"]
    for score, arrived, taken, missing in zip(
        found["score"], found["relevance"], found["taken by biases and stabilizers"], found["missing"], strict=True
    ):
        assert missing and score == pytest.approx(arrived + taken + missing, rel=1e-4)


def test_a_target_that_is_not_linear_is_no_loss_of_the_network() -> None:
    why = foveal.explain(net(F.relu), pictures(), lambda o: o[:, 1].exp(), method="lrp-epsilon")
    assert why.measured["input"]["missing"] == [0.0, 0.0]  # type: ignore[index, call-overload]
