"""Occlusion: cover a window, see what the score loses, move on."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from foveal.attribution.method import Method
from foveal.engine.blur import blurred
from foveal.errors import MethodError
from foveal.methods.axes import space_of
from foveal.methods.masks import single

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.attribution.perturbation import PerturbationScorer
    from foveal.engine.precision import Precision

Fill = Literal["zero", "mean", "blur"]


def occlusion(
    probe: PerturbationScorer,
    *,
    window: int | None = None,
    stride: int | None = None,
    fill: Fill = "zero",
    precision: Precision = "float32",
    chunk: int | None = None,
) -> Float[Tensor, "*space"]:
    """The drop of the score when a window is covered, averaged at each pixel over the windows that cover it.

    Windows are squares of `window` pixels (an eighth of the shortest side that has more than one), `stride` pixels
    apart (half a window); the last of a row or column ends with the image. Of signals they are stretches, of volumes
    cubes. At a layer other than the input they cover cells of all channels.
    """
    A = probe.A
    sides = tuple(A.shape[2:])
    window = window or max(1, min([side for side in sides if side > 1], default=1) // 8)
    window = min(window, max(sides))
    stride = stride or max(1, window // 2)
    if stride > window:
        raise MethodError(f"windows of {window} pixels every {stride} leave gaps: choose a stride of {window} or less")
    places = [*product(*(_stretches(side, min(window, side), stride) for side in sides))]
    cover = _cover(A, fill, window)

    def covered(start: int, stop: int) -> Tensor:
        copies = A.repeat(stop - start, *[1] * (A.ndim - 1))
        for copy, place in zip(copies, places[start:stop], strict=True):
            copy[(slice(None), *place)] = cover[0][(slice(None), *place)]
        return copies

    scores = probe.resumed(covered, len(places), chunk=chunk, precision=precision)
    drops = (probe.score - scores).tolist()
    total, times = (torch.zeros(sides, dtype=torch.float64, device="cpu") for _ in range(2))
    for place, drop in zip(places, drops, strict=True):
        total[place] += drop
        times[place] += 1
    return (total / times).to(single(A))


def _stretches(side: int, window: int, stride: int) -> list[slice]:
    """Where windows lie along one axis."""
    starts = sorted({*range(0, side - window + 1, stride), side - window})
    return [slice(start, start + window) for start in starts]


def _cover(A: Float[Tensor, "1 c *space"], fill: str, window: int) -> Float[Tensor, "1 c *space"]:
    """What lies under a covered window."""
    if fill == "zero":
        return torch.zeros_like(A)
    if fill == "mean":
        return A.mean(space_of(A), keepdim=True).expand_as(A)
    if fill == "blur":
        return blurred(A, window / 2)
    raise MethodError(f"cannot cover windows with {fill!r}: say fill=zero, fill=mean or fill=blur")


FAMILY = (
    Method(
        "occlusion", "Occlusion", occlusion, "forwards",
        "what the score loses under a sliding window; measured on the network itself, as coarse as the window",
        "Zeiler & Fergus, ECCV 2014, arXiv:1311.2901",
        place="input",
        options={"window": None, "stride": None, "fill": "zero", "precision": "float32", "chunk": None},
        cost="1/window",
    ),
)  # fmt: skip
