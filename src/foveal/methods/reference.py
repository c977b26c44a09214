"""What an image is compared with where a method asks what its content adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.engine.blur import blurred
from foveal.errors import UnknownMethod
from foveal.methods.axes import space_of

if TYPE_CHECKING:
    from jaxtyping import Float

BASELINES = ("zero", "mean", "blur")


def baseline(x: Float[Tensor, "1 c *space"], name: str) -> Float[Tensor, "1 c *space"]:
    """An image like x without its content.

    zero    0 in the numbers the network takes: the mean color of the training photos under the usual normalization
    mean    each color's mean over this image
    blur    the image through a Gaussian whose deviation is an eighth of its shorter side

    Raises:
        MethodError: for any other name.
    """
    if name == "zero":
        return torch.zeros_like(x)
    if name == "mean":
        return x.mean(space_of(x), keepdim=True).expand_as(x).contiguous()
    if name == "blur":
        return blurred(x, min([side for side in x.shape[2:] if side > 1], default=1) / 8)
    raise UnknownMethod(f"there is no baseline {name!r}: say {', '.join(BASELINES)}")


def gap_of(M: Float[Tensor, "*space"], at_x: float, at_b: float) -> tuple[float, float]:
    """Σ M − (f(x) − f(b)), 0 where a map is complete; and the same as a share of that difference.

    Where the difference is less than a tenth of all that the map says for and against, it is a share of that tenth.
    """
    rise = at_x - at_b
    gap = float(M.sum()) - rise
    return gap, abs(gap) / max(abs(rise), 0.1 * float(M.abs().sum()), 1e-30)
