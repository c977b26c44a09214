"""A device that is not the processor, on the processor: what mixes tensors of both fails as on an accelerator.

    python -m tests.awkward.elsewhere

Its tensors hold tensors of the processor. Operations on them run here, unless one of the tensors is not there, or they
draw with a generator of the processor; then they fail in torch's words. What accelerators allow is allowed: numbers
without dimensions, indices, copies. `numpy()` fails. The whole process knows the device, so it is one of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from benchmarks.gpu_asks import CLASSES, QUESTIONS, Asked, difference, floats
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

import foveal
from foveal.methods import COMPARING

NAME = "elsewhere"
ATEN = torch.ops.aten
COPIES = {ATEN._to_copy.default, ATEN.copy_.default}
INDEXED = {ATEN.index.Tensor, ATEN.index_put.default, ATEN.index_put_.default, ATEN._index_put_impl_.default}
FROM_DATA = {torch.tensor, torch.as_tensor, torch.asarray}
ITEMS = {Tensor.__getitem__, Tensor.__setitem__}


class Elsewhere(Tensor):
    """A tensor there."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> Elsewhere:
        made: Elsewhere = Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            layout=inner.layout, device=torch.device(NAME, 0),
        )  # fmt: skip
        made.inner = inner
        return made

    def tolist(self) -> Any:
        return self.inner.detach().tolist()

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError(f"can't convert {NAME}:0 device type tensor to numpy")

    __array__ = numpy
    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


def run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """An operation with tensors there, or that makes one there."""
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    there = [tensor for tensor in tensors if isinstance(tensor, Elsewhere)]
    here = [tensor for tensor in tensors if not isinstance(tensor, Elsewhere) and tensor.ndim]
    named = kwargs.get("device")
    result_there = bool(there) if named is None else is_there(named)
    if here and there and func not in COPIES and (func not in INDEXED or not isinstance(args[0], Elsewhere)):
        raise RuntimeError(f"Expected all tensors to be on the same device, but found at least two ({func})")
    if result_there and kwargs.get("generator") is not None:
        raise RuntimeError(f"Expected a '{NAME}' device type for generator but found 'cpu' ({func})")
    inner_args, inner_kwargs = tree_map(
        lambda leaf: leaf.inner if isinstance(leaf, Elsewhere) else leaf, (args, kwargs)
    )
    out = func(*inner_args, **inner_kwargs | ({"device": torch.device("cpu")} if named is not None else {}))
    if func is ATEN.copy_.default:
        return args[0]
    known = {id(tensor.inner): tensor for tensor in there}

    def wrapped(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor) or not result_there:
            return leaf
        return known.get(id(leaf)) if id(leaf) in known else Elsewhere(leaf.resolve_conj().resolve_neg())

    out = tree_map(wrapped, out)
    moves = func in COPIES or not there or not result_there
    return out if moves else return_and_correct_aliasing(func, args, kwargs, out)


def is_there(device: Any) -> bool:
    return torch.device(device).type == NAME


class Made(TorchDispatchMode):
    """Zeros, ones and noise that are asked for there."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        named = kwargs.get("device")
        return run(func, args, kwargs) if named is not None and is_there(named) else func(*args, **kwargs)


class FromData(TorchFunctionMode):
    """Tensors of numbers, and indices in lists, which torch makes without asking modes."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        named = kwargs.get("device")
        if func in FROM_DATA and named is not None and is_there(named) and not isinstance(args[0], Tensor):
            del kwargs["device"]
            return Elsewhere(func(*args, **kwargs))
        if func is Tensor.new_tensor and isinstance(args[0], Elsewhere):
            return Elsewhere(args[0].inner.new_tensor(*args[1:], **kwargs))
        if func in ITEMS and isinstance(args[0], Elsewhere):
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            listed = tuple(torch.tensor(each) if isinstance(each, list | range) else each for each in index)
            return func(args[0], listed, *args[2:])
        return func(*args, **kwargs)


class Backend(_DummyBackendModule):  # type: ignore[misc]
    """What torch asks of a device's module."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


@contextmanager
def device() -> Iterator[None]:
    """Within, the device is there."""
    if not hasattr(torch, NAME):
        _setup_privateuseone_for_python_backend(NAME, Backend())
    with FromData(), Made():
        yield


def moved(model: nn.Module) -> nn.Module:
    """A copy there."""
    model = deepcopy(model)
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                there = Elsewhere(parameter.detach().clone())
                module._parameters[name] = nn.Parameter(there, requires_grad=parameter.requires_grad)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = Elsewhere(buffer.detach().clone())
    return model


def network() -> nn.Module:
    torch.manual_seed(0)
    body = [
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3),
        nn.ReLU(),
    ]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5)).eval()


def asks() -> Mapping[str, Callable[[Asked], Any]]:
    """Every verb, every method, and what else makes tensors on its way."""
    from foveal.featurevis import ObjectiveWeights, Octave, Schedule

    quick = {
        "rise": "rise:count=8", "occlusion": "occlusion:window=16,stride=16", "smoothgrad": "smoothgrad:samples=2",
        "sscorecam": "sscorecam:samples=2", "isscorecam": "isscorecam:samples=2", "opticam": "opticam:steps=2",
        "gradientshap": "gradientshap:samples=2", "integratedgradients": "integratedgradients:steps=4",
    }  # fmt: skip
    short = Schedule((Octave(0.5, 2), Octave(1.0, 2)), patience=0)

    def explaining(name: str) -> Callable[[Asked], Any]:
        return lambda on: foveal.explain(on.model, on.x[:2], 1, method=quick.get(name, name), **CLASSES).map

    def visualizing(**options: Any) -> Callable[[Asked], Any]:
        def ask(on: Asked) -> Any:
            made = foveal.visualize(on.model, on.x, layer=-1, **{"facets": 2, "schedule": short, **options})
            return torch.stack([each.image for each in made.images])

        return ask

    def deciding(rule: Any) -> Callable[[Asked], Any]:
        return lambda on: foveal.episode(on.embedding, on.x[3:], on.x[:3], ["a", "b", "a"], rule=rule).chances

    return {
        **{name: lambda on, each=each: each.ask(on.few(each.images)) for name, each in QUESTIONS.items()},  # type: ignore[misc]
        **{name: explaining(name) for name in foveal.METHODS if name not in COMPARING},
        **{f"episode, {rule}": deciding(rule) for rule in ("nearest", "average", "logistic", "svm")},
        "match, euclidean": lambda on: foveal.match(on.embedding, on.x[:1], on.x[1:], metric="euclidean"),
        "neighbors": lambda on: foveal.explain(on.embedding, on.x[2:3], foveal.Neighbors(on.x[:2], ["a", "b"])).map,
        "finer": lambda on: foveal.explain(on.model, on.x[:1], 1, resolution=2, **CLASSES).map,
        "scales": lambda on: foveal.explain(on.model, on.x[:1], 1, scales=(1, 1.5), **CLASSES).map,
        "flow, project": lambda on: foveal.flow(on.model, on.x[:1], 1, mode="project", **CLASSES),
        "follow_pair": lambda on: foveal.follow_pair(on.embedding, on.x[:1], on.x[1:2]),
        "find_embedding": lambda on: foveal.find_embedding(on.model, on.x),
        "audit, noise": lambda on: foveal.audit(on.model, on.x[:1], 1, explanations="gradient", draws=2, fill="blur"),
        "visualize, pixel": visualizing(parametrization="pixel"),
        "visualize, phase": visualizing(parametrization="phase", seeds=2),
        "visualize, published": visualizing(published=True, schedule=Schedule((Octave(1.0, 11),))),
        "visualize, place by place": visualizing(objective_weights=ObjectiveWeights(contrast=1.0, spatial=True)),
        "visualize, channels by contrast": visualizing(channels="contrast", distance="huber"),
    }  # fmt: skip


def told(answer: Any) -> Mapping[str, Tensor]:
    """The numbers of an answer, without the seconds that it took."""
    if isinstance(answer, Tensor):
        return {"": answer.detach()}
    return {name: values for name, values in floats(answer).items() if "seconds" not in name}


def main() -> None:
    """A line for each that fails there, or says something else."""
    from foveal.engine import few_channels
    from foveal.featurevis import optimizers

    optimizers.FUSED = ()  # type: ignore[assignment]  # on both the same sums
    few_channels.FEW = 0
    model, x = network(), torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    here = Asked(model, model[:-1], x)  # type: ignore[index]
    planted: dict[str, Callable[[Asked], Any]] = {
        "planted: image here": lambda on: on.model(on.x),
        "planted: mask here": lambda on: next(on.model.parameters()) * torch.ones(8, 1, 1, 1),
        "planted: numpy": lambda on: next(on.model.parameters()).detach().numpy(),
    }
    with device():
        there = moved(model)
        for name, ask in {**asks(), **planted}.items():
            try:
                apart = difference(told(ask(here)), told(ask(Asked(there, there[:-1], x))))  # type: ignore[index]
                if apart > 1e-6:
                    print(f"{name}: differs by {apart:.1e} of the range")
            except Exception as error:  # noqa: BLE001  whatever goes wrong there is what this looks for
                print(f"{name}: {type(error).__name__}: {str(error)[:200]}")
    print(f"{len(asks())} asked")


if __name__ == "__main__":
    sys.exit(main())
