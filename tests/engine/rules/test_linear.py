"""The rules, each a second time straight from its definition: one input, one output, one contribution at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from foveal.engine.rules.contributions import Operation
from foveal.engine.rules.linear import LinearRule, same_sign
from foveal.engine.rules.operation import affine, convolution, dense, transposed_convolution

EPSILON = 1e-6


def matrix(op: Operation, x: Tensor) -> Tensor:
    """W as (outputs, inputs) for one image: the operation without its bias, on unit vectors."""
    units = torch.eye(x.numel(), dtype=x.dtype).view(-1, *x.shape[1:])
    return op.forward(units, op.weight, None).flatten(1).T


def shares_of(parts: list[float], sign: int) -> list[float]:
    """The parts' shares of those of one sign; of those of the other where there is none."""
    mine = sum(part for part in parts if part * sign > 0)
    if not mine:
        total = sum(parts)
        return [part / total if total else 0.0 for part in parts]
    return [part / mine if part * sign > 0 else 0.0 for part in parts]


def relevance_slowly(rule: LinearRule, W: Tensor, b: Tensor, x: Tensor, R: Tensor) -> Tensor:
    """R_i for one image, output after output."""
    outputs = (W @ x + b).tolist()
    arrived = [0.0] * len(x)
    size = sum(map(abs, outputs)) / len(outputs)
    for y, row, bias, relevance in zip(outputs, W, b.tolist(), R.tolist(), strict=True):
        parts = [*(row * x).tolist(), bias]
        if rule.kind == "epsilon":
            shares = [part / (y + EPSILON * size * (1 if y >= 0 else -1)) for part in parts]
        elif rule.kind == "zplus":
            shares = shares_of(parts, 1)
        elif rule.kind == "alphabeta":
            both = zip(shares_of(parts, 1), shares_of(parts, -1), strict=True)
            shares = [rule.alpha * up - (rule.alpha - 1) * down for up, down in both]
        else:
            mine = [part if part * y > 0 else 0.0 for part in parts]
            whole = y + rule.gamma * sum(mine)
            shares = [(part + rule.gamma * own) / whole for part, own in zip(parts, mine, strict=True)]
        arrived = [got + share * relevance for got, share in zip(arrived, shares[:-1], strict=True)]
    return torch.tensor(arrived, dtype=x.dtype)


OPERATIONS = {
    "3×3": lambda x, w, b: convolution(x, w(4, 3, 3, 3), b(4), padding=1),
    "strided, dilated": lambda x, w, b: convolution(x, w(4, 3, 3, 3), b(4), stride=2, padding=2, dilation=2),
    "groups": lambda x, w, b: convolution(x, w(6, 1, 3, 3), b(6), padding=1, groups=3),
    "same, uneven": lambda x, w, b: convolution(x, w(4, 3, 2, 4), b(4), padding="same"),
    "1×1": lambda x, w, b: convolution(x, w(5, 3, 1, 1), b(5)),
    "transposed": lambda x, w, b: transposed_convolution(x, w(3, 4, 3, 3), b(4), stride=2, padding=1, output_padding=1),
    "dense": lambda x, w, b: dense(x.flatten(1), w(7, x[0].numel()), b(7)),
}
RULES = (LinearRule("epsilon"), LinearRule("gamma"), LinearRule("zplus"), LinearRule("alphabeta"))


@pytest.mark.parametrize("signed", [False, True], ids=["nonnegative", "signed"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
@pytest.mark.parametrize("name", OPERATIONS)
def test_rules_are_their_definitions(name: str, rule: LinearRule, signed: bool) -> None:
    torch.manual_seed(1)
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    x = x if signed else x.relu()
    x, op = OPERATIONS[name](
        x,
        lambda *shape: torch.randn(*shape, dtype=torch.float64),
        lambda *shape: torch.randn(*shape, dtype=torch.float64),
    )
    y = op.forward(x, op.weight, op.bias)
    R = torch.randn_like(y)
    lost: list[Tensor] = []
    G = rule.pullback(op, x, y, R / y, lambda gone: lost.append(gone.flatten(1).sum(1)))
    b = y - op.forward(x, op.weight, None)
    for image in range(len(x)):
        slow = relevance_slowly(rule, matrix(op, x[:1]), b[image].flatten(), x[image].flatten(), R[image].flatten())
        assert torch.allclose((x * G)[image].flatten(), slow, atol=1e-9 * float(slow.abs().max()))
    balance = (x * G).flatten(1).sum(1) + sum(lost, torch.zeros(2, dtype=torch.float64))
    assert torch.allclose(balance, R.flatten(1).sum(1), atol=1e-9 * float(R.abs().sum()))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
def test_nothing_is_lost_without_bias(rule: LinearRule) -> None:
    torch.manual_seed(0)
    x, op = convolution(torch.rand(3, 2, 6, 6), torch.randn(4, 2, 3, 3), None, padding=1)
    y = op.forward(x, op.weight, None)
    G = rule.pullback(op, x, y, torch.ones_like(y), lambda gone: None)
    assert torch.allclose((x * G).flatten(1).sum(1), y.flatten(1).sum(1), rtol=1e-4)


def test_outputs_with_contributions_of_one_sign_only_lose_nothing() -> None:
    """All of them against: z⁺ has nothing to share by, and shares among what there is."""
    x, op = dense(torch.tensor([[1.0, 2.0]]), torch.tensor([[-1.0, -1.0]]))
    y = op.forward(x, op.weight, None)
    for kind in ("zplus", "alphabeta"):
        G = LinearRule(kind).pullback(op, x, y, torch.ones_like(y), lambda gone: None)  # type: ignore[arg-type]
        assert torch.allclose(x * G, torch.tensor([[-1.0, -2.0]])), kind


COUNTS = {
    # rule, outputs that have relevance -> forwards and transposed passes
    ("epsilon", "all"): (0, 1),
    ("zplus", "all"): (1, 1),
    ("gamma", "positive"): (1, 1),
    ("gamma", "all"): (1, 2),
    ("alphabeta", "positive"): (1, 2),
    ("alphabeta", "all"): (2, 2),
}


@pytest.mark.parametrize(("kind", "outputs"), COUNTS)
def test_no_pass_is_made_for_what_a_subtraction_gives(kind: str, outputs: str) -> None:
    torch.manual_seed(0)
    x, op = convolution(torch.rand(1, 3, 6, 6), torch.randn(4, 3, 3, 3), torch.randn(4))
    y, passes = op.forward(x, op.weight, op.bias), []

    def counted(name: str) -> Callable[..., Tensor]:
        return lambda *given: (passes.append(name), getattr(op, name)(*given))[1]

    watched = replace(op, forward=counted("forward"), transposed=counted("transposed"))
    G = torch.randn_like(y) * (1 if outputs == "all" else y > 0)
    LinearRule(kind).pullback(watched, x, y, G, lambda gone: None)  # type: ignore[arg-type]
    assert (passes.count("forward"), passes.count("transposed")) == COUNTS[kind, outputs]


@pytest.mark.parametrize("outputs", ["all", "positive"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
def test_subtractions_cost_no_digits(rule: LinearRule, outputs: str) -> None:
    """Where the contributions of one sign are a thousandth of the others, too."""
    torch.manual_seed(0)
    weight = torch.randn(8, 6, 3, 3).clamp(min=-1e-3)
    weight[4:] *= -1
    maps = {}
    for kind in (torch.float32, torch.float64):
        x, op = convolution(
            torch.rand(2, 6, 7, 7, generator=torch.Generator().manual_seed(1)).to(kind), weight.to(kind)
        )
        y = op.forward(x, op.weight, None)
        G = torch.ones_like(y) if outputs == "all" else (y > 0).to(kind)
        maps[kind] = x * rule.pullback(op, x, y, G, lambda gone: None)
    exact = maps[torch.float64]
    assert torch.allclose(maps[torch.float32].double(), exact, rtol=0, atol=3e-6 * float(exact.abs().max()))


@settings(max_examples=60, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 12), st.integers(1, 12)), stride=st.integers(1, 5), channels=st.integers(1, 4),
    padding=st.tuples(st.integers(0, 6), st.integers(0, 6)), size=st.tuples(st.integers(12, 41), st.integers(12, 41)),
)  # fmt: skip
@example(kernel=(7, 7), stride=2, channels=3, padding=(3, 3), size=(37, 46))
@example(kernel=(11, 11), stride=4, channels=3, padding=(2, 2), size=(37, 46))
def test_few_channels_go_back_as_many_do(
    kernel: tuple[int, int], stride: int, channels: int, padding: tuple[int, int], size: tuple[int, int]
) -> None:
    """Images have other ways back than maps."""
    torch.manual_seed(0)
    x = torch.randn(2, channels, *size, requires_grad=True)
    inner, op = convolution(x, torch.randn(5, channels, *kernel), None, stride, padding)
    y = op.forward(inner, op.weight, None)
    s = torch.randn_like(y)
    (expected,) = torch.autograd.grad(y, x, s)
    assert torch.allclose(op.transposed(s, op.weight, x.detach()), expected, rtol=1e-4, atol=1e-4)


def test_a_rule_without_bias_gives_all_to_the_inputs() -> None:
    x, op = dense(torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 3.0]]), torch.tensor([4.0]))
    y, ones = op.forward(x, op.weight, op.bias), torch.ones(1, 1)
    shared = {
        bias: x * LinearRule("zplus", bias=bias).pullback(op, x, y, ones, lambda gone: None) for bias in (True, False)
    }
    assert torch.allclose(shared[True], torch.tensor([[1.0, 3.0]]))  # of 8, the bias took 4
    assert torch.allclose(shared[False], torch.tensor([[2.0, 6.0]]))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([1e-6, 1.0, 1e6]))
def test_rules_do_not_care_how_large_the_layer_is(seed: int, scale: float) -> None:
    torch.manual_seed(seed)
    x, op = convolution(torch.randn(1, 2, 4, 4, dtype=torch.float64), torch.randn(3, 2, 3, 3, dtype=torch.float64))
    for rule in RULES:
        one = rule.pullback(op, x, (y := op.forward(x, op.weight, None)), torch.ones_like(y), lambda gone: None)
        other = rule.pullback(op, x * scale, y * scale, torch.ones_like(y), lambda gone: None)
        assert torch.allclose(one, other, rtol=1e-6, atol=1e-9 * float(one.abs().max())), rule.kind


def test_batch_normalisation_becomes_part_of_the_convolution() -> None:
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5).eval()
    for tensor in (norm.running_mean, norm.weight, norm.bias):
        tensor.data.normal_()  # type: ignore[union-attr]
    x = torch.randn(2, 3, 6, 6)
    _, op = convolution(x, conv.weight.detach(), conv.bias.detach())  # type: ignore[union-attr]
    fused = op.scaled(*affine(norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.eps))  # type: ignore[arg-type]
    with torch.no_grad():
        assert torch.allclose(fused.forward(x, fused.whole(), fused.bias), norm(conv(x)), atol=1e-5)


def test_sums_by_the_parts_that_go_their_way() -> None:
    a, b = torch.tensor([[3.0, -1.0, 2.0]]), torch.tensor([[1.0, 4.0, -2.5]])
    y = a + b
    first, second = same_sign([a, b], y, torch.ones_like(y))
    assert torch.allclose(a * first, torch.tensor([[3.0, 0.0, 0.0]]))
    assert torch.allclose(b * second, torch.tensor([[1.0, 3.0, -0.5]]))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_padding_by_name_is_what_torch_does() -> None:
    x, w = torch.randn(1, 2, 7, 6), torch.randn(3, 2, 4, 3)
    padded, op = convolution(x, w, padding="same", dilation=(1, 2))
    assert torch.allclose(op.forward(padded, w, None), F.conv2d(x, w, padding="same", dilation=(1, 2)), atol=1e-5)
