"""Whatever decides an outcome changes the fingerprint; whatever does not leaves it, in another process, too."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from foveal.storage.fingerprint import file_fingerprint, fingerprint


def net(seed: int = 0, **options: Any) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 8, 3, **options), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())


@pytest.mark.parametrize("at", [0, 63, 64, 65, -1])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int64", "bool", "float8_e5m2"])
def test_every_number_of_a_tensor_counts(at: int, dtype: str) -> None:
    one = torch.zeros(1000).to(getattr(torch, dtype))
    other = one.clone()
    other[at] = 1
    assert fingerprint(x=one) == fingerprint(x=one.clone()) != fingerprint(x=other)


def test_shape_type_and_name_count_and_memory_does_not() -> None:
    x = torch.arange(24.0).reshape(1, 2, 3, 4)
    unlike = [
        x, x.reshape(2, 12), x.double(), x.int(), x[..., :0], x[..., :0, :], torch.tensor(1.0), torch.ones(1),
        x.numpy(), x.tolist(), None, 0, 0.0, -0.0, False, "", b"", (), {}, [()], {"": None}, set(), "0",
    ]  # fmt: skip
    found = [fingerprint(x=one) for one in unlike]
    assert len(set(found)) == len(found)
    assert fingerprint(a=x) != fingerprint(b=x)
    assert fingerprint(a=["x", "y"]) != fingerprint(a=["xy"]) != fingerprint(a=["x", ["y"]])
    assert fingerprint(x=x[..., ::5][0, 0, 0]) == fingerprint(x=torch.zeros(1))
    for like in (x.to(memory_format=torch.channels_last), x.transpose(1, 2).contiguous().transpose(1, 2), x.clone()):
        assert fingerprint(x=like) == fingerprint(x=x)


CHANGES: dict[str, Callable[[nn.Sequential], Any]] = {
    "a weight": lambda m: m[0].weight.data[7, 2, 2].add_(1e-6),
    "a bias": lambda m: m[0].bias.data[-1].add_(1),
    "a buffer": lambda m: m[1].running_mean[-1].add_(1),
    "the last": lambda m: m[1].running_var[-1].mul_(2),
    "a count": lambda m: m[1].num_batches_tracked.add_(1),
    "a buffer that is not saved": lambda m: m[2].register_buffer("extra", torch.ones(1), persistent=False),
    "an option": lambda m: setattr(m[0], "stride", (2, 2)),
    "a setting": lambda m: setattr(m[2], "threshold", 0.5),
    "a precision": lambda m: m.double(),
    "a layer": lambda m: m.append(nn.ReLU()),
    "an activation": lambda m: m.__setitem__(2, nn.SiLU()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_everything_in_a_network_counts(change: str) -> None:
    before = fingerprint(m=net())
    assert before == fingerprint(m=net()) == fingerprint(m=net().train()) != fingerprint(m=net(1))
    changed = net()
    CHANGES[change](changed)
    assert fingerprint(m=changed) != before


class Counting(nn.Module):
    """Counts its forwards, and has settings of its own."""

    def __init__(self, often: int = 2) -> None:
        super().__init__()
        self.often, self.heads, self.seen = often, 0, (0, 0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.heads += 1
        self.seen = tuple(x.shape)
        return x * self.often


def test_what_a_network_counts_is_no_setting() -> None:
    module = Counting()
    before = fingerprint(m=module)
    module(torch.ones(1, 2))
    assert fingerprint(m=module) == before != fingerprint(m=Counting(3))


@dataclass(frozen=True)
class Settings:
    a: int = 1
    b: Any = None


class Slots:
    __slots__ = ("x",)

    def __init__(self, x: int) -> None:
        self.x = x


def adder(k: int) -> Callable[[int], int]:
    return lambda x: x + k


def test_settings_functions_and_objects() -> None:
    pairs: list[tuple[Any, Any, Any]] = [
        (Settings(), Settings(1), Settings(2)),
        (Settings(b=torch.ones(3)), Settings(b=torch.ones(3)), Settings(b=torch.zeros(3))),
        (adder(1), adder(1), adder(2)),
        (lambda x: x + 1, lambda x: x + 1, lambda x: x + 2),
        (lambda x, y=1: x, lambda x, y=1: x, lambda x, y=2: x),
        (functools.partial(adder, 1), functools.partial(adder, 1), functools.partial(adder, 2)),
        (Slots(1), Slots(1), Slots(2)),
        ({1, 2, 3}, {3, 2, 1}, {1, 2}),
        (Image.new("RGB", (4, 4)), Image.new("RGB", (4, 4)), Image.new("RGB", (4, 4), "red")),
        (np.float32(1), np.float32(1), np.float64(1)),
        (torch.Generator().manual_seed(0), torch.Generator().manual_seed(0), torch.Generator().manual_seed(1)),
        (torch.float32, torch.float32, torch.float64),
        (net, net, adder),
        (Settings().__eq__, Settings().__eq__, Settings(3).__eq__),
    ]
    for one, like, unlike in pairs:
        assert fingerprint(x=one) == fingerprint(x=like) != fingerprint(x=unlike), one
    assert fingerprint(x=object()) != fingerprint(x=object()), "what cannot be seen is equal to nothing"
    loop: list[Any] = [1]
    loop.append(loop)
    assert fingerprint(x=loop) == fingerprint(x=loop)


def test_files_count_by_what_is_in_them(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"x" * 5_000_000)
    b.write_bytes(a.read_bytes())
    assert file_fingerprint(a) == file_fingerprint(b) and fingerprint(x=a) != fingerprint(x=b)
    before, times = fingerprint(x=a), (a.stat().st_atime_ns, a.stat().st_mtime_ns)
    a.write_bytes(b"x" * 4_999_999 + b"y")
    os.utime(a, ns=times)
    assert fingerprint(x=a) != before and file_fingerprint(a) != file_fingerprint(b)


def test_another_process_finds_the_same() -> None:
    program = (
        "import torch, sys\nfrom tests.storage.test_fingerprint import *\n"
        "print(fingerprint(m=net(), s=Settings(b={'y', 'x'}), f=adder(1), k={'a': (1, 2.5)}))"
    )
    known = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=known)
    assert done.stdout.strip() == fingerprint(m=net(), s=Settings(b={"y", "x"}), f=adder(1), k={"a": (1, 2.5)})


def test_a_hundred_megabytes_take_less_than_a_second() -> None:
    module = nn.Sequential(*(nn.Linear(1024, 1024) for _ in range(25)))
    began = time.process_time()
    fingerprint(m=module)
    assert time.process_time() - began < 1
