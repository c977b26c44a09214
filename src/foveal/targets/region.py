"""A region of a segmentation as the decision: of images, and along one or three axes of signals and volumes.

Score: 1/|R| Σ_{i ∈ R} y_i^c, the mean logit of class c over the pixels R of a region, which stays fixed while gradients
are taken and copies of the image are altered. Seg-Grad-CAM (Vinogradova, Dibrov, Myers, AAAI 2020, arXiv:2002.11434)
takes the sum, whose maps are |R| times these; the mean makes regions of different size comparable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from foveal.errors import TargetError, counted, shown
from foveal.images.run_lengths import run_lengths
from foveal.targets.class_names import class_index, class_words, plain
from foveal.targets.dense_scores import ADDRESS, UNIT, fitted, region_scores, times
from foveal.targets.heads import last_operation
from foveal.targets.target import ModelOutput, TargetScore

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from numpy.typing import NDArray

OneRegion: TypeAlias = "int | str"
Where: TypeAlias = "tuple[int, ...] | Tensor | NDArray[np.bool_] | None"

BACKGROUND = frozenset({"background", "bg", "void", "unlabeled", "unlabelled"})
"""Labels of what is no object."""


@dataclass(frozen=True, eq=False)
class Region:
    """The mean logit of a class over a region of the image.

        foveal.Region("dog")                         # all pixels where dog is predicted on the image as it is
        foveal.Region("dog", where=(120, 80))        # one pixel
        foveal.Region("dog", where=mask)             # any pixels (H, W), one mask or one per image (n, H, W)
        foveal.Region()                              # the class that is predicted at the most pixels
        foveal.Region("white matter", where=(40, 60, 52))      # one voxel of a volume; masks are (D, H, W)

    Of a network with one output a pixel, class 1 is where it is above 0, and class 0 (score −z) elsewhere.

    Args:
        of: class index or label, one of these per image, or None: the class that is predicted at the most pixels, but
            for one that is labelled as background.
        where: None for the pixels at which the class is predicted; (row, column) in pixels of the network's output,
            (sample,) of signals and (slice, row, column) of volumes; or a mask, true in the region, at the size of the
            output or of the network's input.
    """

    of: OneRegion | Sequence[OneRegion] | None = None
    where: Where = field(default=None, repr=False)
    ending: str | None = field(default=None, kw_only=True, repr=False)
    """The last operation of the network, once that is known: of altered copies there is no graph to read it off."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", plain(self.of))
        where = self.where
        if isinstance(where, np.ndarray):
            where = torch.from_numpy(where)
        if isinstance(where, Tensor) and (where.dtype != torch.bool or where.ndim not in (1, 2, 3, 4)):
            raise TargetError(
                f"a mask is boolean, (H, W) or (n, H, W) of images, and this is {where.dtype} {tuple(where.shape)}"
            )
        if isinstance(where, list | tuple):
            if len(where) not in UNIT or not all(isinstance(number, int) and number >= 0 for number in where):
                raise TargetError(f"cannot read where={shown(self.where)}: give (row, column), a mask, or None")
            where = tuple(where)
        object.__setattr__(self, "where", where)

    @property
    def layers(self) -> tuple[str, ...]:
        return ()

    def decide(self, outcome: ModelOutput) -> TargetScore:
        maps = region_scores(outcome.output, outcome.space)
        z = torch.cat([-maps, maps], 1) if maps.shape[1] == 1 else maps
        labels = _checked(outcome.labels, z.shape[1])
        predicted = z.detach().argmax(1)
        index = self._classes(predicted, labels, z.shape[1])
        words = tuple(class_words(i, labels) for i in index)
        regions = self._regions(predicted, index, words, outcome.space)
        sizes = regions.flatten(1).sum(1)
        ending = last_operation(maps) if self.ending is None else self.ending
        chances = ending.startswith(("Softmax", "Sigmoid"))
        probabilities = maps.detach() if chances else _probabilities(maps.detach())
        probabilities = torch.cat([1 - probabilities, probabilities], 1) if maps.shape[1] == 1 else probabilities
        if chances and maps.shape[1] == 1:
            z = torch.cat([1 - maps, maps], 1)
        score, chance = (_mean(each, index, regions, sizes) for each in (z, probabilities))
        each = tuple(Region(i, regions[k], ending=ending) for k, i in enumerate(index))
        # Altered copies have the same region.
        masks = [run_lengths(own.cpu().numpy()) for own in regions] if self.ending is None else [None] * len(regions)
        spec: dict[str, Any] = {
            "kind": "region", "index": index, "where": self._described(), "pixels": sizes.tolist(), "mask": masks,
            "of": "probability" if chances else "logit",
        }  # fmt: skip
        unit = UNIT.get(maps.ndim - 2, "cell")
        named = tuple(f"{word}, {self._said(int(size), unit)}" for word, size in zip(words, sizes, strict=True))
        return TargetScore(score, named, spec, chance, each, notes=self._notes(index, labels))

    def _classes(self, predicted: Tensor, labels: Sequence[str] | None, classes: int) -> list[int]:
        if self.of is None:
            return [_largest(image, labels, classes) for image in predicted]
        each = [self.of] * len(predicted) if isinstance(self.of, int | str) else list(self.of)
        if len(each) != len(predicted):
            raise TargetError(f"{len(each)} classes were given for {counted(len(predicted), 'image')}: give one each")
        return [class_index(name, labels, classes) for name in each]

    def _regions(
        self, predicted: Tensor, index: list[int], words: Sequence[str], space: tuple[int, ...] | None
    ) -> Bool[Tensor, " n *space"]:
        n, *sides = predicted.shape
        unit = UNIT.get(len(sides), "cell")
        if self.where is None:
            regions = torch.stack([image == i for image, i in zip(predicted, index, strict=True)])
            for number, (region, word) in enumerate(zip(regions, words, strict=True)):
                if not bool(region.any()):
                    raise TargetError(
                        f"{word} is predicted at no {unit} of image {number}, so it has no region there: give a class "
                        f"that is (in Python also where={ADDRESS[len(sides)]} or a mask)"
                    )
            return regions
        if isinstance(self.where, tuple):
            if len(self.where) != len(sides):
                raise TargetError(
                    f"where={self.where} has {counted(len(self.where), 'number')}, and the network's output has "
                    f"{times(sides)} {unit}s: give {ADDRESS[len(sides)]}"
                )
            if any(at >= side for at, side in zip(self.where, sides, strict=True)):
                raise TargetError(f"there is no {unit} {self.where}: the network's output has {times(sides)} {unit}s")
            region = np.zeros(sides, dtype=np.bool_)
            region[self.where] = True
            return torch.from_numpy(region).to(predicted.device).expand(n, *sides)
        assert isinstance(self.where, Tensor)
        return fitted(self.where.to(predicted.device), n, tuple(sides), space)

    def _described(self) -> Any:
        return "predicted" if self.where is None else list(self.where) if isinstance(self.where, tuple) else "mask"

    def _said(self, size: int, unit: str) -> str:
        return f"{unit} {self.where}" if isinstance(self.where, tuple) else f"region of {counted(size, unit)}"

    def _notes(self, index: list[int], labels: Sequence[str] | None) -> tuple[str, ...]:
        if self.of is not None or self.where is not None:
            return ()
        if labels is None and 0 in index:
            return ("class 0 covers most pixels, and many networks keep it for the background: name another as target",)
        return ()


def _checked(labels: Sequence[str] | None, classes: int) -> Sequence[str] | None:
    if not labels:
        return None
    if len(labels) == 1 and classes == 2:
        return (f"not {labels[0]}", labels[0])
    if len(labels) != classes:
        raise TargetError(
            f"{counted(len(labels), 'name')} for {classes} classes at each pixel: give one each, in the order of the "
            "outputs (labels=[…])"
        )
    return labels


def _largest(predicted: Tensor, labels: Sequence[str] | None, classes: int) -> int:
    """The class at most pixels, but for the background, if there is another."""
    count = predicted.flatten().bincount(minlength=classes)
    objects = [i for i in range(classes) if not labels or labels[i].casefold().strip("_ ") not in BACKGROUND]
    return max((i for i in objects if count[i]), key=lambda i: int(count[i]), default=int(count.argmax()))


def _probabilities(z: Float[Tensor, "n k *space"]) -> Float[Tensor, "n k *space"]:
    return z.sigmoid() if z.shape[1] == 1 else z.softmax(1)


def _mean(maps: Tensor, index: Sequence[int], regions: Tensor, sizes: Tensor) -> Float[Tensor, " n"]:
    own = torch.stack([image[i] for image, i in zip(maps, index, strict=True)])
    return (own * regions).flatten(1).sum(1) / sizes
