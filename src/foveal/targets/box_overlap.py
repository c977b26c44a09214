"""How much a box is the same object as another: overlap, and the score it is found with again in an altered picture.

    overlap        IoU(b, b') = |b ∩ b'| / |b ∪ b'|
    similarity     s(b, d) = IoU(b, b_d) · alike · p_d  for a detection d with the score p_d

D-RISE (Petsiuk et al., CVPR 2021, arXiv:2006.03204, equation 2) weighs the overlap by the cosine of the two vectors of
class probabilities, which is `alike`, and by the objectness. Detectors mostly give one class and its score: the cosine
is then 1 for the same class and 0 for another, and the score is what is left of the objectness.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


def overlap(box: Float[Tensor, "... 4"], boxes: Float[Tensor, "k 4"]) -> Float[Tensor, "... k"]:
    """IoU of one box, or of several, with each of k; corners are (left, top, right, bottom).

    0 where one of the two has no area.

        overlap(torch.tensor([0., 0., 2., 2.]), torch.tensor([[0., 0., 2., 2.], [1., 0., 3., 2.]]))    # 1, 1/3
    """
    box = box[..., None, :]
    sides = torch.minimum(box[..., 2:], boxes[..., 2:]) - torch.maximum(box[..., :2], boxes[..., :2])
    shared = sides.clamp(min=0).prod(-1)
    union = area(box) + area(boxes) - shared
    return torch.where(union > 0, shared / torch.where(union > 0, union, 1), 0)


def area(boxes: Float[Tensor, "... 4"]) -> Float[Tensor, ...]:
    """Width times height; 0 for a box whose sides have changed places."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)


def similarity(
    box: Float[Tensor, " 4"],
    boxes: Float[Tensor, "k 4"],
    scores: Float[Tensor, " k"],
    alike: Float[Tensor, " k"] | Bool[Tensor, " k"],
) -> Float[Tensor, " k"]:
    """How much each of k detections is the box found again: IoU · score · alike.

    Differentiable in the scores; the overlap is held fixed.

    Args:
        alike: whether each is of the same class, or the cosine of the class probabilities.
    """
    return overlap(box.to(boxes), boxes.detach()).to(scores) * scores * alike
