"""What foveal does unwatched means the same, and is nobody else's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import foveal
from foveal.engine.unwatched import looking, unwatched
from foveal.metrics import EvaluationSettings


class Counting(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


def test_modes_are_told_before_and_after() -> None:
    x = torch.ones(2)
    with Counting() as outer, Counting() as inner:
        with unwatched(), looking(), unwatched():
            x + 1
        with pytest.raises(ZeroDivisionError), unwatched():
            1 / 0  # noqa: B018
        assert (outer.count, inner.count) == (0, 0)
        x + 1
        assert (outer.count, inner.count) == (1, 1)


class Scaled(nn.Parameter):
    """Stands for three times its numbers."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        def meant(value: Any) -> Any:
            return 3 * value.as_subclass(Tensor) if isinstance(value, Scaled) else value

        with torch._C.DisableTorchFunctionSubclass():
            if getattr(func, "__name__", "") in _KEEPING:
                return func(*args, **(kwargs or {}))
            return func(*map(meant, args), **{key: meant(value) for key, value in (kwargs or {}).items()})


_KEEPING = {"__get__", "__set__", "detach", "requires_grad_", "untyped_storage", "data_ptr", "clone", "is_inference"}


class Network(nn.Sequential):
    """Of a class whose forward may write into weights, for all that is known."""


def network(*, scaled: bool) -> nn.Sequential:
    torch.manual_seed(0)
    layers = Network(
        nn.Conv2d(3, 8, 7, 2, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 4),
    ).eval()  # fmt: skip
    for layer in (layers[0], layers[2], layers[6]) if scaled else ():
        weight = torch.Tensor._make_subclass(Scaled, layer.weight.detach() / 3, True)
        del layer.weight
        layer.register_parameter("weight", weight)
    return layers


@pytest.mark.parametrize("method", ["lrp-epsilon", "lrp-gamma", "lrp-zplus", "lrp-alphabeta", "guidedbackprop"])
def test_weights_of_a_class_of_their_own_mean_what_they_mean(method: str) -> None:
    x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    plain, own = (
        foveal.explain(network(scaled=scaled), x, 1, method=method, layer="input").map for scaled in (False, True)
    )
    assert abs(plain - own).max() < 1e-5 * abs(plain).max()


def test_what_a_fill_of_the_users_writes_into_weights_is_put_back() -> None:
    model = network(scaled=False)
    before = model[0].weight.detach().clone()

    def background(x: Tensor) -> Tensor:
        model[0].weight.data.mul_(0.9)
        return torch.zeros_like(x)

    with torch.device("cpu"):
        foveal.measure(
            model, torch.rand(1, 3, 32, 32), 1, explanations={"map": torch.rand(1, 8, 8)}, baseline_maps=False,
            setting=EvaluationSettings(mask=background),
        )  # fmt: skip
    assert torch.equal(model[0].weight, before)
