"""Convolutions of images give what torch's give, forth and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from foveal.engine.rules.colors import ImageConvolutions


class Stem(nn.Module):
    """A convolution of the image, called in one of several ways."""

    def __init__(self, call: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.weight, self.bias, self.call = nn.Parameter(torch.randn(8, 3, 7, 7)), nn.Parameter(torch.randn(8)), call

    def forward(self, x: Tensor) -> Tensor:
        return self.call(x, self.weight, self.bias)


Call = Callable[[Tensor, Tensor, Tensor], Tensor]
CALLS: dict[str, Call] = {
    "by place": lambda x, W, b: functional.conv2d(x, W, b, 2, 3),
    "by name": lambda x, W, b: functional.conv2d(input=x, weight=W, bias=b, stride=2, padding=3),
    "weights by name": lambda x, W, b: functional.conv2d(x, weight=W, stride=(2, 2)),
    "same": lambda x, W, b: functional.conv2d(x, W, b, padding="same"),
    "written over": lambda x, W, b: functional.conv2d(x * 2, W, b, 2, 3).relu_(),
    "dilated": lambda x, W, b: functional.conv2d(x, W, b, dilation=2),
    "a bias that depends on the image": lambda x, W, b: functional.conv2d(x, W, b * x.mean(), 2, 3),
    "few pixels": lambda x, W, b: functional.conv2d(x, W, b, 1, 3),
    "computed again": lambda x, W, b: checkpoint(functional.conv2d, x, W, b, 2, 3, use_reentrant=False).relu(),
    "weights that depend on the image": lambda x, W, b: functional.conv2d(x, W * x.mean(), b, 2, 3),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_convolution_of_an_image_has_the_derivative_of_torch(
    call: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> None:
    torch.manual_seed(0)
    stem, x = Stem(call).requires_grad_(False), torch.randn(2, 3, 30, 33, requires_grad=True)
    plain = stem(x)
    G = torch.randn_like(plain)
    with ImageConvolutions():
        ours = stem(x)
    assert torch.allclose(ours, plain, rtol=1e-5, atol=1e-5)
    (expected,), (found,) = torch.autograd.grad(plain, x, G), torch.autograd.grad(ours, x, G)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_weights_that_want_a_gradient_get_it() -> None:
    torch.manual_seed(0)
    stem, x = Stem(CALLS["by place"]), torch.randn(2, 3, 30, 33, requires_grad=True)
    with ImageConvolutions():
        gradients = torch.autograd.grad(stem(x).square().sum(), [x, stem.weight, stem.bias])
    expected = torch.autograd.grad(stem(x).square().sum(), [x, stem.weight, stem.bias])
    assert all(torch.allclose(a, b, rtol=1e-4) for a, b in zip(gradients, expected, strict=True))


def test_rounded_convolutions_stay_rounded() -> None:
    stem, x = Stem(CALLS["by place"]).requires_grad_(False), torch.randn(1, 3, 30, 33, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16), ImageConvolutions():
        y = stem(x)
        (gradient,) = torch.autograd.grad(y.float().sum(), x)
    assert y.dtype == torch.bfloat16 and gradient.dtype == torch.float32


@pytest.mark.parametrize("call", ["by place", "few pixels"])
def test_the_derivative_of_the_derivative_is_there(call: str) -> None:
    torch.manual_seed(0)
    stem, x = Stem(CALLS[call]).requires_grad_(False), torch.randn(1, 3, 20, 20, requires_grad=True)

    def twice() -> Tensor:
        (first,) = torch.autograd.grad(stem(x).pow(3).sum(), x, create_graph=True)
        return torch.autograd.grad(first.square().sum(), x)[0]

    expected = twice()
    with ImageConvolutions():
        assert torch.allclose(twice(), expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_weights_that_are_overwritten_before_the_way_back_are_no_other_derivative() -> None:
    stem, x = Stem(CALLS["by place"]).requires_grad_(False), torch.randn(1, 3, 20, 20, requires_grad=True)
    with ImageConvolutions():
        y = stem(x)
    with torch.no_grad():
        stem.weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(y.sum(), x)


def test_the_way_back_is_not_rounded_where_the_way_there_was_not() -> None:
    torch.manual_seed(0)
    stem, x = Stem(CALLS["by place"]).requires_grad_(False), torch.randn(1, 3, 30, 33, requires_grad=True)
    (expected,) = torch.autograd.grad(stem(x).square().sum(), x)
    with torch.autocast("cpu", torch.bfloat16):
        with torch.autocast("cpu", enabled=False), ImageConvolutions():
            y = stem(x).square().sum()
        (gradient,) = torch.autograd.grad(y, x)
    assert torch.allclose(gradient, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("settings", [{"stride": 2, "padding": "same"}, {"padding": "sam"}])
def test_what_torch_refuses_stays_refused(settings: dict[str, Any]) -> None:
    x, W = torch.randn(1, 3, 20, 20, requires_grad=True), torch.randn(8, 3, 7, 7)
    with pytest.raises(RuntimeError, match="padding"), ImageConvolutions():
        functional.conv2d(x, W, **settings)
