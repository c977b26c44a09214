"""Several maps of one decision made into one: of several layers, or of one layer at several scales.

Maps of different layers have different units, so each is first brought to [−1, 1] by its own largest absolute value,
image by image; zero stays zero and signs stay. The one with the most cells lends its resolution, the others are
interpolated to it (bilinear), each from where its cells lie. With m_l the maps so prepared, at each cell:

    mean       1/L Σ_l m_l                        evidence of all layers, which may cancel
    product    ± (∏_l |m_l|)^(1/L)                the geometric mean where all agree in sign, 0 where they do not
    max        tanh(2 m_l), the one farthest from 0
                                                  LayerCAM's rule (Jiang et al., IEEE TIP 30, 2021, equation 9 with
                                                  γ = 2, and the maximum); there for maps ≥ 0, here for any
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.errors import ResultError
from foveal.images.place import Place, carried, laid

if TYPE_CHECKING:
    from jaxtyping import Float

GAMMA = 2.0


def fuse(
    maps: Sequence[Float[Tensor, "n h w"]],
    rule: str,
    *,
    places: Sequence[Place | None] = (),
    image: Sequence[int] = (1, 1),
) -> Float[Tensor, "n h w"]:
    """One map in [−1, 1] at the resolution of the finest, and in its place; maps may differ in size.

        fuse([torch.randn(2, 28, 28), torch.randn(2, 7, 7)], "mean").shape    # (2, 28, 28)

    Args:
        places: where the cells of each lie on an image of that size; edge to edge where they are None or left out.

    Raises:
        ResultError: for a rule there is not.
    """
    if rule not in RULES:
        raise ResultError(f"Cannot fuse maps by {rule!r}: the rules are {', '.join(RULES)}.")
    places = [*places] or [None] * len(maps)
    first = finest(maps)
    size, target = maps[first].shape[1:], places[first]
    each = [_resized(_unit(map), place, target, size, image) for map, place in zip(maps, places, strict=True)]
    return RULES[rule](torch.stack(each))


def finest(maps: Sequence[Float[Tensor, "n h w"]]) -> int:
    """Which map has the most cells."""
    return max(range(len(maps)), key=lambda i: maps[i][0].numel())


def mean(m: Float[Tensor, "l n h w"]) -> Float[Tensor, "n h w"]:
    """1/L Σ_l m_l."""
    return m.mean(0)


def product(m: Float[Tensor, "l n h w"]) -> Float[Tensor, "n h w"]:
    """± (∏_l |m_l|)^(1/L) where all m_l have one sign, else 0."""
    agreed = (m > 0).all(0).to(m.dtype) - (m < 0).all(0).to(m.dtype)
    # A root is not differentiable at 0, where the product is 0 anyway.
    size = torch.where(agreed == 0, 1, m.abs().prod(0))
    return agreed * size.pow(1 / len(m))


def largest(m: Float[Tensor, "l n h w"]) -> Float[Tensor, "n h w"]:
    """tanh(γ m_l) of the l for which it is farthest from 0."""
    scaled = torch.tanh(GAMMA * m)
    return scaled.gather(0, scaled.abs().argmax(0, keepdim=True))[0]


RULES: dict[str, Callable[[Tensor], Tensor]] = {"mean": mean, "product": product, "max": largest}


def _unit(map: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    size = map.abs().amax(tuple(range(1, map.ndim)), keepdim=True)
    return map / torch.where(size == 0, 1, size)


def _resized(
    map: Float[Tensor, "n h w"], place: Place | None, target: Place | None, size: Sequence[int], image: Sequence[int]
) -> Float[Tensor, "n h2 w2"]:
    """In the cells of another map."""
    if map.shape[1:] == size and place == target:
        return map
    if target is None:
        return laid(map, size, place, image)
    own = place or Place.covering(tuple(map.shape[1:]), tuple(image))
    return carried(map, own, target, size)
