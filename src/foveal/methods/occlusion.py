"""Occlusion: cover a window, see what the score loses, move on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from foveal.errors import MethodError
from foveal.methods.masks import single
from foveal.methods.method import Method

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.probe import Probe

Fill = Literal["zero", "mean", "blur"]
SPACE = (-2, -1)


def occlusion(
    probe: Probe,
    *,
    window: int | None = None,
    stride: int | None = None,
    fill: Fill = "zero",
    chunk: int | None = None,
) -> Float[Tensor, "h w"]:
    """The drop of the score when a window is covered, averaged at each pixel over the windows that cover it.

    Windows are squares of `window` pixels (an eighth of the shorter side), `stride` pixels apart (half a window);
    the last of a row or column ends with the image. At a layer other than the input they cover cells of all channels.
    """
    A = probe.A
    h, w = A.shape[2:]
    window = min(window or max(1, min(h, w) // 8), h, w)
    stride = stride or max(1, window // 2)
    if stride > window:
        raise MethodError(f"windows of {window} pixels every {stride} leave gaps: choose a stride of {window} or less")
    corners = [(y, x) for y in _starts(h, window, stride) for x in _starts(w, window, stride)]
    cover = _cover(A, fill, window)

    def covered(start: int, stop: int) -> Tensor:
        copies = A.repeat(stop - start, 1, 1, 1)
        for copy, (y, x) in zip(copies, corners[start:stop], strict=True):
            copy[:, y : y + window, x : x + window] = cover[0, :, y : y + window, x : x + window]
        return copies

    scores = probe.resumed(covered, len(corners), chunk=chunk)
    drops = (probe.score - scores).tolist()
    total, times = (torch.zeros(h, w, dtype=torch.float64, device="cpu") for _ in range(2))
    for (y, x), drop in zip(corners, drops, strict=True):
        total[y : y + window, x : x + window] += drop
        times[y : y + window, x : x + window] += 1
    return (total / times).to(single(A))


def _starts(side: int, window: int, stride: int) -> list[int]:
    return sorted({*range(0, side - window + 1, stride), side - window})


def _cover(A: Float[Tensor, "1 c h w"], fill: str, window: int) -> Float[Tensor, "1 c h w"]:
    """What lies under a covered window."""
    if fill == "zero":
        return torch.zeros_like(A)
    if fill == "mean":
        return A.mean(SPACE, keepdim=True).expand_as(A)
    if fill == "blur":
        return blurred(A, window / 2)
    raise MethodError(f"cannot cover windows with {fill!r}: say fill=zero, fill=mean or fill=blur")


def blurred(A: Float[Tensor, "1 c h w"], sigma: float) -> Float[Tensor, "1 c h w"]:
    """A Gaussian of deviation `sigma` over each channel; the border repeats outside."""
    reach = max(1, round(3 * sigma))
    at = torch.arange(-reach, reach + 1, device=A.device, dtype=torch.float64)
    kernel = (-(at**2) / (2 * max(sigma, 1e-6) ** 2)).exp()
    kernel = (kernel / kernel.sum()).to(A.dtype)
    planes = A.transpose(0, 1)
    planes = conv2d(pad(planes, (0, 0, reach, reach), mode="replicate"), kernel.view(1, 1, -1, 1))
    planes = conv2d(pad(planes, (reach, reach, 0, 0), mode="replicate"), kernel.view(1, 1, 1, -1))
    return planes.transpose(0, 1)


FAMILY = (
    Method(
        "occlusion", "Occlusion", occlusion, "forwards",
        "what the score loses when a window is covered; the network's own answer, as coarse as the window",
        "Zeiler & Fergus, ECCV 2014, arXiv:1311.2901",
        place="input",
        options={"window": None, "stride": None, "fill": "zero", "chunk": None},
    ),
)  # fmt: skip
