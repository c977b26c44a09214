"""Which of the maps that modules return are the stages of a network."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Any

from foveal.engine.address import Address
from foveal.engine.layout import Layout
from foveal.engine.positions import Cells
from foveal.engine.receptive import Field
from foveal.engine.structure import Lying, Stage

_RESAMPLED = 1.5  # times the step that windows make


@dataclass
class Candidate:
    """A map that one call of a module returned, and that may be a stage.

    Attributes:
        input_size: (h, w) of what it was given, or the size of another space.
        node: the operation that made it; modules that return the same have the same.
        windows: its field, if its cells lie as the windows say that made them.
        lying: where it lies.
        signed: whether any value is below zero.
        number, given: what it returned and was given, as numbered in the log.
        through: whether every path to the score passes through it.
        origin: the same at the size that was traced; it has the same field.
    """

    name: str
    call: int
    channels: int
    size: tuple[int, ...]
    input_size: tuple[int, ...]
    layout: Layout
    node: Any
    windows: Field | None
    lying: Lying
    signed: bool
    number: int | None
    given: int | None
    through: bool = False
    origin: Candidate | None = None

    @cached_property
    def field(self) -> Field | None:
        """Looked into for the few that may be stages only."""
        return self.origin.field if self.origin else stepping(self.windows, self.lying, self.layout)


def choose_stages(seen: Sequence[Candidate], calls: Mapping[str, int], lying: Mapping[str, Lying]) -> tuple[Stage, ...]:
    """In forward order; `seen` in the order in which modules returned."""
    main = [s for s in seen if s.through and s.name] or [s for s in seen if s.name]
    main = [s for s in main if not is_point(s.size)] or main
    runs = [list(run) for _, run in groupby(_settle(main), key=_resolution)]
    stages: list[Stage] = []
    depth = 0
    for position, run in enumerate(runs):
        following: set[tuple[int, ...]] = {(1,) * len(run[0].size)}
        if position + 1 < len(runs):
            following = {s.size for s in runs[position + 1]}
        # Pooled copies of the stage before add nothing.
        fresh = [s for s in run if s.field is None or s.field.depth > depth]
        if fresh:
            chosen = _choose(fresh, _internal(fresh, seen, following), calls)
            depth = chosen.field.depth if chosen.field else depth
            stages.append(_stage(chosen, calls, lying))
    return tuple(stages)


def coarsest(stages: Sequence[Stage]) -> Stage | None:
    """The last of the coarsest: what is meant in a network whose output is a map."""
    return max(reversed(stages), key=lambda stage: math.prod(stage.stride), default=None)


def _settle(main: list[Candidate]) -> list[Candidate]:
    """In forward order of the tensors, not of the modules: an outer module returns long after its first part."""
    order: dict[Any, int] = {}
    for s in main:
        order.setdefault(s.node, len(order))
    return sorted(main, key=lambda s: order[s.node])


def _resolution(s: Candidate) -> Any:
    """Unpadded convolutions shave a pixel off the map but stay on the same grid, so the stride decides."""
    return s.field.stride if s.field else s.size


def _internal(run: list[Candidate], seen: Sequence[Candidate], following: set[tuple[int, ...]]) -> set[str]:
    """Names inside a block that takes this resolution in and gives the next one out: its own business."""
    sizes = {s.size for s in run}
    blocks = [s.name for s in seen if s.input_size in sizes and s.size in following - sizes and s.name]
    return {s.name for s in run if any(s.name.startswith(block + ".") for block in blocks)}


def _choose(run: list[Candidate], internal: Iterable[str], calls: Mapping[str, int]) -> Candidate:
    outer = [s for s in run if s.name not in internal] or run
    outer = [s for s in outer if calls[s.name] == 1] or outer
    last = [s for s in outer if s.node is outer[-1].node]
    return min(last, key=lambda s: s.name.count("."))


def _stage(s: Candidate, calls: Mapping[str, int], lying: Mapping[str, Lying]) -> Stage:
    field = s.field or Field((1.0,) * len(s.size), (1.0,) * len(s.size))
    place = lying[str(Address(s.name, call=s.call))].place(s.layout)
    return Stage(
        name=s.name if calls[s.name] == 1 else f"{s.name}#{s.call}",
        shape=(s.channels, *s.size),
        stride=field.stride,
        receptive_field=tuple(map(round, field.size)),
        local=field.local,
        sign="signed" if s.signed else "nonnegative",
        depth=field.depth,
        layout=s.layout,
        place=place if isinstance(place, Cells) else None,
    )


def stepping(field: Field | None, lying: Lying, layout: Layout | None) -> Field | None:
    """The field with the steps of the cells as they were followed, where something resampled them that is no window."""
    place = lying.place(layout) if field and layout else None
    if not field or not layout or not isinstance(place, Cells) or is_point(size_in(lying.shape, layout)):
        return field
    step = tuple(map(abs, place.step))
    apart = max(max(a, b) / min(a, b) for a, b in zip(step, field.stride, strict=True))
    return replace(field, stride=step) if apart > _RESAMPLED else field


def size_in(shape: tuple[int, ...], layout: Layout) -> tuple[int, ...]:
    """(h, w) of a map, or the sides of another space."""
    return tuple(shape[2:] if layout == "nchw" else shape[1:-1])


def is_point(size: tuple[int, ...]) -> bool:
    """Whether a map is of one cell."""
    return all(side == 1 for side in size)
