"""How much memory one chunk of a pass may take of what the system has left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

MEBIBYTE = 2**20

FORWARD, GRAPH = 224 * MEBIBYTE, 1024 * MEBIBYTE
"""Bytes that one chunk may make on a processor, without a graph and with one. No ordinary network needs as much for
the chunks that are fastest."""
SHARE = 1 / 4
"""Of what the system has left."""
ELSEWHERE = 4096 * MEBIBYTE
"""On accelerators that do not say what they have left."""


def room(device: torch.device, *, graph: bool = False) -> float:
    """Bytes that one chunk may make."""
    if device.type == "cpu":
        return min(GRAPH if graph else FORWARD, SHARE * left())
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return (free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)) / 2
    return ELSEWHERE


def left() -> float:
    """Bytes of main memory that this process may still take, as far as the system says: Linux, and its containers."""
    machine = _numbers(Path("/proc/meminfo")).get("MemAvailable:", float("inf") / 1024) * 1024
    return min([machine, *(own for folder in _groups() if (own := _left_in(folder)) is not None)])


def _groups() -> Iterator[Path]:
    """The folders of the control groups that this process is in, up to the root."""
    for line in _lines(Path("/proc/self/cgroup")):
        _, kinds, name = line.split(":", 2)
        if kinds in ("", "memory"):
            root = Path("/sys/fs/cgroup", kinds)
            inside = Path(name.strip("/"))
            yield from (root / folder for folder in (inside, *inside.parents))


def _left_in(folder: Path) -> float | None:
    """What a control group may still take; files that were read count as used, but make room when it is needed."""
    for most, used, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        limit, taken = ("".join(_lines(folder / name)).strip() for name in (most, used))
        if limit.isdecimal() and taken.isdecimal():
            return int(limit) - int(taken) + _numbers(folder / "memory.stat").get(cached, 0)
    return None


def _numbers(file: Path) -> dict[str, float]:
    """The first number behind each word."""
    split = (line.split() for line in _lines(file))
    return {words[0]: float(words[1]) for words in split if len(words) > 1 and words[1].isdecimal()}


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
