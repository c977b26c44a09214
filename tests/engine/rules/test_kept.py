"""Networks that overwrite what a rule reads on the way back: maps are those of the same network that does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import foveal
from foveal.engine.rules.kept import KeptTensors
from foveal.errors import FovealError

METHODS = ("lrp-epsilon", "lrp-gamma", "lrp-zplus", "lrp-alphabeta", "excitationbp", "guidedbackprop", "deeplift",
           "integratedgradients", "inputxgradient")  # fmt: skip

Step = Callable[["Overwriting", Tensor], Tensor]


class Overwriting(nn.Module):
    """A convolution, a step that reads its output and then writes there if `in_place`, and another convolution."""

    def __init__(self, step: Step, *, in_place: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.step, self.in_place = step, in_place
        self.a, self.b, self.c = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.bn, self.gn, self.fc = nn.BatchNorm2d(6), nn.GroupNorm(2, 6), nn.Linear(6, 4)
        for value in (self.bn.running_mean, self.bn.bias, self.bn.weight):
            assert value is not None
            nn.init.normal_(value)

    def relu(self, x: Tensor) -> Tensor:
        return F.relu(x, inplace=self.in_place)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        return self.fc(self.relu(self.step(self, x)).mean((2, 3)))  # type: ignore[no-any-return]


def read_before(read: Callable[[Overwriting, Tensor], Tensor]) -> Step:
    """What the step reads is then the input of a ReLU in place."""

    def step(net: Overwriting, x: Tensor) -> Tensor:
        y = read(net, x)
        return net.c(net.relu(x)) + y  # type: ignore[no-any-return]

    return step


def written(write: Callable[[Tensor], object], instead: Callable[[Tensor], Tensor]) -> Step:
    """What the step reads is then written into."""

    def step(net: Overwriting, x: Tensor) -> Tensor:
        y = net.b(x)
        if net.in_place:
            write(x)
        else:
            x = instead(x)
        return F.relu(net.c(x)) + y  # type: ignore[no-any-return]

    return step


def leaky(net: Overwriting, x: Tensor) -> Tensor:
    """Nothing is read twice, but the activation function changes numbers whose gradient is not 0."""
    return net.c(F.leaky_relu(x, 0.2, inplace=net.in_place))  # type: ignore[no-any-return]


def both(net: Overwriting, x: Tensor) -> Tensor:
    z = net.b(x)
    y = x + z
    return net.c(net.relu(x)) + y + net.relu(z)  # type: ignore[no-any-return]


STEPS: dict[str, Step] = {
    "convolution": read_before(lambda net, x: net.b(x)),
    "batch norm": read_before(lambda net, x: net.bn(x)),
    "group norm": read_before(lambda net, x: net.gn(x)),
    "activation": read_before(lambda net, x: F.silu(x)),
    "pooling": read_before(lambda net, x: F.max_pool2d(x, 3, 1, 1)),
    "gate": read_before(lambda net, x: x * torch.sigmoid(x.mean((2, 3), keepdim=True))),
    "sum": both,
    "leaky": leaky,
    "neg_": written(lambda x: x.neg_(), lambda x: x.neg()),
    "+=": written(lambda x: x.add_(1.0), lambda x: x + 1.0),
    "item": written(lambda x: x.__setitem__((slice(None), 0), 0.0), lambda x: x * (torch.arange(6) > 0)[:, None, None]),
    "part": written(lambda x: x[:, :3].relu_(), lambda x: torch.cat([x[:, :3].relu(), x[:, 3:]], 1)),
    "copy_": written(lambda x: x.copy_(x.tanh()), lambda x: x.tanh()),
}


CASES = [(name, method) for name in STEPS for method in METHODS if (name, method) != ("group norm", "deeplift")]
"""DeepLIFT has no rule for group norm, and says so."""


@pytest.mark.parametrize(("name", "method"), CASES)
def test_maps_do_not_depend_on_what_is_overwritten(name: str, method: str) -> None:
    x = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    plain, changed = (
        foveal.explain(Overwriting(STEPS[name], in_place=way).eval(), x, 1, method=method, task="classes").map
        for way in (False, True)
    )
    assert torch.allclose(plain, changed, rtol=1e-4, atol=1e-5 * float(plain.abs().max()))


def test_deconvnet_too_where_there_are_only_relus() -> None:
    x = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    for name in ("convolution", "batch norm", "group norm", "pooling", "gate", "sum", "+=", "item", "part"):
        nets = [Overwriting(STEPS[name], in_place=way).eval() for way in (False, True)]
        plain, changed = (foveal.explain(net, x, 1, method="deconvnet", task="classes").map for net in nets)
        assert torch.allclose(plain, changed, rtol=1e-4, atol=1e-5 * float(plain.abs().max())), name


def test_the_third_place_of_a_norm_is_not_in_place() -> None:
    """`keepdim` given by place is true, like `inplace`."""

    def lengths(net: Overwriting, x: Tensor) -> Tensor:
        return net.c(x / torch.linalg.vector_norm(x, 2, 1, True))  # type: ignore[no-any-return]

    x = torch.randn(1, 3, 12, 12)
    why = foveal.explain(Overwriting(lengths, in_place=False).eval(), x, 1, method="deeplift", task="classes")
    assert bool(why.map.abs().sum() > 0)


@pytest.mark.parametrize("method", ["lrp-epsilon", "deeplift", "guidedbackprop", "deconvnet"])
def test_what_is_written_into_may_be_given_by_name(method: str) -> None:
    def by_name(net: Overwriting, x: Tensor) -> Tensor:
        return net.c(F.relu(input=x, inplace=net.in_place))  # type: ignore[no-any-return]

    x = torch.randn(1, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    nets = [Overwriting(by_name, in_place=way).eval() for way in (False, True)]
    plain, changed = (foveal.explain(net, x, 1, method=method, task="classes").map for net in nets)
    assert torch.allclose(plain, changed, rtol=1e-4, atol=1e-5 * float(plain.abs().max()))


@pytest.mark.parametrize("method", ["lrp-epsilon", "deeplift"])
def test_a_result_given_as_an_argument_is_refused_as_by_torch(method: str) -> None:
    def into(net: Overwriting, x: Tensor) -> Tensor:
        y = net.b(x)
        return net.c(torch.mul(x, y, out=torch.empty_like(y)) + x)  # type: ignore[no-any-return]

    with pytest.raises(FovealError, match="out="):
        foveal.explain(
            Overwriting(into, in_place=True).eval(), torch.randn(1, 3, 12, 12), 1, method=method, task="classes"
        )


def test_memory_is_shared_until_it_is_written_into() -> None:
    kept = KeptTensors()
    x = torch.randn(4, 4)
    before = x.clone()
    alias, other = kept.keep(x), kept.keep(x[1:])
    assert alias.data_ptr() == x.data_ptr()
    kept.before_writing("mul", x[:, 2:])
    x[:, 2:] *= 2
    assert torch.equal(alias, before)
    assert torch.equal(other, before[1:])
    assert alias.data_ptr() != x.data_ptr()


def test_a_relu_on_an_output_that_nothing_used_copies_nothing() -> None:
    kept = KeptTensors()
    y = torch.randn(4, 4)
    alias = kept.keep(y)
    kept.made(y, alias)
    kept.before_writing("relu", y)
    assert alias.data_ptr() == y.data_ptr()
    kept.before_writing("leaky_relu", y)
    assert alias.data_ptr() != y.data_ptr()
    alias = kept.keep(y)
    kept.made(y, alias)
    kept.used([y])
    kept.before_writing("relu", y)
    assert alias.data_ptr() != y.data_ptr()
