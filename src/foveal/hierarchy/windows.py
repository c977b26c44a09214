"""Which window of the stage below a neuron needs, so that a block may run on windows instead of whole maps.

A window holds everything the neuron depends on, and ends where the map ends where the neuron's field reaches over it:
there the block's own zero padding is the right one. Elsewhere the padding touches cells that the neuron does not see.
Whether that holds is not assumed: the neuron's value in its window is compared with the recorded one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.hierarchy.contribution_rules import Frame, Pair

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from foveal.engine.structure import Stage


@dataclass(frozen=True)
class Windows:
    """How neurons of a stage see the stage below.

    Attributes:
        size: (h, w) of the stage below.
        pool: its cells to a cell of this stage, (y, x).
        middle: of what the first neuron sees in it, in cells from the edge, (y, x).
        side: (h, w) of a window; the whole map where that is no larger.
    """

    size: Pair
    pool: Pair
    side: Pair
    middle: tuple[float, float]

    @classmethod
    def between(cls, below: Stage, above: Stage, slack: int | None = 0) -> Windows:
        """Of neurons of `above` in `below`; whole maps where `slack` is None or the stage no multiple of the other.

        slack: cells of `above` that a window has to spare on each side, where strides lie crooked.
        """
        size: Pair = (below.shape[1], below.shape[2])
        ratios = [above.stride[axis] / below.stride[axis] for axis in (0, 1)]
        pool: Pair = (max(1, round(ratios[0])), max(1, round(ratios[1])))
        if slack is None or any(abs(ratio - step) > 1e-6 for ratio, step in zip(ratios, pool, strict=True)):
            return cls(size, pool, size, pool)
        middle = _middle(below, above) or (pool[0] / 2, pool[1] / 2)
        reach = [
            (above.receptive_field[axis] - below.receptive_field[axis]) / below.stride[axis] + 1 for axis in (0, 1)
        ]
        return cls(size, pool, size, middle).sized((round(reach[0]), round(reach[1])), slack)

    def sized(self, side: Pair, slack: int) -> Windows:
        """Windows of at least that side, on the pooling's grid, with `slack` cells of the stage above around it."""
        side_lengths = []
        for axis in (0, 1):
            step = self.pool[axis]
            cells = -(-side[axis] // step) * step + 2 * slack * step
            cells += (self.size[axis] - cells) % step  # so that a window at the lower border begins on the grid
            side_lengths.append(min(cells, self.size[axis]))
        return replace(self, side=(side_lengths[0], side_lengths[1]))

    @property
    def are_whole(self) -> bool:
        """Whether each window is the whole map."""
        return self.side == self.size

    def corners(self, places: Int[Tensor, "k 2"]) -> Int[Tensor, "k 2"]:
        """Upper left cells of the windows of neurons at these rows and columns."""
        starts = []
        for axis in (0, 1):
            step, side = self.pool[axis], self.side[axis]
            start = ((places[:, axis] * step + self.middle[axis] - side // 2) / step).floor().long() * step
            starts.append(start.clamp(0, max(0, self.size[axis] - side)))
        return torch.stack(starts, 1)

    def cut(self, A: Float[Tensor, "1 c h w"], corners: Int[Tensor, "k 2"]) -> Float[Tensor, "k c y x"]:
        """The windows."""
        h, w = self.side
        return torch.stack([A[0, :, y : y + h, x : x + w] for y, x in corners.tolist()])

    def around(self, G: Float[Tensor, "k c y x"], corners: Int[Tensor, "k 2"], outer: Windows) -> tuple[Tensor, Tensor]:
        """What lies in these windows, in the larger `outer` ones with zeros around it; and their corners."""
        margin = torch.tensor([(big - small) // 2 // step * step for big, small, step in
                               zip(outer.side, self.side, self.pool, strict=True)])  # fmt: skip
        most = torch.tensor([whole - big for whole, big in zip(outer.size, outer.side, strict=True)])
        at = torch.minimum((corners - margin).clamp(min=0), most)
        padded = G.new_zeros(*G.shape[:2], *outer.side)
        h, w = self.side
        for i, (y, x) in enumerate((corners - at).tolist()):
            padded[i, :, y : y + h, x : x + w] = G[i]
        return padded, at

    def frame(self, corners: Int[Tensor, "k 2"]) -> Frame:
        """Where windows with these corners lie in the stage below."""
        return Frame(self.size, corners, self.pool)

    def local(self, places: Int[Tensor, "k 2"], corners: Int[Tensor, "k 2"]) -> Int[Tensor, "k 2"]:
        """Where the neurons are in what the block makes of their windows."""
        return places - corners // torch.tensor(self.pool)


def _middle(below: Stage, above: Stage) -> tuple[float, float] | None:
    """Where the first cell of a stage lies among those of the stage below; None where it is not known, or mirrored."""
    inner, outer = below.place, above.place
    if inner is None or outer is None or inner.turned or outer.turned or min(*inner.step, *outer.step) <= 0:
        return None
    y, x = ((outer.offset[axis] - inner.offset[axis]) / inner.step[axis] + 0.5 for axis in (0, 1))
    return y, x
