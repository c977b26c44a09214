"""A copy of a network that has forgotten some of its layers, and whether that made a difference.

    network = observed(model, way)                            # its layers, the last to run first
    random = Forgetful(network, [fresh(network.layers, number, seed=3) for number in (0, 1)])
    random.module                                             # the same network, two layers of which are made random
    differences(random, before, [1], way)                     # layer 1 -> how far what it gives has changed

What the network holds is exchanged in the copy. What it computes of that is exchanged where an operation is given it,
so that a weight which is a quotient, masked, sliced or unpacked is forgotten like any other.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import checkpoint
from torch.utils._pytree import tree_map

from foveal.engine.address import INPUT, is_input, named_modules
from foveal.engine.arguments import Arguments
from foveal.engine.capture import capture
from foveal.engine.guard import every_module, untouched
from foveal.engine.held import UncopiedError, places, shell, twin, unreadable
from foveal.engine.layers import Layers, Weight, flat_of, layers_of, memory_key, span
from foveal.engine.locks import turn_at
from foveal.engine.memory import memory_of
from foveal.engine.unwatched import looking
from foveal.engine.uses import Following, Survey, Use, tensors_in
from foveal.errors import ModelError

AT_ONCE = 4


@dataclass(frozen=True, eq=False)
class Way:
    """Images on their way through a network.

    Attributes:
        arguments: what the network takes beside them.
        last_calls: layer -> number of its last call, where the way ends at layers rather than at the output.
    """

    x: Tensor
    arguments: Arguments
    last_calls: Mapping[str, int] = field(default_factory=dict)

    def run(self, module: nn.Module, start: int, stop: int) -> None:
        """A forward that is recorded, as some networks ask of theirs."""
        ends = [INPUT, *self.last_calls] if is_input(module, INPUT) else [*self.last_calls]
        with capture(module, ends, last_calls=self.last_calls) as run:
            run.forward(self.x[start:stop], self.arguments.rows(start, stop), stop=bool(self.last_calls))


@dataclass(frozen=True, eq=False)
class Observed:
    """What one image met in a network.

    Attributes:
        layers: with their weights, the last to run first.
        unmet: parameters of modules that ran which no operation was given.
        inside: whether the network reaches its modules from itself only; else, as by a closure, a copy of them would
            not run.
    """

    model: nn.Module
    layers: Layers
    unmet: tuple[str, ...]
    inside: bool

    def copy(self) -> nn.Module:
        return twin(self.model) if self.inside else shell(self.model)


def observed(model: nn.Module, way: Way) -> Observed:
    """What the first of the images meets, and nothing that other threads do with the network meanwhile.

    Raises:
        ModelError: where that cannot be observed.
    """
    if (words := unreadable(model)) is not None:
        raise ModelError(f"this {type(model).__name__} cannot be randomized: {words}")
    with untouched(model):  # a copy may run modules of the network itself
        return _observed(model, way)


def _observed(model: nn.Module, way: Way) -> Observed:
    held = places(model)
    survey, ran, inside = Survey(held), set[str](), False
    try:
        module = twin(model)
        with _running(module) as ran, _running(model) as outside:
            _surveyed(module, survey, way)
        inside = not outside
    except UncopiedError:
        pass
    if not inside:
        with _running(model) as ran:
            _surveyed(shell(model), survey, way)
    if not survey.reached:
        raise ModelError(
            f"this {type(model).__name__} cannot be randomized: between the image and the output it uses "
            "something other than torch operations, and the weights after that cannot be observed"
        )
    parameters = [place for place in held if isinstance(place.tensor, nn.Parameter) and place.owner in ran]
    unmet = tuple(place.name for place in parameters if id(memory_of(place.tensor)) not in survey.asked)
    return Observed(model, layers_of(survey.sites, held), unmet, inside)


def _surveyed(module: nn.Module, survey: Survey, way: Way) -> None:
    _run_within(module, lambda: survey)
    way.run(module, 0, 1)


@contextmanager
def _running(model: nn.Module) -> Iterator[set[str]]:
    """The names of the modules that run in this block."""
    ran: set[str] = set()
    hooks = [
        part.register_forward_hook(lambda *_, name=name: ran.add(name)) for name, part in named_modules(model).items()
    ]
    try:
        yield ran
    finally:
        for hook in hooks:
            hook.remove()


class Forgetful:
    """A network that has forgotten layers.

    Attributes:
        model: the network that has forgotten nothing.
        module: modules of its own, which share what they remember with the network.
        flats: by the memory of weights, see `memory_key`, all the numbers it holds now.
    """

    @torch.inference_mode(False)
    def __init__(self, network: Observed, drawn: Iterable[Mapping[Weight, Tensor]]) -> None:
        """
        Args:
            drawn: what is to stand for the weights, a layer each; see `fresh`.
        """
        self.model, self.layers = network.model, network.layers
        self.flats: dict[Hashable, Tensor] = {}
        with turn_at(self.model, every_module(self.model)):  # other threads hook it, and write into what it holds
            for layer in drawn:
                for weight, values in layer.items():
                    flat = self.flats.setdefault(weight.memory, flat_of(weight.uses[0][1].tensor).clone())
                    flat[weight.low : weight.high] = values
            self.module = network.copy()
            self.keys = self._replaced() if network.inside else {}
        self._mode: Following = Exchanging(self)
        _run_within(self.module, lambda: copy(self._mode))

    @contextmanager
    def within(self, mode: Following) -> Iterator[None]:
        """Run it in another mode in this block."""
        self._mode, own = mode, self._mode
        try:
            yield
        finally:
            self._mode = own

    def flat(self, key: Hashable) -> Tensor | None:
        return self.flats.get(self.layers.same.get(key, key))

    def _replaced(self) -> dict[int, Hashable]:
        """Put new tensors where the copy holds what it forgot; by the numbers of their memories, whose they are."""
        replacements: dict[int, Tensor] = {}
        keys: dict[int, Hashable] = {}
        for place in places(self.module):
            old = place.tensor
            key = ("held", id(memory_of(old)))
            flat = self.flats.get(key)
            if flat is None or flat.dtype != old.dtype or place.container is None:
                continue
            if id(old) not in replacements:
                new = flat.as_strided(old.shape, old.stride(), old.storage_offset())
                replacements[id(old)] = nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new
            place.container[place.key] = replacements[id(old)]
            keys[id(memory_of(flat))] = key
        return keys


class Exchanging(Following):
    """Gives operations what was forgotten where they are given what the network computes, or holds elsewhere."""

    def __init__(self, network: Forgetful) -> None:
        super().__init__(places(network.module), strangers=True)
        self.network = network
        for use in (use for site in network.layers.sites for use in site.uses if use.held):
            for name in use.names:
                self.know(use.tensor, name)

    def run(self, func: Any, args: Any, kwargs: Any, uses: Sequence[Use]) -> Any:
        with looking():
            new = {id(u.tensor): _like(u, flat) for u in uses if (flat := self.network.flat(memory_key(u))) is not None}
            if new:
                _check_backward()
                args, kwargs = tree_map(lambda value: new.get(id(value), value), (args, kwargs))
        return func(*args, **kwargs)


class Comparing(Exchanging):
    """Looks what operations would have given before these layers were forgotten, on the same inputs.

    Attributes:
        found: by the number of the layer, the largest change of what it gives, as a share of the largest number.
    """

    def __init__(self, network: Forgetful, before: Forgetful, numbers: Sequence[int]) -> None:
        super().__init__(network)
        self._before = before
        self._of = [(n, weight) for n in numbers for weight in network.layers.each[n].weights]
        self.found = dict.fromkeys(numbers, 0.0)

    def run(self, func: Any, args: Any, kwargs: Any, uses: Sequence[Use]) -> Any:
        with looking():
            numbers = {number for use in uses for number in self._layers(use)}
            if numbers:
                old = {id(use.tensor): self._old(use).clone() for use in uses}  # operations may write into them
                given = tree_map(lambda v: old.get(id(v), v.clone() if isinstance(v, Tensor) else v), (args, kwargs))
                before = tensors_in(func(*given[0], **given[1]))
        result = super().run(func, args, kwargs, uses)
        with looking():
            for number in numbers:
                changes = [_change(a, b) for a, b in zip(before, tensors_in(result), strict=False)]
                self.found[number] = max(self.found[number], *changes)
        return result

    def _key(self, use: Use) -> Hashable:
        key = self.network.keys.get(id(memory_of(use.tensor)), memory_key(use))
        return self.network.layers.same.get(key, key)

    def _layers(self, use: Use) -> set[int]:
        low, high = span(use.tensor)
        key = self._key(use)
        return {number for number, w in self._of if w.memory == key and w.low < high and low < w.high}

    def _old(self, use: Use) -> Tensor:
        key = self._key(use)
        if key not in self.network.flats:
            return use.tensor
        original = next((w.uses[0][1].tensor for _, w in self._of if w.memory == key), None)
        flat = self._before.flats.get(key)
        if flat is None:
            flat = self.network.flats[key] if original is None else flat_of(original)
        return _like(use, flat)


def differences(network: Forgetful, before: Forgetful, numbers: Sequence[int], way: Way) -> dict[int, float]:
    """How far what each of these layers gives for the images has changed since `before`; see `Comparing`."""
    mode = Comparing(network, before, numbers)
    with untouched(network.model), network.within(mode):  # what it computed with is looked up there
        for start in range(0, len(way.x), AT_ONCE):
            way.run(network.module, start, min(start + AT_ONCE, len(way.x)))
    return mode.found


def _like(use: Use, flat: Tensor) -> Tensor:
    return flat.as_strided(use.tensor.shape, use.tensor.stride(), use.tensor.storage_offset())


def _change(old: Tensor, new: Tensor) -> float:
    if not old.numel() or not (old.is_floating_point() or old.is_complex()):
        return float(not torch.equal(old, new))
    change, largest = float((new - old).detach().abs().amax()), float(old.detach().abs().amax())
    return change / largest if largest else change


def _check_backward() -> None:
    """A backward pass through checkpointing, or a function with a backward of its own, would not see what is exchanged.

    Raises:
        ModelError: where this is called from there.
    """
    frame: Any = sys._getframe()
    while frame is not None:
        own = frame.f_code.co_varnames[:1]
        if frame.f_code.co_filename == checkpoint.__file__:
            where = "inside activation checkpointing (torch.utils.checkpoint)"
        elif own and isinstance(frame.f_locals.get(own[0]), torch.autograd.function.FunctionCtx):
            where = "inside a torch.autograd.Function"
        else:
            frame = frame.f_back
            continue
        raise ModelError(
            f"this network cannot be randomized: it computes weights from other weights and uses them {where}, whose "
            "backward pass would still use the old weights"
        )


def _run_within(module: nn.Module, mode: Callable[[], Following]) -> None:
    """Have this module run its forward in a mode, whatever calls it."""
    inner = module.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        with mode() as active:
            with looking():
                active.start((args, kwargs))
            output = inner(*args, **kwargs)
            with looking():
                active.finish(output)
            return output

    vars(module)["forward"] = forward
