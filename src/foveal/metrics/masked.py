"""The score of a picture of which the map leaves something: Average Drop, Increase, Gain. Specification: metrics, 3."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from foveal.errors import MethodError
from foveal.metrics.baselines import BaselineName, baseline
from foveal.metrics.curves import Ask

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class Masked:
    """n pictures, each whole, as far as its map shows it, and as far as its map hides it; scores in 0..1.

    Attributes:
        whole, shown, hidden: (n,).
        mass: (n,), the mean of the mask; a mask of ones has no drop and says nothing.
    """

    whole: Float[Tensor, " n"]
    shown: Float[Tensor, " n"]
    hidden: Float[Tensor, " n"]
    mass: Float[Tensor, " n"]

    @property
    def drop(self) -> Float[Tensor, " n"]:
        """max(0, Y − O) / Y, lower is better; its mean in % is the Average Drop (Chattopadhay et al., 2018)."""
        return (self.whole - self.shown).clamp(min=0) / self.whole.clamp(min=1e-7)

    @property
    def increase(self) -> Float[Tensor, " n"]:
        """1 where O > Y, higher is better; its mean in % is the Average Increase."""
        return (self.shown > self.whole).to(self.whole)

    @property
    def gain(self) -> Float[Tensor, " n"]:
        """max(0, O − Y) / (1 − Y), higher is better (Zhang et al., 2023); NaN where nothing can be gained."""
        room = 1 - self.whole
        return torch.where(room > 1e-7, (self.shown - self.whole).clamp(min=0) / room.clamp(min=1e-7), torch.nan)

    @property
    def drop_in_deletion(self) -> Float[Tensor, " n"]:
        """(Y − O of the inverse mask) / Y, higher is better (Jung & Oh, 2021)."""
        return (self.whole - self.hidden) / self.whole.clamp(min=1e-7)


def mask_of(map: Float[Tensor, "n h w"], size: tuple[int, int]) -> Float[Tensor, "n 1 h2 w2"]:
    """The map between 0 and 1, image by image, at the picture's size; zeros for a map that is the same everywhere."""
    low, high = map.amin((1, 2), keepdim=True), map.amax((1, 2), keepdim=True)
    scaled = torch.where(high > low, (map - low) / torch.where(high > low, high - low, 1), 0)
    return functional.interpolate(scaled[:, None], size, mode="bilinear", align_corners=False)


def masked(
    ask: Ask,
    x: Float[Tensor, "n c h w"],
    maps: Float[Tensor, "n h w"],
    *,
    fill: BaselineName | Tensor | Callable[[Tensor], Tensor] = "zero",
) -> Masked:
    """What the network says of the pictures behind their maps.

    Args:
        ask: scores (n,) of n inputs, the same decision for each as on the whole picture; probabilities, or
            similarities that stay in 0..1.
        fill: what shows where the mask does not, see `baseline`.
    """
    if maps.ndim != 3 or len(maps) != len(x) or not bool(torch.isfinite(maps).all()):
        raise MethodError(
            f"{len(x)} pictures need as many maps (n, h, w) of finite numbers, but got {tuple(maps.shape)}"
        )
    mask, empty = mask_of(maps.to(x), (x.shape[2], x.shape[3])), baseline(x, fill)
    with torch.no_grad():
        whole, shown, hidden = (
            ask(one).detach().float().cpu() for one in (x, empty + mask * (x - empty), x + mask * (empty - x))
        )
    return Masked(whole, shown, hidden, mask.mean((1, 2, 3)).cpu())
