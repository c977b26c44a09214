"""One contender in a process of its own: the memory it adds, and its seconds beside the plain forward.

The process has loaded the network and run it before anything is counted. What is counted is the highest resident size
during the first run, so it holds the forward's own activations too; the row of the plain forward tells how much they
are. What takes seconds is run twice more, and the first run's time does not count.
"""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, median

import torch
from torch import nn

import foveal
from benchmarks.contenders import CONTENDERS, Subject
from benchmarks.timing import duration, in_one_line, plain_forward
from foveal.models.extras import import_torchvision

STATUS = Path("/proc/self/status")
REPEATS = 3
BRIEF = 20  # seconds


@dataclass(frozen=True)
class Setting:
    """What a process must know to build the subject."""

    network: str
    batch: int
    layer: str
    channels: int
    threads: int

    @classmethod
    def of(cls, network: str, batch: int, threads: int) -> Setting:
        """At the last stage of the network."""
        stage = foveal.stages(_random(network), torch.zeros(1, 3, 224, 224))[-1]
        return cls(network, batch, stage.name, stage.shape[0], threads)

    def load(self) -> Subject:
        """The same weights and images every time."""
        torch.set_num_threads(self.threads)
        torch.manual_seed(0)
        model = _random(self.network)
        return Subject(self.network, model, torch.randn(self.batch, 3, 224, 224), self.layer, self.channels)


def _random(network: str) -> nn.Module:
    model: nn.Module = getattr(import_torchvision().models, network)(weights=None).eval()
    return model


@dataclass(frozen=True)
class Run:
    """Seconds of a run, of the plain forward around it, the bytes added (None where the system does not tell)."""

    seconds: float = 0.0
    beside: float = 1.0
    added: int | None = None
    failure: str | None = None


def alone(setting: Setting, contender: int) -> Run:
    """`CONTENDERS[contender]` in a fresh process; a run that ends the process is a failure too."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])  # imports once, for all processes
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(run, setting, contender).result()
        except BrokenProcessPool:
            return Run(failure="the process was killed")


def run(setting: Setting, contender: int) -> Run:
    warnings.simplefilter("ignore")
    subject = setting.load()
    plain_forward(subject.model, subject.x)
    beside = [duration(lambda: plain_forward(subject.model, subject.x)) for _ in range(REPEATS)]
    action = CONTENDERS[contender].build(replace(subject, x=subject.x.clone()))
    keep_within_memory()
    before = settle()
    try:
        seconds = duration(action)
        peak = resident("VmHWM")
        if seconds < BRIEF:
            seconds = mean(duration(action) for _ in range(2))
    except Exception as error:  # noqa: BLE001  whatever a package does to itself is a row of the table
        return Run(failure=in_one_line(error))
    beside += [duration(lambda: plain_forward(subject.model, subject.x)) for _ in range(REPEATS)]
    added = None if peak is None or before is None else max(peak - before, 0)
    return Run(seconds, median(beside), added)


def settle() -> int | None:
    """Give back what is free, forget the highest size so far, and tell the size that is left."""
    gc.collect()
    if not sys.platform.startswith("linux"):
        return None
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


def resident(which: str) -> int | None:
    """VmRSS, the resident bytes now, or VmHWM, the most there have been."""
    if not STATUS.exists():
        return None
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith(which))
    return int(line.split()[1]) * 1024


def keep_within_memory() -> None:
    """Whoever asks for more than the machine has fails by himself, rather than taking others with him."""
    if not STATUS.exists():
        return
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(lines["MemAvailable"].split()[0]) * 1024
    used = resident("VmSize") or 0
    resource.setrlimit(resource.RLIMIT_AS, (used + int(0.9 * available), resource.RLIM_INFINITY))
