"""A network describes itself: its stages, and the shape of everything in between, from one traced forward.

A *stage* is the last tensor at its resolution that the whole decision passes through. "Passes through" is exact:
in the autograd graph, the number of paths from output to input through a tensor is the product of the paths
above and below it; where that product is the number of all paths, no skip connection or branch goes round it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import groupby
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from foveal.engine.address import Address, named_modules, tensor_parts
from foveal.engine.arguments import Arguments
from foveal.engine.bare_graph import in_bare_graph
from foveal.engine.embedding_signs import EmbeddingSign, embedding_sign
from foveal.engine.graph import KeepGraph, ancestors, bottlenecks, node_name, own_backwards, works_along_images
from foveal.engine.guard import every_module, untouched, unwrap
from foveal.engine.layout import Layout, find_layout
from foveal.engine.model_errors import model_errors
from foveal.engine.positions import Cells
from foveal.engine.receptive import Field, FieldTracker
from foveal.engine.structure import Lying, Stage, Structure
from foveal.errors import ModelError

__all__ = ["Stage", "Structure", "describe"]


@dataclass
class _Seen:
    name: str
    call: int
    channels: int
    size: tuple[int, ...]
    input_size: tuple[int, ...]
    layout: Layout
    node: Any
    windows: Field | None
    lying: Lying
    minimum: float

    @cached_property
    def field(self) -> Field | None:
        """Looked into for the few that may be stages only."""
        return _stepping(self.windows, self.lying, self.layout)


_known: WeakKeyDictionary[nn.Module, dict[Any, Structure]] = WeakKeyDictionary()
_REMEMBERED = 16  # input sizes and settings a model
_PLAIN = (int, str, tuple)
_RESAMPLED = 1.5  # times the step that windows make


def describe(model: nn.Module, x: Tensor, arguments: Arguments | None = None) -> Structure:
    """The `Structure` of `model` for inputs shaped like `x` (n, c, h, w); traced once, then remembered.

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
    key = (tuple(x.shape[1:]), x.dtype, first.key(), tuple(settings_of(module) for module in every_module(model)))
    remembered = _known.setdefault(model, {})
    if key not in remembered:
        structure = _traced(model, x, every)
        if len(remembered) >= _REMEMBERED:
            del remembered[next(iter(remembered))]
        remembered[key] = structure
    structure = remembered[key]
    return structure if structure.traced else replace(structure, images=len(x))


def _traced(model: nn.Module, x: Tensor, arguments: Arguments) -> Structure:
    """By the first image; by all of them where the network does not take one alone.

    Gradients stay on where the model's own forward turns them off, unless it cannot do with that.
    """
    first = (x[:1], arguments.row(0))
    try:
        return in_bare_graph(partial(_trace, model, *first))
    except ModelError as error:
        failed = error
    others: list[tuple[Tensor, Arguments, bool]] = [(*first, False)]
    others += [(x, arguments, True)] if len(x) > 1 else []
    for images, own, keep in others:
        with suppress(ModelError):
            return _trace(model, images, own, keep_graph=keep)
    raise failed


_EVERY = frozenset(vars(nn.Module()))  # what every module has: its mode, hooks and parts


def settings_of(module: nn.Module) -> tuple[Any, ...]:
    """What tells a module from another, and from itself when someone changed its stride, say."""
    if module._modules:
        return (id(module),)
    own = vars(module).items()
    return (id(module), *[value for key, value in own if key not in _EVERY and isinstance(value, _PLAIN)])


def _trace(model: nn.Module, x: Tensor, arguments: Arguments, *, keep_graph: bool = True) -> Structure:
    names = {module: name for name, module in reversed(named_modules(model).items())}
    seen: list[_Seen] = []
    shapes: dict[str, tuple[int, ...]] = {}
    layouts: dict[str, Layout] = {}
    calls: dict[str, int] = {}
    rows: dict[str, float] = {}
    lying: dict[str, Lying] = {}
    image = (x.shape[-2], x.shape[-1])

    def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        with torch._C.DisableTorchFunction(), tracker.asleep():  # what watches the forward need not watch this
            look(module, inputs, output)

    def look(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        name = names[module]
        for address, tensor in _maps(name, calls.get(name, 0), inputs, output):
            lying[address] = Lying(tracker.where(tensor), tuple(tensor.shape), image)
        calls[name] = calls.get(name, 0) + 1
        if isinstance(output, Tensor):
            shapes.pop(name, None)
            shapes[name] = tuple(output.shape)
            field = tracker.field(output)
            lies = Lying(tracker.where(output), tuple(output.shape), image)
            layout = layout_in(lies, field) if x.ndim == 4 else None
            if layout and len(output) != len(x):
                rows[name] = len(output) / len(x)
            elif layout and output.numel() and output.is_floating_point():
                before = next((v for v in inputs if isinstance(v, Tensor)), output)
                node = output.grad_fn
                lowest = 0.0 if node is not None and node_name(node) == "Relu" else float(output.detach().amin())
                size, input_size = _size(output.shape, layout), _size(before.shape, layout)
                channels = output.shape[1 if layout == "nchw" else 3]
                seen.append(_Seen(name, calls[name] - 1, channels, size, input_size, layout, node, field, lies, lowest))
                if size != (1, 1):
                    layouts[name] = layout

    def layout_in(lies: Lying, field: Field | None) -> Layout | None:
        return lies.layout or find_layout(lies.shape, image, field.stride if field else None)

    with untouched(model):
        leaf = x.detach().clone().requires_grad_()
        hooks = [module.register_forward_hook(note) for module in names]
        try:
            with KeepGraph() if keep_graph else nullcontext() as kept, FieldTracker(leaf) as tracker:
                # Copies go in, because a forward may write into its input.
                inputs, keywords = arguments.bind(leaf.clone(), lambda tensor: tensor.detach().clone())
                with model_errors(model, (*inputs, *keywords.values())):
                    output = model(*inputs, **keywords)
        finally:
            for hook in hooks:
                hook.remove()
    outputs = _outputs(output)
    fields = [
        field
        for t in outputs
        if (
            field := _stepping(
                tracker.field(t), Lying(tracker.where(t), tuple(t.shape), image), "nchw" if t.ndim == 4 else None
            )
        )
    ]
    depth = max((field.depth for field in fields), default=0)
    finest = min((math.prod(field.stride) for field in fields), default=1.0)
    dense = bool(outputs) and all(t.ndim == 4 for t in outputs) and any(_coarser(s, finest) for s in seen)
    if dense:
        # Coarse maps of the output itself, which are only enlarged, are no stage: explained, they redraw it.
        seen = [s for s in seen if not (_coarser(s, finest) and s.field and s.field.depth >= depth)]
    through = (ancestors if dense else bottlenecks)([t.grad_fn for t in outputs])
    stages = _stages(seen, {s.node for s in seen if s.node in through}, calls, lying)
    default = max(reversed(stages), key=lambda stage: math.prod(stage.stride), default=None) if dense else None
    name = "TorchScript" if isinstance(model, torch.jit.ScriptModule) else type(model).__name__
    ends = [t.grad_fn for t in outputs]
    own = (*own_backwards(ends), *(["a hook on a tensor"] if kept and kept.hooked else []))
    return Structure(
        stages, default, shapes, layouts, calls, depth, rows, name,
        lying=lying, along_images=works_along_images(ends), own_backwards=own, embedding=_embedding(outputs),
    )  # fmt: skip


def _stepping(field: Field | None, lying: Lying, layout: Layout | None) -> Field | None:
    """The field with the steps of the cells as they were followed, where something resampled them that is no window."""
    place = lying.place(layout) if field and layout else None
    if not field or not layout or not isinstance(place, Cells) or _size(lying.shape, layout) == (1, 1):
        return field
    step = (abs(place.step[0]), abs(place.step[1]))
    apart = max(max(a, b) / min(a, b) for a, b in zip(step, field.stride, strict=True))
    return replace(field, stride=step) if apart > _RESAMPLED else field


def _coarser(s: _Seen, finest: float) -> bool:
    """Whether this map is coarser than the output, as in encoder-decoders."""
    return s.field is not None and s.size != (1, 1) and math.prod(s.field.stride) > finest


def _maps(name: str, call: int, inputs: tuple[Any, ...], output: Any) -> Iterator[tuple[str, Tensor]]:
    """What a module was given and what it returned, as far as it may be a map; by address."""
    for value, before in ((inputs[0] if inputs else None, True), (output, False)):
        parts = {"": value} if isinstance(value, Tensor) else tensor_parts(value)
        maps = [(key, part) for key, part in parts.items() if part.ndim == 4]
        for key, part in [*maps, *([("", maps[0][1])] if len(maps) == 1 else [])]:
            yield str(Address(name, key or None, call, before)), part


def _size(shape: tuple[int, ...], layout: Layout) -> tuple[int, ...]:
    return tuple(shape[2:] if layout == "nchw" else shape[1:3])


def _embedding(outputs: list[Tensor]) -> EmbeddingSign | None:
    """What says that the scores are none, but an embedding."""
    return embedding_sign(outputs[0]) if outputs and outputs[0].ndim == 2 else None


def _outputs(output: Any) -> list[Tensor]:
    """What decisions start from: the class scores where there are some, else everything."""
    parts = {"": output} if isinstance(output, Tensor) else tensor_parts(output)
    tensors = {key: tensor for key, tensor in parts.items() if tensor.requires_grad}
    main = [tensors[key] for key in ("logits", "output", "out") if key in tensors]
    scores = main or [tensor for tensor in tensors.values() if tensor.ndim in (1, 2)]
    return scores[:1] or list(tensors.values())


def _stages(seen: list[_Seen], through: set[Any], calls: dict[str, int], lying: dict[str, Lying]) -> tuple[Stage, ...]:
    main = [s for s in seen if s.node in through and s.name] or [s for s in seen if s.name]
    main = [s for s in main if s.size != (1, 1)] or main
    runs = [list(run) for _, run in groupby(_settle(main), key=_resolution)]
    stages: list[Stage] = []
    depth = 0
    for position, run in enumerate(runs):
        following: set[tuple[int, ...]] = {(1, 1)}
        if position + 1 < len(runs):
            following = {s.size for s in runs[position + 1]}
        # Pooled copies of the stage before add nothing.
        fresh = [s for s in run if s.field is None or s.field.depth > depth]
        if fresh:
            chosen = _choose(fresh, _internal(fresh, seen, following), calls)
            depth = chosen.field.depth if chosen.field else depth
            stages.append(_stage(chosen, calls, lying))
    return tuple(stages)


def _settle(main: list[_Seen]) -> list[_Seen]:
    """In forward order of the tensors, not of the modules: an outer module returns long after its first part."""
    order: dict[Any, int] = {}
    for s in main:
        order.setdefault(s.node, len(order))
    return sorted(main, key=lambda s: order[s.node])


def _resolution(s: _Seen) -> Any:
    """Unpadded convolutions shave a pixel off the map but stay on the same grid, so the stride decides."""
    return s.field.stride if s.field else s.size


def _internal(run: list[_Seen], seen: list[_Seen], following: set[tuple[int, ...]]) -> set[str]:
    """Names inside a block that takes this resolution in and gives the next one out: its own business."""
    sizes = {s.size for s in run}
    blocks = [s.name for s in seen if s.input_size in sizes and s.size in following - sizes and s.name]
    return {s.name for s in run if any(s.name.startswith(block + ".") for block in blocks)}


def _choose(run: list[_Seen], internal: Iterable[str], calls: dict[str, int]) -> _Seen:
    outer = [s for s in run if s.name not in internal] or run
    outer = [s for s in outer if calls[s.name] == 1] or outer
    last = [s for s in outer if s.node is outer[-1].node]
    return min(last, key=lambda s: s.name.count("."))


def _stage(s: _Seen, calls: dict[str, int], lying: dict[str, Lying]) -> Stage:
    field = s.field or Field()
    h, w = s.size
    place = lying[str(Address(s.name, call=s.call))].place(s.layout)
    return Stage(
        name=s.name if calls[s.name] == 1 else f"{s.name}#{s.call}",
        shape=(s.channels, h, w),
        stride=field.stride,
        receptive_field=(round(field.size[0]), round(field.size[1])),
        local=field.local,
        sign="nonnegative" if s.minimum >= 0 else "signed",
        depth=field.depth,
        layout=s.layout,
        place=place if isinstance(place, Cells) else None,
    )
