"""The measured effect of parts: the network runs with a part of the activations moved to the reference's.

    alone      v(all) − v(all but k)                              what is lost without part k
    average    E[v(S and k) − v(S)] over sets S of other parts    its Shapley value, by sampled orders, each forwards
               and backwards; the averages of all parts sum to v(all) − v(none), as the claimed shares do
    random     the same as alone, with as much of the activations moved at random channels and positions
    together   v(all) − v(all but the children shown)

(Shapley 1953; order sampling with antithetic pairs: Mitchell et al., JMLR 2022, arXiv:2104.12199.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.results.feature_graph import Feature

PAIRS = 4  # of orders, each with its reverse
AT_ONCE = 2**21  # numbers of the stage that go through the network together: under half a second of one core


@dataclass(frozen=True, eq=False)
class PartEffects:
    """What parts of a stage do to features of the stage above.

    Attributes:
        parts: w_k of the stage.
        A: its activations.
        difference: A less those of the reference.
        read: maps of the stage -> the features' values with them, (maps, features).
        tick: hears how many runs are done, of how many.
    """

    parts: Float[Tensor, "k c h w"]
    A: Float[Tensor, "1 c h w"]
    difference: Float[Tensor, "1 c h w"]
    read: Callable[[Tensor], Tensor]
    tick: Callable[[int, int], None]

    def measure(self, features: Sequence[Feature]) -> None:
        """Give every edge its effects, as shares of its parent's value, and every feature that of all its children.

        The value is signed, as it is where shares are taken: what is for a parent below 0 is below 0.
        """
        k = len(self.parts)
        orders = self._orders(k)
        every, one = torch.ones(1, k), torch.eye(k)
        shown = [[edge.child.part or 0 for edge in feature.edges or ()] for feature in features]
        there = torch.cat([every, every - one, *(1 - one[parts].sum(0, keepdim=True) for parts in shown),
                           *map(_growing, orders)])  # fmt: skip
        total = len(there) + k
        values = self._without(1 - there, total)
        whole, alone, rest, grown = values.split([1, k, len(shown), (k + 1) * len(orders)])
        random = self._moved(self._shuffled().split(self._rows), len(there), total)
        average = torch.zeros_like(alone)
        for order, steps in zip(orders, grown.split(k + 1), strict=True):
            average[order] += steps.diff(dim=0) / len(orders)
        for f, feature in enumerate(features):
            size = float(whole[0, f] - grown[0, f]) or 1e-12
            for edge in feature.edges or ():
                part = edge.child.part
                edge.effect = float(whole[0, f] - alone[part, f]) / size
                edge.random = float(whole[0, f] - random[part, f]) / size
                edge.average = float(average[part, f]) / size
            feature.together = float(whole[0, f] - rest[f, f]) / size

    def _without(self, removed: Float[Tensor, "m k"], total: int) -> Float[Tensor, "m f"]:
        """With these parts moved to the reference, set by set."""
        few = removed.split(self._rows)
        return self._moved((torch.einsum("mk,kchw->mchw", each.to(self.parts), self.parts) for each in few), 0, total)

    def _shuffled(self) -> Float[Tensor, "k c h w"]:
        """Each part's shares at other channels and positions."""
        chance = torch.Generator().manual_seed(0)
        orders = [torch.randperm(part.numel(), generator=chance).to(part.device) for part in self.parts]
        return torch.stack(
            [part.flatten()[order].view_as(part) for part, order in zip(self.parts, orders, strict=True)]
        )

    @property
    def _rows(self) -> int:
        return max(1, AT_ONCE // self.A.numel())

    def _moved(self, masks: Iterable[Float[Tensor, "m c h w"]], done: int, total: int) -> Float[Tensor, "n f"]:
        """The values with these shares of A moved to the reference, chunk by chunk."""
        values = []
        for few in masks:
            self.tick(done, total)
            values.append(self.read(self.A - few * self.difference).double().cpu())
            done += len(few)
        return torch.cat(values)

    @staticmethod
    def _orders(k: int) -> list[Tensor]:
        chance = torch.Generator().manual_seed(0)
        orders = [torch.randperm(k, generator=chance) for _ in range(PAIRS)]
        return [each for order in orders for each in (order, order.flip(0))]


def _growing(order: Tensor) -> Float[Tensor, "k+1 k"]:
    """The empty set, then one more part at a time."""
    k = len(order)
    sets = torch.zeros(k + 1, k)
    for step, part in enumerate(order.tolist()):
        sets[step + 1 :, part] = 1
    return sets
