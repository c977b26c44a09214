"""Baseline maps: they ignore the network or the decision. A method that does not beat them has shown nothing.

They take network input (n, c, h, w) and give maps (n, h', w').
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, UInt8
    from numpy.typing import NDArray

CELLS = 20  # a side of the random map, as fine as a last stage


def random_map(x: Float[Tensor, "n c h w"], *, seed: int = 0) -> Float[Tensor, "n h2 w2"]:
    """Uniform noise, another for every image; the same for the same image and seed."""
    size = [min(CELLS, side) for side in x.shape[2:]]
    own = [int(picture.double().abs().sum().mul(1e3).round()) % 2**31 for picture in x]
    return torch.stack(
        [torch.rand(size, generator=torch.Generator().manual_seed(seed * 2**31 + number)) for number in own]
    ).to(x)


def center_map(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
    """A Gaussian in the middle, a quarter of each side wide: where photographers put things."""
    lines = [torch.linspace(-2, 2, size + 1).unfold(0, 2, 1).mean(1) for size in x.shape[2:]]
    squares = torch.stack(torch.meshgrid(*(line**2 for line in lines), indexing="ij")).sum(0)
    blob: Tensor = (-squares / 2).exp()
    return blob.to(x).expand(len(x), *blob.shape)


def edge_map(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
    """Sobel's: how fast the mean of the channels changes; of signals and volumes by differences of neighbors."""
    if x.ndim != 4:
        return _differences(x.mean(1))
    sobel = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]]) / 8
    kernels = torch.stack([sobel, sobel.T])[:, None].to(x)
    gray = functional.pad(x.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    slope: Tensor = functional.conv2d(gray, kernels)
    return slope.pow(2).sum(1).sqrt()


def _differences(gray: Float[Tensor, " n *space"]) -> Float[Tensor, " n *space"]:
    """‖∇x‖₂, central differences along each axis."""
    along = [dim for dim in range(1, gray.ndim) if gray.shape[dim] > 1]
    slopes = torch.gradient(gray, dim=along) if along else [torch.zeros_like(gray)]
    return torch.stack([slope**2 for slope in slopes]).sum(0).sqrt()


def constant_map(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
    """The same everywhere: what is measured of it is the metric's own zero."""
    return torch.ones(len(x), *(min(CELLS, side) for side in x.shape[2:])).to(x)


def norm_map(A: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
    """‖A‖₂ over the channels of a layer: what the network looks at, whatever it decides."""
    return A.detach().float().pow(2).sum(1).sqrt()


BASELINE_MAPS: dict[str, Callable[[Tensor], Tensor]] = {
    "random": random_map,
    "center": center_map,
    "edges": edge_map,
    "constant": constant_map,
}
"""Beside these, "activation": `norm_map` of the layer that is explained."""


def baseline_map_of_photo(name: str, photo: UInt8[NDArray[np.uint8], "h w 3"]) -> Float[NDArray[np.float64], "h w"]:
    """A map of `BASELINE_MAPS` for a photo, in its pixels; the same for the same photo."""
    x = torch.from_numpy(photo).permute(2, 0, 1)[None].double()
    map: Tensor = functional.interpolate(BASELINE_MAPS[name](x)[None], photo.shape[:2])[0, 0]
    return map.numpy()
