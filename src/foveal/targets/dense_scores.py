"""The scores of classes at each pixel, sample or voxel that a network returned, and masks at their size."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.nn import functional

from foveal.engine.address import tensor_parts
from foveal.errors import TargetError, counted
from foveal.targets.heads import NAMED
from foveal.targets.output_kind import describe_output

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

UNIT = {1: "sample", 2: "pixel", 3: "voxel"}
SCORES = {1: "samples (n, classes, length)", 2: "pixels (n, classes, h, w)", 3: "voxels (n, classes, d, h, w)"}
ADDRESS = {1: "(sample,)", 2: "(row, column)", 3: "(slice, row, column)"}
ASPECT = 0.02  # by how much the proportions of a mask may differ from those of the output


def region_scores(output: Any, space: tuple[int, ...] | None = None) -> Float[Tensor, "n k *space"]:
    """The scores of classes at each pixel, in whatever a network returned: a tensor, `out`, `.logits`, or the first.

    Args:
        space: the sides of the network's input; of an image where that is not known.

    Raises:
        TargetError: where nothing in it is (n, k, *space), or classes lie on its last axis.
    """
    axes = len(space) if space else 2
    parts = {"": output} if isinstance(output, Tensor) else tensor_parts(output)
    for name in [*(name for name in reversed(NAMED) if name in parts), *parts]:
        part = parts[name]
        if part.ndim == axes + 2 and part.is_floating_point():
            if space and tuple(part.shape[1:-1]) == space != tuple(part.shape[2:]):
                raise TargetError(
                    f"the model returned a tensor {tuple(part.shape)} with the classes on its last axis, and scores "
                    f"are taken at {SCORES[axes]}: move that axis with movedim(-1, 1) in its forward"
                )
            return part
    raise TargetError(
        f"the model returned {describe_output(output)}, and no scores at {SCORES[axes]}, so it has no "
        "regions: explain a class by its number or label"
    )


def fitted(
    mask: Bool[Tensor, ...], n: int, sides: tuple[int, ...], space: tuple[int, ...] | None
) -> Bool[Tensor, " n *space"]:
    """A mask (*space), or one per image, in the cells of the output.

    Args:
        sides: of the output.
        space: the sides of the network's input, if known.

    Raises:
        TargetError: for a mask that does not lie on the output, or marks nothing there.
    """
    given = tuple(mask.shape)
    unit = UNIT.get(len(sides), "cell")
    if mask.ndim not in (len(sides), len(sides) + 1):
        raise TargetError(
            f"a mask {given} does not lie on an output of {times(sides)} {unit}s: give one mask of this shape, or one "
            "per image"
        )
    mask = mask.expand(n, *mask.shape) if mask.ndim == len(sides) else mask
    if len(mask) != n:
        raise TargetError(f"{len(mask)} masks were given for {counted(n, 'image')}: give one, or one per image")
    own = tuple(mask.shape[1:])
    ratios = [side / other for side, other in zip(own, sides, strict=True)]
    askew = any(abs(a / b - 1) > ASPECT + 1 / min(sides) for a, b in combinations(ratios, 2))
    if askew or (len(sides) == 1 and own not in (sides, space)):  # along one axis, any length is in proportion
        raise TargetError(
            f"a mask of {times(own)} {unit}s does not lie on an output of {times(sides)}: give it at the size of the "
            "network's output or input"
        )
    if own != sides:
        mask = functional.interpolate(mask[:, None].float(), sides, mode="nearest-exact")[:, 0] > 0
    if not bool(mask.flatten(1).any(1).all()):
        raise TargetError(f"the mask of an image is empty at the size of the network's output: mark more {unit}s")
    return mask


def times(sides: Sequence[int]) -> str:
    """ "120 × 160"."""
    return " × ".join(map(str, sides))
