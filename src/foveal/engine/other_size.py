"""The structure of a traced network at another size of its images, without computing anything.

The network's own forward runs on tensors that have shapes only (`engine.blank`). Where it takes the same operations and
modules in the same order, with the same arguments, and each of them is of a kind that lays its result on the same grid
at any size, then strides, receptive fields and places are those that were traced, and only sizes are others. Wherever
that is not so, the network is traced anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from foveal.engine.address import named_modules, tensor_parts
from foveal.engine.arguments import Arguments
from foveal.engine.bare_graph import BareGraph
from foveal.engine.blank import BlankRun, Differs
from foveal.engine.box_records import BOXES, SCORES, box_records
from foveal.engine.graph import operation_names
from foveal.engine.guard import every_module, only_reads, untouched
from foveal.engine.layout import Layout, find_layout
from foveal.engine.positions import layout_of
from foveal.engine.positions.regular import stretched
from foveal.engine.run_log import RunLog, module_hooks
from foveal.engine.stage_choice import Candidate, choose_stages, coarsest, size_in
from foveal.engine.structure import Lying, Structure
from foveal.engine.unwatched import looking

Sides = tuple[int, ...]


@dataclass(frozen=True)
class Laid:
    """The layout of what a module returned, as its positions tell, or its shape."""

    lying: Lying
    number: int | None
    stride: tuple[float, ...] | None
    layout: Layout | None
    followed: bool

    def alike(self, run: BlankRun, image: Sides) -> bool:
        """Whether it is the same at another size."""
        if self.number in run.elsewhere:
            field, where = run.elsewhere[self.number]
            found = layout_of(where, self.lying.shape)
            return self.layout == (found or find_layout(self.lying.shape, image, field.stride if field else None))
        shape = self.lying.shape if self.number is None else run.shapes[self.number]
        return self.followed or self.layout == find_layout(shape, image, self.stride)


@dataclass(frozen=True)
class Traced:
    """A structure, and what it takes to know it at other sizes.

    Attributes:
        log: what ran.
        seen: what modules returned, as far as it may be a stage.
        numbers: address -> number in the log of what is there; None of what does not depend on the image.
        returned: module -> number of what it returned last.
        laid: layouts of what modules returned.
        dense: whether the output is a map.
    """

    structure: Structure
    log: RunLog
    seen: Sequence[Candidate]
    numbers: Mapping[str, int | None]
    returned: Mapping[str, int | None]
    laid: Sequence[Laid]
    dense: bool

    def repeatable(self, model: nn.Module) -> bool:
        """Whether the network may run without numbers: nothing of it would keep what has none, or look at numbers."""
        closed = any(isinstance(module, torch.jit.ScriptModule) for module in every_module(model))
        return only_reads(model) and self.log.complete and not (closed or self.log.held or self.structure.own_backwards)

    def at_other_size(self, model: nn.Module, x: Tensor, arguments: Arguments) -> Structure | None:
        """The structure for images like `x` (1, c, h, w); None where another trace has to tell."""
        if any(module._forward_hooks or module._forward_pre_hooks for module in every_module(model)):
            return None  # somebody's own would meet tensors without numbers
        try:
            run = _run(model, x, arguments, self.log)
        except (Differs, Exception):  # noqa: BLE001 - whatever it is, a trace will tell
            return None
        return self._after(run, (x.shape[-2], x.shape[-1]))

    @cached_property
    def _thin(self) -> bool:
        """Whether there is a map of one row or one column: its step is the side of the image."""
        return any(sum(side == 1 for side in s.size) == 1 for s in self.seen)

    def _after(self, run: BlankRun, image: Sides) -> Structure | None:
        if self._thin or (self.dense and run.elsewhere) or not all(laid.alike(run, image) for laid in self.laid):
            return None
        seen = [self._resized(s, run, image) for s in self.seen]
        lying = _Lying(self.structure.lying, self.numbers, run, image)
        stages = choose_stages(seen, self.structure.calls, lying)
        before, of = self.structure.shapes, self.returned
        shapes = {name: shape if (at := of[name]) is None else run.shapes[at] for name, shape in before.items()}
        default = coarsest(stages) if self.dense else None
        return replace(self.structure, traced=stages, default=default, shapes=shapes, lying=lying, orders={})

    def _resized(self, s: Candidate, run: BlankRun, image: Sides) -> Candidate:
        size = s.size if s.number is None else size_in(run.shapes[s.number], s.layout)
        given = s.input_size if s.given is None else size_in(run.shapes[s.given], s.layout)
        windows, lying = s.windows, s.lying
        origin: Candidate | None = s
        if s.number in run.elsewhere:
            windows, where = run.elsewhere[s.number]
            lying, origin = Lying(where, s.lying.shape, image), None
        return Candidate(
            s.name, s.call, s.channels, size, given, s.layout, s.node, windows, lying, s.signed, s.number, s.given,
            s.through, origin,
        )  # fmt: skip


class _Lying(Mapping[str, Lying]):
    """Where things lie at another size; worked out when it is asked for."""

    def __init__(
        self, before: Mapping[str, Lying], numbers: Mapping[str, int | None], run: BlankRun, image: Sides
    ) -> None:
        self._before, self._numbers, self._image = before, numbers, image
        self._sizes, self._elsewhere = run.shapes, run.elsewhere

    def __getitem__(self, address: str) -> Lying:
        before, number = self._before[address], self._numbers[address]
        shape = before.shape if number is None else self._sizes[number]
        if number in self._elsewhere:
            return Lying(self._elsewhere[number][1], shape, self._image)
        where = before.where if shape == before.shape or not before.where else stretched(before.where, shape)
        return Lying(where, shape, self._image)

    def __iter__(self) -> Iterator[str]:
        return iter(self._before)

    def __len__(self) -> int:
        return len(self._before)


def _run(model: nn.Module, x: Tensor, arguments: Arguments, log: RunLog) -> BlankRun:
    """The network's forward without numbers. Raises Differs where it does not run as it did."""
    names = {module: name for name, module in reversed(named_modules(model).items())}
    run = BlankRun(log)
    # Modes that watch for writes would cost as much as the run: it ends before anything writes into what is no blank.
    # Autograd keeps of this graph what it kept of the traced one: what it keeps are operations, too.
    with untouched(model), module_hooks(names, run.module), BareGraph(), looking(), run:
        image = run.image(x).requires_grad_()
        inputs, keywords = arguments.bind(image.clone(), lambda tensor: tensor.detach().clone())
        run.end(output := model(*inputs, **keywords))
    if operation_names([part.grad_fn for part in score_tensors(output)]) != log.graph:
        raise Differs
    return run


def score_tensors(output: Any) -> list[Tensor]:
    """What decisions start from: the class scores where there are some, else everything; of detectors, all boxes."""
    if records := box_records(output):
        return [record[key] for record in records for key in (SCORES, BOXES) if record[key].requires_grad]
    parts = {"": output} if isinstance(output, Tensor) else tensor_parts(output)
    tensors = {key: tensor for key, tensor in parts.items() if tensor.requires_grad}
    main = [tensors[key] for key in ("logits", "output", "out") if key in tensors]
    scores = main or [tensor for tensor in tensors.values() if tensor.ndim in (1, 2)]
    return scores[:1] or list(tensors.values())
