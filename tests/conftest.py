"""Fixtures that every test may use."""

from __future__ import annotations

import gc
import os
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import torch
import typer.testing

from tests import real_networks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from torch import nn

    NoTrace = Callable[[nn.Module], AbstractContextManager[None]]


# Thousands of tests, and the libraries they import, are there to stay: the collector never looks through them.
gc.disable()


def pytest_collection_finish() -> None:
    """All tests are known."""
    gc.freeze()
    gc.enable()


# The command line is made of its functions once, not for each of the thousand commands that are asked.
typer.testing._get_command = cache(typer.testing._get_command)

# The same examples each time, so that a red run means a change; `make fuzz` draws others.
hypothesis.settings.register_profile("same", derandomize=True)
hypothesis.settings.load_profile("default" if "FOVEAL_FUZZ" in os.environ else "same")


@pytest.fixture
def data() -> Path:
    """The folder of trained networks and photos; tests that ask for it are marked `real` and skipped without it."""
    folder = real_networks.data_folder()
    if folder is None:
        pytest.skip(f"no trained networks and photos in {real_networks.expected_folder()}: set FOVEAL_DATA")
    return folder


@pytest.fixture
def alive() -> Iterator[Callable[[], int]]:
    """`alive()`: how many tensors the test has made that are still there; no collector runs meanwhile."""
    gc.collect()
    gc.freeze()
    gc.disable()
    yield lambda: sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())
    gc.enable()


@pytest.fixture
def no_trace() -> NoTrace:
    """`with no_trace(module): …` fails unless the module and the random state are afterwards what they were."""

    @contextmanager
    def unchanged(module: nn.Module) -> Iterator[None]:
        before, random = _snapshot(module), torch.get_rng_state()
        yield
        after = _snapshot(module)
        assert after.keys() == before.keys(), "modules, parameters or buffers came or went"
        changed = [name for name in before if not _same(before[name], after[name])]
        assert not changed, f"changed: {changed}"
        assert torch.equal(torch.get_rng_state(), random), "the global random state moved"

    return unchanged


def _snapshot(module: nn.Module) -> dict[str, Any]:
    """Everything a caller could notice: modes, hooks, forwards, and each tensor with its flags and gradient."""
    seen: dict[str, Any] = {}
    for name, part in module.named_modules(remove_duplicate=False):
        hooks = {kind: tuple(vars(part)[kind].items()) for kind in sorted(vars(part)) if kind.endswith("_hooks")}
        seen[f"{name}: mode, hooks"] = (id(part), part.training, hooks, vars(part).get("forward"))
    tensors = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    for name, tensor in tensors:
        grad = None if tensor.grad is None else tensor.grad.clone()
        seen[f"{name}: value"] = (tensor.detach().clone(), grad)
        seen[f"{name}: identity"] = (id(tensor), tensor.requires_grad, tensor.device, tensor.dtype)
    return seen


def _same(a: Any, b: Any) -> bool:
    """Equal bit for bit, NaN included."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return torch.equal(_bits(a), _bits(b))
    return bool(a == b)


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)
