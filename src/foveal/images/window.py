"""A window of a larger map."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


def placed(map: Float[Tensor, "y x"], corner: tuple[int, int], size: tuple[int, ...]) -> Float[Tensor, "h w"]:
    """What lies in a window, on the whole stage; zero elsewhere."""
    if map.shape == size:
        return map
    whole = map.new_zeros(size)
    whole[corner[0] : corner[0] + map.shape[0], corner[1] : corner[1] + map.shape[1]] = map
    return whole
