"""What a network computes with, layer by layer: which weights go together, and in which order they are used.

A layer is a module that holds weights, whatever they are called and whatever makes them. Where a network or a
container holds weights itself, it is an operation that uses them, with the scales and shifts that follow it directly.
Weights that lie in the same memory, or are computed to the same numbers, belong to one layer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import torch
from torch import Tensor

from foveal.engine.held import HeldTensor
from foveal.engine.memory import memory_of
from foveal.engine.uses import MIXING, Names, Use, UseSite


@dataclass(eq=False)
class Weight:
    """A stretch of memory that operations are given.

    Attributes:
        memory: whose; see `memory_key`.
        low, high: from where to where, in numbers.
        uses: by the number of their site.
    """

    memory: Hashable
    low: int
    high: int
    uses: list[tuple[int, Use]]

    def overlaps(self, other: Weight) -> bool:
        return self.memory == other.memory and self.low < other.high and other.low < self.high

    def joined(self, other: Weight) -> Weight:
        low, high = min(self.low, other.low), max(self.high, other.high)
        return Weight(self.memory, low, high, self.uses + other.uses)


@dataclass(frozen=True, eq=False)
class Layer:
    """Weights that are forgotten together.

    Attributes:
        name: of the module, or of a weight where that is not the module's only one.
        sites: numbers of the operations that use them.
    """

    name: str
    sites: tuple[int, ...]
    weights: tuple[Weight, ...]


@dataclass(frozen=True, eq=False)
class Layers:
    """All of a network, the last to run first.

    Attributes:
        sites: of one forward.
        same: the memory of a computed weight -> that of the first with the same numbers.
    """

    each: tuple[Layer, ...]
    sites: tuple[UseSite, ...]
    same: Mapping[Hashable, Hashable]


def layers_of(sites: Sequence[UseSite], held: Sequence[HeldTensor]) -> Layers:
    """Which weights of these sites go together."""
    same = _same(sites)
    weights, owners, groups = _weights(sites, same), _Owners(held), _Groups(len(sites))
    for weight in weights:
        groups.join(*{i for i, _ in weight.uses})
    modules: dict[str, int] = {}
    for i, site in enumerate(sites):
        module = owners.layer(site.uses[0].names)
        if module is not None:
            groups.join(modules.setdefault(module, i), i)
        elif site.follows is not None and site.operation not in MIXING:
            groups.join(site.follows, i)
    each = []
    for own in sorted(groups.each(), key=max, reverse=True):
        weights_here = tuple(weight for weight in weights if weight.uses[0][0] in own)
        each.append(Layer(owners.name(sites[own[0]]), own, weights_here))
    return Layers(tuple(_told_apart(each)), tuple(sites), same)


def _told_apart(layers: Sequence[Layer]) -> Iterator[Layer]:
    """Where one tensor holds the weights of several layers, their names say which of its numbers they are."""
    often = Counter(layer.name for layer in layers)
    for layer in layers:
        first = layer.weights[0]
        name = f"{layer.name}[{first.low}:{first.high}]" if often[layer.name] > 1 else layer.name
        yield replace(layer, name=name)


class _Groups:
    """Numbers that belong together."""

    def __init__(self, count: int) -> None:
        self._of = list(range(count))

    def join(self, *numbers: int) -> None:
        own = {self._of[number] for number in numbers}
        self._of = [min(own) if group in own else group for group in self._of]

    def each(self) -> list[tuple[int, ...]]:
        groups_of_sites: dict[int, list[int]] = {}
        for number, group in enumerate(self._of):
            groups_of_sites.setdefault(group, []).append(number)
        return [tuple(numbers) for numbers in groups_of_sites.values()]


class _Owners:
    """Which modules are layers, and what they are called."""

    def __init__(self, held: Sequence[HeldTensor]) -> None:
        self._owner = {place.name: place.owner for place in held if place.kept}
        self._all = set(self._owner.values())

    def layer(self, names: Names) -> str | None:
        """The module that is a layer and holds all of this; None where a container or the network itself does."""
        owner = _common([self._owner.get(name, "") for name in names])
        while (outer := owner.rpartition(".")[0]) and self._inside(outer) == {owner}:
            if outer not in self._all:
                break
            owner = outer
        # A module may wrap another one, of which its own weights make something else; more of them are a container's.
        single = len(inside := self._inside(owner)) < 2 and not any(self._inside(own) for own in inside)
        return owner if owner in self._all - {""} and single else None

    def name(self, site: UseSite) -> str:
        names = site.uses[0].names
        return self.layer(names) or names[0]

    def _inside(self, owner: str) -> set[str]:
        return {other for other in self._all if other.startswith(owner + ".")}


def _common(owners: Sequence[str]) -> str:
    """The innermost module that holds all of these."""
    parts = [owner.split(".") for owner in owners]
    shared = takewhile(lambda level: len(set(level)) == 1, zip(*parts, strict=False))
    return ".".join(level[0] for level in shared)


# --- Weights ---


def _weights(sites: Sequence[UseSite], same: Mapping[Hashable, Hashable]) -> list[Weight]:
    """Every stretch of memory that is used; those that overlap are one."""
    weights: list[Weight] = []
    for i, site in enumerate(sites):
        for use in site.uses:
            key = memory_key(use)
            own = Weight(same.get(key, key), *span(use.tensor), [(i, use)])
            for other in [weight for weight in weights if weight.overlaps(own)]:
                own = other.joined(own)
                weights.remove(other)
            weights.append(own)
    return weights


def memory_key(use: Use) -> Hashable:
    """Tells the memory of one weight from that of others, in whatever forward."""
    memory = memory_of(use.tensor)
    assert memory is not None
    return ("held", id(memory)) if use.held else ("made", use.names, memory.nbytes(), use.number)


def _same(sites: Sequence[UseSite]) -> dict[Hashable, Hashable]:
    known: dict[Hashable, dict[Hashable, Tensor]] = {}
    same: dict[Hashable, Hashable] = {}
    for use in (use for site in sites for use in site.uses if not use.held):
        key, flat = memory_key(use), flat_of(use.tensor)
        alike = known.setdefault((use.names, flat.dtype, len(flat)), {})
        same[key] = next((other for other, numbers in alike.items() if torch.equal(numbers, flat)), key)
        alike.setdefault(same[key], flat)
    return same


def span(tensor: Tensor) -> tuple[int, int]:
    """From where to where it lies in its memory, in numbers."""
    low = int(tensor.storage_offset())
    return low, low + 1 + sum(int((size - 1) * step) for size, step in zip(tensor.shape, tensor.stride(), strict=True))


def flat_of(tensor: Tensor) -> Tensor:
    """All of the memory that a tensor lies in, as numbers of its kind."""
    memory = memory_of(tensor)
    assert memory is not None
    return tensor.detach().as_strided((memory.nbytes() // tensor.element_size(),), (1,), 0)
