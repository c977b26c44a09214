"""Feature pyramids: maps of several resolutions that one module returns, and from each of which the output is made.

    backbone ── FPN ─┬─ [0]  256 × 100 × 136 ─┐
                     ├─ [1]  256 × 50 × 68    ├─ heads ── boxes
                     └─ [2]  256 × 25 × 34   ─┘

No single map holds the evidence for all objects: small ones are found on fine levels, large ones on coarse ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from foveal.engine.address import Address, tensor_parts
from foveal.engine.graph import ancestors

PYRAMID = "pyramid"
"""All levels joined, as a layer; unless a module goes by that name."""


@dataclass(frozen=True)
class Level:
    """One map of a pyramid.

    Attributes:
        address: where it is returned.
        cells: rows times columns.
        node: the operation that made it.
    """

    address: str
    cells: int
    node: Any


class Pyramids:
    """Notes, in a traced forward of n images, the modules that return maps of several resolutions."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._seen: dict[str, list[Level]] = {}

    def note(self, name: str, output: Any) -> None:
        """What a module returned."""
        parts = tensor_parts(output) if isinstance(output, dict | list | tuple) else {}
        maps = name and all(part.ndim == 4 and len(part) == self._n for part in parts.values())
        if maps and len({part.shape[2:] for part in parts.values()}) > 1:
            self._seen[name] = [
                Level(str(Address(name, key)), math.prod(part.shape[2:]), part.grad_fn) for key, part in parts.items()
            ]

    def of(self, ends: Sequence[Any]) -> tuple[Level, ...]:
        """The levels of the outermost that returned last, finest first, as far as these ends depend on them."""
        if not self._seen or not any(end is not None for end in ends):
            return ()
        reached = ancestors([end for end in ends if end is not None])
        outer = min(reversed(self._seen), key=lambda name: name.count("."))
        levels = [level for level in self._seen[outer] if level.node in reached]
        return tuple(sorted(levels, key=lambda level: -level.cells)) if len(levels) > 1 else ()
