"""Whoever calls, and however: threads, generators, modes, wrappers, precisions."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.engine.capture import capture
from foveal.errors import ModelError
from tests.networks import architecture, tiny

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import NoTrace


def test_threads_take_turns_at_one_model(no_trace: NoTrace) -> None:
    model = tiny().train()
    pictures = [torch.randn(1, 3, 16, 16) for _ in range(24)]
    alone = [foveal.explain(model, x, 0, layer="all").maps["relu1"] for x in pictures]
    with no_trace(model), ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda x: foveal.explain(model, x, 0, layer="all").maps["relu1"], pictures))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_first_call_of_all_may_be_without_gradients(mode: Any) -> None:
    model = tiny()
    with mode():
        assert foveal.explain(model, torch.randn(1, 3, 8, 8)).layer == "relu2"


def steps(model: nn.Module, x: Tensor, maps: list[Tensor]) -> Iterator[int]:
    """A long computation that gives way between its steps."""
    with capture(model, ["relu1"]) as run:
        for index in range(3):
            assert not model.training and torch.is_grad_enabled() and not model.conv1.weight.requires_grad
            torch.rand(5)
            maps.append(run.gradients(run.forward(x)[:, index])["relu1"])
            yield index


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("mode", [nullcontext, torch.no_grad, torch.inference_mode])
def test_generators_may_overlap(shared: bool, mode: Any, no_trace: NoTrace) -> None:
    """The first to begin is the first to end: what it changed must wait for the other."""
    one = tiny().train()
    other, x = one if shared else tiny(1).train(), torch.randn(1, 3, 8, 8)
    expected: list[list[Tensor]] = [[], []]
    for model, maps in zip((one, other), expected, strict=True):
        list(steps(model, x, maps))
    maps: list[list[Tensor]] = [[], []]
    with no_trace(one), no_trace(other), mode():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        first, second = steps(one, x, maps[0]), steps(other, x, maps[1])
        next(first), next(second), next(first), next(first)
        assert next(first, None) is None
        assert list(second) == [1, 2]
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before
    for found, plain in zip(maps, expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(found, plain, strict=True))


def test_a_generator_that_is_dropped_puts_everything_back(no_trace: NoTrace) -> None:
    model, x = tiny().train(), torch.randn(1, 3, 8, 8)
    with no_trace(model):
        begun = steps(model, x, [])
        next(begun)
        foveal.explain(model, x)  # within
        assert not model.training
        begun.close()


AUTOCAST = {"gradcam": 0.98, "hirescam": 0.95, "layercam": 0.98, "gradcam++": 0.98, "eigencam": 0.999, "gradient": 0.98}


def agreement(a: Tensor, b: Tensor) -> float:
    """The least cosine between two maps of the same image."""
    a, b = (nn.functional.normalize(map.double().flatten(1), eps=0) for map in (a, b))
    return float((a * b).sum(1).amin())


@pytest.mark.parametrize("method", AUTOCAST)
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_inside_autocast(name: str, method: str) -> None:
    """The forward is the caller's, in bfloat16; formulas stay in single precision. Measured: 0.95 to 1."""
    model, x = architecture(name), torch.randn(2, 3, 96, 96)
    plain = foveal.explain(model, x, 1, method=method)
    with torch.autocast("cpu", torch.bfloat16):
        why = foveal.explain(model, x, 1, method=method)
    assert why.map.dtype == torch.float32
    assert agreement(why.map, plain.map) > AUTOCAST[method]


@pytest.mark.parametrize("method", AUTOCAST)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_of_half_precision(dtype: torch.dtype, method: str) -> None:
    model, x = architecture("resnet18"), torch.randn(2, 3, 96, 96)
    plain = foveal.explain(model, x, 1, method=method, layer=["layer3", "layer4"])
    why = foveal.explain(model.to(dtype), x.to(dtype), 1, method=method, layer=["layer3", "layer4"])
    for layer in plain.layers:
        assert why.maps[layer].dtype == torch.float32
        assert agreement(why.maps[layer], plain.maps[layer]) > AUTOCAST[method]


@pytest.mark.parametrize("scale", [2.0**-12, 1.0, 2.0**12])
def test_gradients_of_half_precision_neither_vanish_nor_overflow(scale: float) -> None:
    model, x = tiny(), torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        model.fc.weight.mul_(scale)
    plain = foveal.explain(model, x, 1, layer="all", method="hirescam")
    half = foveal.explain(model.half(), x.half(), 1, layer="all", method="hirescam")
    for layer in plain.layers:
        assert agreement(half.maps[layer], plain.maps[layer]) > 0.999
        assert torch.allclose(half.maps[layer].sum((1, 2)), plain.maps[layer].sum((1, 2)), rtol=0.02)


def test_differentiable_inside_autocast() -> None:
    model, x = tiny(), torch.randn(2, 3, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        map = foveal.explain(model, x, 1, differentiable=True).map
    map.sum().backward()
    assert map.dtype == torch.float32 and model.conv1.weight.grad is not None


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("one_process")
def test_distributed_and_data_parallel_wrappers(no_trace: NoTrace) -> None:
    x = torch.randn(2, 3, 8, 8)
    plain = foveal.explain(tiny(), x, 1)
    for wrapped in (nn.parallel.DistributedDataParallel(tiny()), nn.DataParallel(tiny())):
        with no_trace(wrapped.module):
            why = foveal.explain(wrapped, x, 1)
        assert torch.equal(why.map, plain.map)
        assert (why.model, why.layer) == ("Tiny", "relu2")


@pytest.mark.slow
def test_compiled_in_place() -> None:
    model, x = tiny(), torch.randn(2, 3, 8, 8)
    plain = foveal.explain(model, x, 1)
    model.compile(backend="eager")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = model(x)
    why = foveal.explain(model, x, 1)
    assert torch.equal(why.map, plain.map)
    assert any("compiled" in note for note in why.notes)
    assert torch.equal(model(x), expected) and model._compiled_call_impl is not None


def test_lazy_layers_are_to_be_made_first(no_trace: NoTrace) -> None:
    lazy = nn.Sequential(
        nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(affine=False), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2)
    )
    x = torch.randn(2, 3, 8, 8)
    for _ in range(2):
        with pytest.raises(ModelError, match="run it once"):
            foveal.explain(lazy, x)
    lazy(x)
    with no_trace(lazy):
        assert foveal.explain(lazy, x).layer == "2"
