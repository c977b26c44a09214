"""DeepLIFT: by hand, against Captum where that holds, by completeness on real architectures, and where refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import foveal
from foveal.engine.rescale import Rescale
from foveal.errors import MethodError
from tests.networks import ARCHITECTURES, Planted, architecture, tiny

if TYPE_CHECKING:
    from tests.conftest import NoTrace


def multipliers(function: object, x: Tensor, b: Tensor) -> Tensor:
    with Rescale():
        pair = torch.cat([x, b]).requires_grad_()
        y = function(pair)  # type: ignore[operator]
        (m,) = torch.autograd.grad(y[0].sum(), pair)
    assert not m[1:].any() or m.shape[0] == 2
    return m[:1]


def test_two_linear_layers_and_a_relu_by_hand() -> None:
    """y = Σ_j v_j ReLU(Σ_i w_ji x_i): m_i = Σ_j v_j w_ji (ReLU(z_j) − ReLU(z⁰_j)) / (z_j − z⁰_j)."""
    torch.manual_seed(0)
    w, v, x, b = (torch.randn(shape).double() for shape in ((5, 4), (5,), (1, 4), (1, 4)))
    slow = torch.zeros(4).double()
    for j in range(5):
        z, z0 = float(w[j] @ x[0]), float(w[j] @ b[0])
        slow += v[j] * w[j] * (max(z, 0.0) - max(z0, 0.0)) / (z - z0)
    assert torch.allclose(multipliers(lambda x: F.relu(x @ w.T) @ v, x, b)[0], slow)


@pytest.mark.parametrize(
    "function",
    [
        F.relu, F.gelu, F.silu, torch.tanh, torch.sigmoid, F.softplus, F.hardswish, F.relu6, torch.exp,
        lambda x: x.relu_() * 1, lambda x: x.clamp(-0.5, 0.5), lambda x: x**2, lambda x: x * x.sigmoid(),
        lambda x: x / (2 + x.exp()), lambda x: x.softmax(1), lambda x: F.layer_norm(x, x.shape[1:]),
        lambda x: F.max_pool2d(x, 3, 2, 1), lambda x: F.max_pool2d(x, 2), lambda x: 1 / (1 + x * x),
        lambda x: x * x.mean((2, 3), keepdim=True), lambda x: x.relu() + x.relu(), lambda x: x.relu().add_(x),
    ],
)  # fmt: skip
def test_every_operation_is_complete(function: object) -> None:
    """Σ m (x − b) = y(x) − y(b), whatever the output is weighted by."""
    torch.manual_seed(0)
    x, b = torch.randn(2, 1, 3, 5, 6).double().unbind()
    weight = torch.randn(1000).double()

    def score(x: Tensor) -> Tensor:
        y = (x.clone() * 1.0,)
        out = function(*y).flatten(1)  # type: ignore[operator]
        return out @ weight[: out.shape[1]]

    with torch.no_grad():
        rise = float(score(x) - score(b))
    assert float(((x - b) * multipliers(score, x, b)).sum()) == pytest.approx(rise, rel=1e-9)


def test_where_nothing_differs_the_derivative_is_taken() -> None:
    x = torch.randn(1, 4).double()
    leaf = x.clone().requires_grad_()
    (derivative,) = torch.autograd.grad(F.silu(leaf).sum(), leaf)
    assert torch.allclose(multipliers(F.silu, x, x.clone()), derivative)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_real_architectures_are_complete(name: str, no_trace: NoTrace) -> None:
    """Functions, modules used twice, squeeze-excite, gates and layer norm included."""
    model, side = architecture(name).double().train(), ARCHITECTURES[name]
    x = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0)).double()
    with no_trace(model):
        why = foveal.explain(model, x, foveal.Margin(), method="deeplift")
    (gap,) = why.measured["input"]["gap"]  # type: ignore[index, call-overload, misc]
    assert abs(gap) < 1e-12 * max(1.0, float(why.score[0].abs()))  # type: ignore[index]
    assert why.map.shape == (1, side, side) and float(why.map.abs().max()) > 0


def test_captum_says_the_same_where_no_module_runs_twice() -> None:
    captum = pytest.importorskip("captum.attr")
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.ELU(), nn.Flatten(), nn.Linear(8 * 4, 3)
    )
    model, x = model.eval().double(), torch.randn(2, 3, 10, 10).double()
    why = foveal.explain(model, x, 1, method="deeplift:baseline=mean")
    with pytest.warns(UserWarning, match="Setting forward, backward hooks"):
        b = x.mean((2, 3), keepdim=True).expand_as(x)
        theirs = captum.DeepLift(model).attribute(x.clone().requires_grad_(), b.clone().requires_grad_(), target=1)
    assert torch.allclose(why.map, theirs.sum(1).detach(), atol=1e-9)


def test_evidence_lies_where_the_color_is() -> None:
    x = torch.zeros(1, 3, 8, 8)
    x[0, 0, 1, 2], x[0, 1, 6, 5] = 2.0, 1.0
    map = foveal.explain(Planted().eval(), x, foveal.Margin(0, 1), method="deeplift").map[0]
    assert torch.equal(map.nonzero(), torch.tensor([[1, 2], [6, 5]]))


def test_a_batch_is_its_images() -> None:
    model, x = tiny(), torch.randn(3, 3, 8, 8)
    together = foveal.explain(model, x, [0, 1, 2], method="deeplift")
    for i in range(3):
        assert torch.allclose(
            together.map[i], foveal.explain(model, x[i : i + 1], i, method="deeplift").map[0], atol=1e-6
        )


class Sine(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(3 * self.conv(x)).mean((2, 3))


def test_an_operation_without_a_rule_is_refused() -> None:
    torch.manual_seed(0)
    with pytest.raises(MethodError, match="an operation without a rule is on the way"):
        foveal.explain(Sine().eval(), torch.randn(1, 3, 8, 8), 1, method="deeplift")
    left = foveal.compare(Sine().eval(), torch.randn(1, 3, 8, 8), 1, methods=["all", "rise:count=4"])
    assert "deeplift" not in {why.method for why in left}
