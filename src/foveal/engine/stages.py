"""A network describes itself: its stages, and the shape of everything in between, from one traced forward.

A *stage* is the last tensor at its resolution that the whole decision passes through. "Passes through" is exact:
in the autograd graph, the number of paths from output to input through a tensor is the product of the paths
above and below it; where that product is the number of all paths, no skip connection or branch goes round it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from foveal.engine.address import Address, named_modules, tensor_parts
from foveal.engine.arguments import Arguments
from foveal.engine.bare_graph import in_bare_graph
from foveal.engine.box_records import box_records
from foveal.engine.embedding_signs import EmbeddingSign, embedding_sign
from foveal.engine.graph import (
    KeepGraph,
    ancestors,
    bottlenecks,
    node_name,
    operation_names,
    own_backwards,
    works_along_images,
)  # fmt: skip
from foveal.engine.guard import untouched, unwrap
from foveal.engine.layout import Layout, find_layout
from foveal.engine.model_errors import model_errors
from foveal.engine.other_size import Laid, Traced, score_tensors
from foveal.engine.pyramid import Pyramids
from foveal.engine.receptive import Field, FieldTracker
from foveal.engine.run_log import module_hooks
from foveal.engine.settings import settings_of
from foveal.engine.stage_choice import Candidate, choose_stages, coarsest, is_point, size_in, stepping
from foveal.engine.structure import Lying, Stage, Structure
from foveal.engine.transformer import looks_like_transformer
from foveal.engine.unwatched import looking
from foveal.errors import ModelError

__all__ = ["Stage", "Structure", "describe"]


@dataclass
class _Known:
    """What is remembered of a network: structures by size and settings, and the last trace with each settings."""

    structures: dict[Any, Structure] = field(default_factory=dict)
    traced: dict[Any, Traced] = field(default_factory=dict)


_known: WeakKeyDictionary[nn.Module, _Known] = WeakKeyDictionary()
_REMEMBERED = 16  # input sizes and settings a model


def describe(model: nn.Module, x: Tensor, arguments: Arguments | None = None) -> Structure:
    """The `Structure` of `model` for inputs shaped like `x` (n, c, *space); traced once, then remembered.

    At another size of the images nothing is computed if the network does the same there; see `engine.other_size`.

    Args:
        arguments: what the model takes beside the image.

    Whether it has stages at all is known when they are asked for (`Structure.stages`): methods that look at the input
    only need none.

    Raises:
        ModelError: when the model cannot run on the first image of `x`.
    """
    model = unwrap(model)
    every = arguments or Arguments(len(x))
    first = every.row(0)
    own = (x.dtype, first.key(), settings_of(model))
    known = _known.setdefault(model, _Known())
    key, kind = (tuple(x.shape[1:]), *own), (x.ndim, *x.shape[1:2], *own)
    if key not in known.structures:
        elsewhere = known.traced.get(kind)
        structure = elsewhere.at_other_size(model, x[:1], first) if elsewhere else None
        known.structures[key] = structure or _traced(model, x, every, known, kind)
        _limit(known.structures)
    structure = known.structures[key]
    return structure if structure.traced else replace(structure, images=len(x))


def _limit(remembered: dict[Any, Any]) -> None:
    if len(remembered) > _REMEMBERED:
        del remembered[next(iter(remembered))]


def _traced(model: nn.Module, x: Tensor, arguments: Arguments, known: _Known, kind: Any) -> Structure:
    """By the first image; by all of them where the network does not take one alone.

    Gradients stay on where the model's own forward turns them off, unless it cannot do with that.
    """
    first = (x[:1], arguments.row(0))
    try:
        traced = in_bare_graph(partial(_trace, model, *first))
    except ModelError as error:
        failed = error
    else:
        if traced.repeatable(model):
            known.traced[kind] = traced
            _limit(known.traced)
        return traced.structure
    others: list[tuple[Tensor, Arguments, bool]] = [(*first, False)]
    others += [(x, arguments, True)] if len(x) > 1 else []
    for images, own, keep in others:
        with suppress(ModelError):
            return _trace(model, images, own, keep_graph=keep).structure
    raise failed


def _trace(model: nn.Module, x: Tensor, arguments: Arguments, *, keep_graph: bool = True) -> Traced:
    names = {module: name for name, module in reversed(named_modules(model).items())}
    seen: list[Candidate] = []
    shapes: dict[str, tuple[int, ...]] = {}
    layouts: dict[str, Layout] = {}
    calls: dict[str, int] = {}
    rows: dict[str, float] = {}
    lying: dict[str, Lying] = {}
    numbers: dict[str, int | None] = {}
    returned: dict[str, int | None] = {}
    layings: list[Laid] = []
    pyramids = Pyramids(len(x))
    image = tuple(x.shape[2:])

    def note(name: str, inputs: tuple[Any, ...], output: Any) -> None:
        with looking(), tracker.asleep():  # what watches the forward need not watch this
            tracker.log.module(name, inputs, output)
            look(name, inputs, output)

    def look(name: str, inputs: tuple[Any, ...], output: Any) -> None:
        log = tracker.log
        for address, tensor in _maps(name, calls.get(name, 0), inputs, output, x.ndim):
            lying[address] = Lying(tracker.where(tensor), tuple(tensor.shape), image)
            numbers[address] = log.number(tensor)
        pyramids.note(name, output)
        calls[name] = calls.get(name, 0) + 1
        if isinstance(output, Tensor):
            shapes.pop(name, None)
            shapes[name], returned[name] = tuple(output.shape), log.number(output)
            field = tracker.field(output)
            lies = Lying(tracker.where(output), tuple(output.shape), image)
            layout = layout_in(lies, field, log.number(output)) if x.ndim > 2 else None
            if layout and len(output) != len(x):
                rows[name] = len(output) / len(x)
            elif layout and output.numel() and output.is_floating_point():
                before = next((v for v in inputs if isinstance(v, Tensor)), output)
                node = output.grad_fn
                signed = not (node is not None and node_name(node) == "Relu") and _signed(output)
                size, input_size = size_in(output.shape, layout), size_in(before.shape, layout)
                channels = output.shape[1 if layout == "nchw" else -1]
                numbered = log.number(output), log.number(before)
                call = calls[name] - 1
                seen.append(
                    Candidate(name, call, channels, size, input_size, layout, node, field, lies, signed, *numbered)
                )
                if not is_point(size):
                    layouts[name] = layout

    def layout_in(lies: Lying, field: Field | None, number: int | None) -> Layout | None:
        stride = field.stride if field else None
        followed = lies.layout
        found = followed or find_layout(lies.shape, image, stride)
        layings.append(Laid(lies, number, stride, found, followed is not None))
        return found

    with untouched(model):
        leaf = x.detach().clone().requires_grad_()
        graph = KeepGraph() if keep_graph else nullcontext()
        with module_hooks(names, note), graph as kept, FieldTracker(leaf) as tracker:
            # Copies go in, because a forward may write into its input.
            inputs, keywords = arguments.bind(leaf.clone(), lambda tensor: tensor.detach().clone())
            with model_errors(model, (*inputs, *keywords.values())):
                output = model(*inputs, **keywords)
    outputs = score_tensors(output)
    levels = pyramids.of([t.grad_fn for t in outputs])
    fields = [
        field
        for t in outputs
        if (
            field := stepping(
                tracker.field(t), Lying(tracker.where(t), tuple(t.shape), image), "nchw" if t.ndim == x.ndim else None
            )
        )
    ]
    depth = max((field.depth for field in fields), default=0)
    finest = min((math.prod(field.stride) for field in fields), default=1.0)
    dense = bool(outputs) and all(t.ndim == x.ndim for t in outputs) and any(_coarser(s, finest) for s in seen)
    if dense:
        # Coarse maps of the output itself, which are only enlarged, are no stage: explained, they redraw it.
        seen = [s for s in seen if not (_coarser(s, finest) and s.field and s.field.depth >= depth)]
    elif outputs and finest == 1 and all(t.ndim == x.ndim for t in outputs):
        # No more is the output of a network that keeps the size of its input: a layer before it is explained.
        seen = [s for s in seen if s.field and s.field.depth < depth and not is_point(s.size)] or seen
    detects = box_records(output) is not None
    ends_of_maps = [level.node for level in levels] if detects and levels else [t.grad_fn for t in outputs]
    through = (ancestors if dense or detects else bottlenecks)(ends_of_maps)
    order: dict[Any, int] = {}
    for s in seen:
        s.node, s.through = order.setdefault(s.node, len(order)), s.node in through
    stages = choose_stages(seen, calls, lying)
    name = "TorchScript" if isinstance(model, torch.jit.ScriptModule) else type(model).__name__
    ends = [t.grad_fn for t in outputs]
    own = (*own_backwards(ends), *(["a hook on a tensor"] if kept and kept.hooked else []))
    tracker.log.output, tracker.log.graph = tracker.log.spelled(output), operation_names(ends)
    structure = Structure(
        stages, coarsest(stages) if dense else None, shapes, layouts, calls, depth, rows, name,
        lying=lying, along_images=works_along_images(ends), own_backwards=own, embedding=_embedding(outputs),
        levels=tuple(level.address for level in levels), detects=detects,
        transformer=looks_like_transformer(model),
    )  # fmt: skip
    return Traced(structure, tracker.log, seen, numbers, returned, layings, dense)


def _coarser(s: Candidate, finest: float) -> bool:
    """Whether this map is coarser than the output, as in encoder-decoders."""
    return s.field is not None and not is_point(s.size) and math.prod(s.field.stride) > finest


def _signed(output: Tensor) -> bool:
    """Whether anything is below zero, or no number."""
    plain = type(output) is Tensor  # its numbers are read below what watches operations, at a fraction of the time
    with torch._C._DisableTorchDispatch() if plain else nullcontext():
        return not output.detach().amin().item() >= 0


def _maps(name: str, call: int, inputs: tuple[Any, ...], output: Any, ndim: int) -> Iterator[tuple[str, Tensor]]:
    """What a module was given and what it returned, as far as it may be a map of `ndim` axes; by address."""
    for value, before in ((inputs[0] if inputs else None, True), (output, False)):
        parts = {"": value} if isinstance(value, Tensor) else tensor_parts(value)
        maps = [(key, part) for key, part in parts.items() if part.ndim == ndim and ndim > 2]
        for key, part in [*maps, *([("", maps[0][1])] if len(maps) == 1 else [])]:
            yield str(Address(name, key or None, call, before)), part


def _embedding(outputs: list[Tensor]) -> EmbeddingSign | None:
    """What says that the scores are none, but an embedding."""
    return embedding_sign(outputs[0]) if outputs and outputs[0].ndim == 2 else None
