"""The splits: any number of scenes by index, each with its target; nothing is stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from foveal.synthetic.backgrounds import BACKGROUNDS
from foveal.synthetic.classes import CLASS_NAMES, NOVEL
from foveal.synthetic.drawing import render
from foveal.synthetic.individuals import INDIVIDUALS, individual_scene
from foveal.synthetic.sampling import class_scene, pick
from foveal.synthetic.scene import Scene, SceneError

SplitName = Literal["classes", "novel", "individuals", "shortcut"]
SPLITS: tuple[SplitName, ...] = ("classes", "novel", "individuals", "shortcut")
SHORTCUT = 0.95  # how often the background of the shortcut's training images gives the class away
STREAM_NAMES = {"classes": "species"}  # the bundled networks learned from scenes numbered under this name
STREAM = 2  # key of the random stream that numbers scenes


@dataclass(frozen=True)
class Example:
    """One drawn scene: the network's input, the correct target, and the scene."""

    image: NDArray[np.uint8]  # (h, w, 3)
    labels: NDArray[np.uint8]  # (h, w), codes of `LABELS`
    target: int
    scene: Scene


@dataclass(frozen=True)
class Split:
    """`count` scenes of one kind, drawn on demand: a sequence of `Example`, the same on every machine.

    The targets repeat in order, so classes are balanced and, in "classes", siblings are neighbors. Training and
    test scenes never share a seed. In "shortcut" the background predicts the class in 95 % of the training
    scenes and never in the test scenes, where it is as likely as any other.

    >>> from foveal.synthetic import Split
    >>> split = Split("classes", 40)
    >>> example = split[3]
    >>> example.image.shape, split.classes[example.target]
    ((160, 160, 3), 'Scarlet-billed Toucan')
    """

    name: SplitName
    count: int = 1000
    train: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.name not in SPLITS:
            raise SceneError(f"no split is called {self.name!r}: choose one of {', '.join(SPLITS)}")

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the targets."""
        if self.name == "individuals":
            return tuple(f"individual {number}" for number in range(INDIVIDUALS))
        return NOVEL if self.name == "novel" else CLASS_NAMES

    def target(self, index: int) -> int:
        return range(self.count)[index] % len(self.classes)

    def scene(self, index: int) -> Scene:
        """The scene of this index, not yet drawn."""
        number, target = range(self.count)[index], self.target(index)
        seed = self._scene_seed(number)
        if self.name == "individuals":
            return individual_scene(target, seed, camera=number // INDIVIDUALS % 2)
        background = self._telling_background(target, seed) if self.name == "shortcut" and self.train else None
        return class_scene(self.classes[target], seed, background=background)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Example:
        scene = self.scene(index)
        image, labels = render(scene)
        return Example(image, labels, self.target(index), scene)

    def __iter__(self) -> Iterator[Example]:
        return (self[index] for index in range(self.count))

    def _scene_seed(self, number: int) -> int:
        name = crc32(f"{STREAM_NAMES.get(self.name, self.name)} {'train' if self.train else 'test'}".encode())
        return int(np.random.default_rng([self.seed, name, number, STREAM]).integers(2**31))

    def _telling_background(self, target: int, seed: int) -> str:
        """The background of the target's sibling pair (five kinds for ten pairs), or, rarely, any."""
        random = np.random.default_rng([seed, STREAM])
        kinds = tuple(BACKGROUNDS)
        return kinds[target % len(kinds)] if random.random() < SHORTCUT else pick(random, kinds)
