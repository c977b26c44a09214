"""A box that a detector found as the decision.

On the image as it is, the score is that of the box, or the coordinate of one of its sides; both are as differentiable
as the network leaves them, whose non-maximum suppression only picks rows. The gradient of the score is that of the raw
prediction behind it: p = σ(z) gives ∂p = p(1 − p) ∂z, so maps that are linear in the gradient differ by that factor.

In altered copies the same object is looked for: the score is the largest IoU · p over the boxes of the same class, 0
where there is none, or, where the detector gives the probabilities of all classes, the largest IoU · cosine · p over
all boxes (D-RISE; see `targets.box_overlap`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from foveal.engine.numerals import whole
from foveal.errors import TargetError, UnknownTarget, counted
from foveal.targets.box_overlap import overlap, similarity
from foveal.targets.class_names import class_index, class_words, plain
from foveal.targets.detections import Detections, Reader, read_detections
from foveal.targets.target import ModelOutput, TargetScore

if TYPE_CHECKING:
    from jaxtyping import Float

Part: TypeAlias = Literal["class", "left", "top", "right", "bottom", "all"]
SIDES = ("left", "top", "right", "bottom")
PARTS = ("class", *SIDES, "all")

SATURATED = 1e-6
"""Below this 1 − p, a score in single precision has no slope but rounding."""


@dataclass(frozen=True)
class Box:
    """One of the boxes that a detector finds: how sure it is of it, or where it puts a side.

        foveal.Box()                     # the box with the highest score
        foveal.Box(2)                    # the third
        foveal.Box("dog")                # the best of a class
        foveal.Box(0, part="left")       # where its left side is, in pixels of the network's input

    Args:
        which: number of the box, by falling score from 0, or the label of a class, whose best box is meant; one per
            image in a list.
        part: "class" for the score; "left", "top", "right" or "bottom" for a coordinate; "all" for width plus height,
            to which all four sides add outwards.
        read: for networks that return something else than a list of records: output -> boxes, labels, scores, each a
            list with a tensor per image, (k, 4), (k,) and (k,); boxes are left, top, right, bottom. A fourth list may
            have the probabilities of all classes, (k, classes).
    """

    which: int | str | Sequence[int | str] = 0
    part: Part = "class"
    read: Reader | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "which", plain(0 if self.which is None else self.which))
        if self.part not in PARTS:
            raise TargetError(f"a box has no part {self.part!r}: say {', '.join(PARTS)}")

    @property
    def layers(self) -> tuple[str, ...]:
        return ()

    def decide(self, outcome: ModelOutput) -> TargetScore:
        images = read_detections(outcome.output, self.read)
        each = [self.which] * len(images) if isinstance(self.which, int | str) else list(self.which)
        if len(each) != len(images):
            raise TargetError(f"{len(each)} boxes were given for {counted(len(images), 'image')}: give one each")
        index = [_number(name, i, images[i], outcome.labels) for i, name in enumerate(each)]
        boxes = [image.boxes[k].detach() for image, k in zip(images, index, strict=True)]
        classes = [int(image.labels[k]) for image, k in zip(images, index, strict=True)]
        score = torch.stack([measured(image, k, self.part) for image, k in zip(images, index, strict=True)])
        spec: dict[str, Any] = {
            "kind": "box", "index": index, "part": self.part, "class": classes, "box": [box.tolist() for box in boxes],
            "found": [len(image.scores) for image in images],
        }  # fmt: skip
        words = tuple(_words(k, c, outcome.labels, self.part) for k, c in zip(index, classes, strict=True))
        follow = [
            FollowedBox(boxes[i], classes[i], self.part, words[i], _distribution(image, index[i]), read=self.read)
            for i, image in enumerate(images)
        ]
        return TargetScore(score, words, spec, None, tuple(follow), notes=self._notes(images, index))

    def _notes(self, images: Sequence[Detections], index: Sequence[int]) -> tuple[str, ...]:
        chances = [float(image.scores[k].detach()) for image, k in zip(images, index, strict=True)]
        if self.part == "class" and any(abs(1 - p) < SATURATED for p in chances):
            return ("a score is 1 but for rounding and has no slope: gradients say nothing, use rise or occlusion",)
        return ()


@dataclass(frozen=True, eq=False)
class FollowedBox:
    """A box of one image, looked for in any number of altered copies.

    Args:
        box: left, top, right, bottom on the image as it was.
        label: its class.
        words: what it is called.
        probabilities: of all its classes, where the detector gives them.
    """

    box: Float[Tensor, " 4"]
    label: int
    part: Part
    words: str
    probabilities: Float[Tensor, " classes"] | None = None
    read: Reader | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        return ()

    def decide(self, outcome: ModelOutput) -> TargetScore:
        images = read_detections(outcome.output, self.read)
        score = torch.stack([self._found(image) for image in images])
        spec = {"kind": "box", "part": self.part, "index": [-1] * len(images), "class": [self.label] * len(images),
                "box": [self.box.tolist()] * len(images), "found": [len(image.scores) for image in images]}  # fmt: skip
        return TargetScore(score, (self.words,) * len(images), spec, None, (self,) * len(images))

    def _found(self, image: Detections) -> Float[Tensor, ""]:
        """Its score in one copy, or the coordinate of its side."""
        if self.part == "class":
            found = similarity(self.box, image.boxes, image.scores, self._alike(image))
            return found.max() if len(found) else self.box.new_zeros(())
        shared = overlap(self.box.to(image.boxes), image.boxes.detach()) * self._alike(image)
        if not len(shared) or not bool(shared.max() > 0):
            raise TargetError(
                f"{self.words} is in none of the boxes of an altered copy, so it has no sides there: explain its class "
                "(part='class'), or use a gradient method"
            )
        return measured(image, int(shared.argmax()), self.part)

    def _alike(self, image: Detections) -> Tensor:
        """Whether each box in a copy is of this class, or, where it is known, how alike the probabilities are."""
        if self.probabilities is None or image.probabilities is None:
            return image.labels == self.label
        return functional.cosine_similarity(self.probabilities.to(image.probabilities), image.probabilities.detach())


def _distribution(image: Detections, k: int) -> Float[Tensor, " classes"] | None:
    return None if image.probabilities is None else image.probabilities[k].detach()


def measured(image: Detections, k: int, part: Part) -> Float[Tensor, ""]:
    """The score of a box, or the coordinate of its side."""
    if part == "class":
        return image.scores[k]
    left, top, right, bottom = image.boxes[k]
    return (right - left) + (bottom - top) if part == "all" else image.boxes[k, SIDES.index(part)]


def _number(which: int | str, i: int, image: Detections, labels: Sequence[str] | None) -> int:
    """The number of the box that is meant in one image."""
    count = len(image.scores)
    number = whole(which) if isinstance(which, str) and which not in (labels or ()) else which
    if count == 0:
        raise TargetError(f"the detector finds no box in image {i}: lower its score threshold, or give another image")
    if isinstance(number, int):
        if not 0 <= number < count:
            raise UnknownTarget(f"there is no box {number} in image {i}: the detector finds {count}, 0 to {count - 1}")
        return number
    label = class_index(str(which), labels, len(labels or ()))
    own = (image.labels == label).nonzero()
    if not len(own):
        there = ", ".join(dict.fromkeys(class_words(int(c), labels) for c in image.labels[:20]))
        raise UnknownTarget(f"the detector finds no {which} in image {i}: it finds {there}")
    return int(own[0])


def _words(k: int, label: int, labels: Sequence[str] | None, part: Part) -> str:
    known = labels if labels and 0 <= label < len(labels) else None
    of = {"class": "", "all": ", width plus height"}.get(part, f", {part} side")
    return f"box {k}: {class_words(label, known)}{of}"
