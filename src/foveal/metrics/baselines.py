"""What stands where something was hidden."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from foveal.errors import MethodError, UnknownMethod, shown

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

BaselineName: TypeAlias = "Literal['zero', 'mean', 'blur', 'noise', 'black', 'impute']"
BASELINES: tuple[BaselineName, ...] = ("zero", "mean", "blur", "noise")
"""Those that are images of their own; "black" needs to know the color, and "impute" what is hidden."""

Fill: TypeAlias = "BaselineName | Tensor | Callable[[Tensor], Tensor]"


def hidden(
    x: Float[Tensor, "n c h w"], where: Bool[Tensor, "n 1 h w"], fill: Fill = "zero", *, seed: int = 0
) -> Float[Tensor, "n c h w"]:
    """The images with something else in these positions; "impute" makes it up from what stands around (ROAD)."""
    if isinstance(fill, str) and fill == "impute":
        from foveal.metrics.imputing import impute

        if x.ndim == 3:  # a picture one pixel high
            return impute(x[:, :, None], where[:, :, None], seed=seed)[:, :, 0]
        if x.ndim != 4:
            raise MethodError(
                f"what is hidden cannot be imputed in an input {tuple(x.shape)}, only in images and signals: "
                "say fill=mean, fill=blur or fill=zero"
            )
        return impute(x, where, seed=seed)
    return torch.where(where, baseline(x, fill, seed=seed), x)


def black(mean: Sequence[float], std: Sequence[float]) -> Float[Tensor, "c 1 1"]:
    """What preprocessing makes of a black pixel, (0 − mean) / std: the baseline that "zero" is often taken for."""
    return (-torch.tensor(list(mean)) / torch.tensor(list(std)))[:, None, None]


def baseline(
    x: Float[Tensor, "n c h w"],
    kind: Fill,
    *,
    seed: int = 0,
) -> Float[Tensor, "n c h w"]:
    """An image with nothing in it, as network input. Specification: metrics, section 1.

    Args:
        kind: "zero", the mean color of the data, which preprocessing maps to 0; "mean", each image's own mean
            color; "blur", the image through a Gaussian an eighth of its side wide; "noise", normal noise with the
            image's mean and deviation; a tensor that broadcasts to x, such as `black(mean, std)`; or what makes one
            of x. "impute" is the mean color where nothing is left to impute from.

    Raises:
        MethodError: for an unknown kind.
    """
    if isinstance(kind, Tensor):
        return kind.to(x).expand_as(x)
    if callable(kind):
        return kind(x)
    if kind == "zero":
        return torch.zeros_like(x)
    space = tuple(range(2, x.ndim))
    mean = x.mean(space, keepdim=True)
    if kind in ("mean", "impute"):
        return mean.expand_as(x)
    if kind == "blur":
        return _blurred(x) if x.ndim == 4 else _blurred_in_space(x)
    if kind == "noise":
        random = torch.Generator().manual_seed(seed)
        noise = torch.randn(x.shape[1:], generator=random, device="cpu").to(x)
        return mean + noise * x.std(space, keepdim=True)
    if kind == "black":
        raise MethodError("black depends on the preprocessing: pass foveal.metrics.black(mean, std) as baseline")
    raise UnknownMethod(f"there is no baseline {shown(kind)}: say {', '.join(BASELINES)}, or give a tensor")


def fill_key(kind: Fill, seed: int) -> Hashable:
    """The same for fills that are the same on one image, as long as those given as tensors or functions live."""
    if not isinstance(kind, str):
        return id(kind)
    return (kind, seed) if kind in ("noise", "impute") else kind


def empty_key(kind: Fill, seed: int) -> Hashable:
    """The same for what `baseline` makes of one image."""
    return "empty", fill_key("mean" if isinstance(kind, str) and kind == "impute" else kind, seed)


def _blurred_in_space(x: Float[Tensor, "n c *space"]) -> Float[Tensor, "n c *space"]:
    """The same along any number of axes, each as the rows of a picture."""
    for dim in range(2, x.ndim):
        first = x.movedim(dim, 2)
        x = _blurred(first.flatten(3) if x.ndim > 3 else first[..., None], (2,)).view(first.shape).movedim(2, dim)
    return x


def _blurred(x: Float[Tensor, "n c h w"], dims: Sequence[int] = (2, 3)) -> Float[Tensor, "n c h w"]:
    """One pass along each side; the border is mirrored, so it does not darken."""
    for dim in dims:
        size = x.shape[dim]
        sigma = size / 8
        reach = min(round(3 * sigma), size - 1)
        at = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
        weights = (-(at**2) / (2 * sigma**2)).exp()
        weights = weights / weights.sum()
        shape = [1, 1, -1, 1] if dim == 2 else [1, 1, 1, -1]
        pad = [0, 0, reach, reach] if dim == 2 else [reach, reach, 0, 0]
        channels = x.shape[1]
        kernel = weights.view(shape).expand(channels, 1, *shape[2:]).clone()
        kernel = kernel.view(channels, 1, *((-1, 1) if dim == 2 else (1, -1)))
        x = functional.conv2d(functional.pad(x, pad, mode="reflect"), kernel, groups=channels)
    return x
