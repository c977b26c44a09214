"""Pairs of scenes for similarity: same or different species, same or different individual, and what they share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from foveal.synthetic.classes import CLASS_NAMES, sibling
from foveal.synthetic.individuals import INDIVIDUALS, individual_scene
from foveal.synthetic.sampling import class_scene
from foveal.synthetic.scene import PARTS, Scene

Kind = Literal["classes", "individuals"]
STREAM = 9  # key of the random stream


@dataclass(frozen=True)
class Pair:
    """Two scenes, whether they show the same class, and the parts that look the same in both."""

    first: Scene
    second: Scene
    same: bool
    shared: tuple[str, ...]


@dataclass(frozen=True)
class PositivePairs:
    """`count` pairs, drawn from the seed: half are the same; if kind is "classes", half of the others are siblings.

    >>> from foveal.synthetic import PositivePairs
    >>> pair = PositivePairs("classes", 10)[2]
    >>> pair.same, len(pair.shared)
    (True, 8)
    """

    kind: Kind = "classes"
    count: int = 1000
    seed: int = 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Pair:
        number = range(self.count)[index]
        random = np.random.default_rng([self.seed, number, STREAM])
        first, second = (int(value) for value in random.integers(0, 2**31, 2))
        if self.kind == "individuals":
            return _individuals(random, number, first, second)
        return _of_classes(random, number, first, second)

    def __iter__(self) -> Iterator[Pair]:
        return (self[index] for index in range(self.count))


def shared_parts(first: Scene, second: Scene) -> tuple[str, ...]:
    """The parts with the same look in both, and "mark" when a personal mark is the same."""
    looks = zip(PARTS, first.creature, second.creature, strict=True)
    parts = tuple(part for part, look, counterpart in looks if look is not None and look == counterpart)
    return (*parts, "mark") if set(first.individual_marks) & set(second.individual_marks) else parts


def _of_classes(random: np.random.Generator, number: int, first: int, second: int) -> Pair:
    name = CLASS_NAMES[int(random.integers(len(CLASS_NAMES)))]
    strangers = [class_name for class_name in CLASS_NAMES if class_name not in (name, sibling(name))]
    stranger = strangers[int(random.integers(len(strangers)))]
    partner = (name, sibling(name), name, stranger)[number % 4]
    return _pair(class_scene(name, first), class_scene(partner, second), same=partner == name)


def _individuals(random: np.random.Generator, number: int, first: int, second: int) -> Pair:
    who, step = int(random.integers(INDIVIDUALS)), int(random.integers(1, INDIVIDUALS))
    partner = who if number % 2 == 0 else (who + step) % INDIVIDUALS
    return _pair(individual_scene(who, first), individual_scene(partner, second, camera=1), same=partner == who)


def _pair(first: Scene, second: Scene, *, same: bool) -> Pair:
    return Pair(first, second, same, shared_parts(first, second))
