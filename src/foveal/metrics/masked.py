"""The score of an image of which the map leaves something: Average Drop, Increase, Gain. Specification: metrics, 3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.errors import MethodError
from foveal.images.place import Place, laid
from foveal.metrics.asking import WHOLE, AlteredCopies, Ask, Experiment, exactly, whole_score
from foveal.metrics.baselines import Fill, baseline, empty_key
from foveal.metrics.shape import unit
from foveal.metrics.statistics import pearson

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class Masked:
    """n images, each whole, as far as its map shows it, and as far as its map hides it; scores in 0..1.

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
        """max(0, Y − O) / Y, lower is better; its mean in % is the Average Drop (Chattopadhay et al., 2018).

        NaN where Y is not above 0, as a similarity may be.
        """
        return self._of_whole((self.whole - self.shown).clamp(min=0))

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
        """(Y − O of the inverse mask) / Y, higher is better (Jung & Oh, 2021); NaN where Y is not above 0."""
        return self._of_whole(self.whole - self.hidden)

    def _of_whole(self, lost: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        return torch.where(self.whole > 0, lost / self.whole.clamp(min=1e-7), torch.nan)


def mask_of(map: Float[Tensor, "n h w"], size: Sequence[int], place: Place | None = None) -> Float[Tensor, "n 1 h2 w2"]:
    """The map between 0 and 1, image by image, at the image's size; zeros for a map that is the same everywhere.

    `place` is where its cells lie on the image; None is edge to edge.
    """
    return laid(unit(map, axes=len(size))[:, None], size, place)


def masked(
    ask: Ask,
    x: Float[Tensor, "n c h w"],
    maps: Float[Tensor, "n h w"],
    *,
    fill: Fill = "zero",
    scaled: bool = True,
    whole: Float[Tensor, " n"] | None = None,
    seed: int = 0,
    place: Place | None = None,
) -> Masked:
    """What the network says of the images behind their maps.

    Args:
        ask: scores (n,) of n inputs, the same decision for each as on the whole image; probabilities, or
            similarities that stay in 0..1.
        fill: what shows where the mask does not, see `baseline`.
        scaled: each map is scaled to 0 … 1 first; else it is the mask as it is.
        whole: scores of the images as they are, where they are known.
        place: where the cells of the maps lie on the images; None is edge to edge.
    """
    if maps.ndim != x.ndim - 1 or len(maps) != len(x) or not bool(torch.isfinite(maps).all()):
        raise MethodError(f"{len(x)} images need as many maps (n, h, w) of finite numbers, but got {tuple(maps.shape)}")
    size = x.shape[2:]
    mask = mask_of(maps.to(x), size, place) if scaled else laid(maps[:, None].to(x), size, place)
    with torch.no_grad():
        shown, hidden = (exactly(ask)(behind).detach().float().cpu() for behind in _behind(x, mask, fill, seed))
        whole = ask(x).detach().float().cpu() if whole is None else whole
    return Masked(whole, shown, hidden, mask.mean(tuple(range(1, x.ndim))).float().cpu())


def masking(
    x: Float[Tensor, "1 c h w"],
    map: Float[Tensor, "h w"],
    *,
    fill: Fill = "zero",
    seed: int = 0,
    place: Place | None = None,
) -> Experiment[Masked]:
    """The experiment of `masked` for one image and its map."""
    mask = mask_of(map[None].to(x), x.shape[2:], place)
    whole = yield from whole_score(x)
    # A mask of zeros, which a constant map has, shows nothing and hides nothing.
    keys = (object(), object()) if bool(mask.any()) else (empty_key(fill, seed), WHOLE)

    def altered(numbers: Sequence[int]) -> Tensor:
        both = _behind(x, mask, fill, seed)
        return torch.cat([both[number] for number in numbers])

    scores = yield AlteredCopies(keys, altered, exact=True)
    shown, hidden = scores.float().split(1)
    return Masked(torch.tensor([whole]), shown, hidden, mask.mean(tuple(range(1, x.ndim))).float().cpu())


def _behind(x: Tensor, mask: Tensor, fill: Fill, seed: int) -> tuple[Tensor, Tensor]:
    """What the mask shows of the images, and what it leaves of them."""
    empty = baseline(x, fill, seed=seed)
    return empty + mask * (x - empty), x + mask * (empty - x)


def coherency(map: Float[Tensor, "h w"], again: Float[Tensor, "h w"]) -> float:
    """(1 + Pearson) / 2 of a map with the map of what it leaves of the image, 0 to 1; higher is better."""
    return (1 + pearson(map.detach().double().flatten().cpu(), again.detach().double().flatten().cpu())) / 2


def adcc(drop: float, coherency: float, complexity: float) -> float:
    """The harmonic mean of coherency, 1 − complexity and 1 − drop, 0 to 1 (Poppi et al., arXiv:2104.10252)."""
    parts = (coherency, 1 - complexity, 1 - drop)
    return 0.0 if min(parts) <= 0 else 3 / sum(1 / part for part in parts)
