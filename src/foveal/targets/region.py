"""A region of a segmentation as the decision.

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
from torch.nn import functional

from foveal.engine.address import tensor_parts
from foveal.errors import TargetError, counted, shown
from foveal.images.run_lengths import run_lengths
from foveal.targets.class_names import class_index, class_words, plain
from foveal.targets.heads import NAMED, last_operation
from foveal.targets.output_kind import describe_output
from foveal.targets.target import ModelOutput, TargetScore

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from numpy.typing import NDArray

OneRegion: TypeAlias = "int | str"
Where: TypeAlias = "tuple[int, int] | Tensor | NDArray[np.bool_] | None"

BACKGROUND = frozenset({"background", "bg", "void", "unlabeled", "unlabelled"})
"""Labels of what is no object."""

ASPECT = 0.02  # by how much the proportions of a mask may differ from those of the output


@dataclass(frozen=True, eq=False)
class Region:
    """The mean logit of a class over a region of the image.

        foveal.Region("dog")                         # all pixels where dog is predicted on the image as it is
        foveal.Region("dog", where=(120, 80))        # one pixel
        foveal.Region("dog", where=mask)             # any pixels (H, W), one mask or one per image (n, H, W)
        foveal.Region()                              # the class that is predicted at the most pixels

    Of a network with one output a pixel, class 1 is where it is above 0, and class 0 (score −z) elsewhere.

    Args:
        of: class index or label, one of these per image, or None: the class that is predicted at the most pixels, but
            for one that is labelled as background.
        where: None for the pixels at which the class is predicted; (row, column) in pixels of the network's output; or
            a mask, true in the region, at the size of the output or of the network's input.
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
        if isinstance(where, Tensor) and (where.dtype != torch.bool or where.ndim not in (2, 3)):
            raise TargetError(f"a mask is boolean, (H, W) or (n, H, W), and this is {where.dtype} {tuple(where.shape)}")
        if isinstance(where, list | tuple):
            if len(where) != 2 or not all(isinstance(number, int) and number >= 0 for number in where):
                raise TargetError(f"cannot read where={shown(self.where)}: give (row, column), a mask, or None")
            where = (where[0], where[1])
        object.__setattr__(self, "where", where)

    @property
    def layers(self) -> tuple[str, ...]:
        return ()

    def decide(self, outcome: ModelOutput) -> TargetScore:
        maps = region_scores(outcome.output)
        z = torch.cat([-maps, maps], 1) if maps.shape[1] == 1 else maps
        labels = _checked(outcome.labels, z.shape[1])
        predicted = z.detach().argmax(1)
        index = self._classes(predicted, labels, z.shape[1])
        words = tuple(class_words(i, labels) for i in index)
        regions = self._regions(predicted, index, words)
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
        named = tuple(f"{word}, {self._said(int(size))}" for word, size in zip(words, sizes, strict=True))
        return TargetScore(score, named, spec, chance, each, notes=self._notes(index, labels))

    def _classes(self, predicted: Tensor, labels: Sequence[str] | None, classes: int) -> list[int]:
        if self.of is None:
            return [_largest(image, labels, classes) for image in predicted]
        each = [self.of] * len(predicted) if isinstance(self.of, int | str) else list(self.of)
        if len(each) != len(predicted):
            raise TargetError(f"{len(each)} classes were given for {counted(len(predicted), 'image')}: give one each")
        return [class_index(name, labels, classes) for name in each]

    def _regions(self, predicted: Tensor, index: list[int], words: Sequence[str]) -> Bool[Tensor, "n h w"]:
        n, h, w = predicted.shape
        if self.where is None:
            regions = torch.stack([image == i for image, i in zip(predicted, index, strict=True)])
            for number, (region, word) in enumerate(zip(regions, words, strict=True)):
                if not bool(region.any()):
                    raise TargetError(
                        f"{word} is predicted at no pixel of image {number}, so it has no region there: give a class "
                        "that is (in Python also where=(row, column) or a mask)"
                    )
            return regions
        if isinstance(self.where, tuple):
            row, column = self.where
            if row >= h or column >= w:
                raise TargetError(f"there is no pixel {self.where}: the network's output has {h} × {w} pixels")
            regions = predicted.new_zeros((n, h, w), dtype=torch.bool)
            regions[:, row, column] = True
            return regions
        assert isinstance(self.where, Tensor)
        return _fitted(self.where.to(predicted.device), n, h, w)

    def _described(self) -> Any:
        return "predicted" if self.where is None else list(self.where) if isinstance(self.where, tuple) else "mask"

    def _said(self, size: int) -> str:
        return f"pixel {self.where}" if isinstance(self.where, tuple) else f"region of {counted(size, 'pixel')}"

    def _notes(self, index: list[int], labels: Sequence[str] | None) -> tuple[str, ...]:
        if self.of is not None or self.where is not None:
            return ()
        if labels is None and 0 in index:
            return ("class 0 covers most pixels, and many networks keep it for the background: name another as target",)
        return ()


def region_scores(output: Any) -> Float[Tensor, "n k h w"]:
    """The scores of classes at each pixel, in whatever a network returned: a tensor, `out`, `.logits`, or the first.

    Raises:
        TargetError: where nothing in it is (n, k, h, w).
    """
    parts = {"": output} if isinstance(output, Tensor) else tensor_parts(output)
    for name in [*(name for name in reversed(NAMED) if name in parts), *parts]:
        if parts[name].ndim == 4 and parts[name].is_floating_point():
            return parts[name]
    raise TargetError(
        f"the model returned {describe_output(output)}, and no scores at pixels (n, classes, h, w), so it has no "
        "regions: explain a class by its number or label"
    )


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


def _fitted(mask: Bool[Tensor, ...], n: int, h: int, w: int) -> Bool[Tensor, "n h w"]:
    """The mask in the pixels of the output."""
    mask = mask.expand(n, *mask.shape) if mask.ndim == 2 else mask
    if len(mask) != n:
        raise TargetError(f"{len(mask)} masks were given for {counted(n, 'image')}: give one, or one per image")
    tall, wide = mask.shape[1:]
    if abs(tall * w / (wide * h) - 1) > ASPECT + 1 / min(h, w):
        raise TargetError(
            f"a mask of {tall} × {wide} pixels does not lie on an output of {h} × {w}: give it at the size of the "
            "network's output or input"
        )
    if (tall, wide) != (h, w):
        mask = functional.interpolate(mask[:, None].float(), (h, w), mode="nearest-exact")[:, 0] > 0
    if not bool(mask.flatten(1).any(1).all()):
        raise TargetError("the mask of an image is empty at the size of the network's output: mark more pixels")
    return mask


def _probabilities(z: Float[Tensor, "n k h w"]) -> Float[Tensor, "n k h w"]:
    return z.sigmoid() if z.shape[1] == 1 else z.softmax(1)


def _mean(maps: Tensor, index: Sequence[int], regions: Tensor, sizes: Tensor) -> Float[Tensor, " n"]:
    own = torch.stack([image[i] for image, i in zip(maps, index, strict=True)])
    return (own * regions).flatten(1).sum(1) / sizes
