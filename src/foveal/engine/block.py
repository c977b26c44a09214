"""What lies between two layers, as the linear map it is around the point where the forward went.

    J   ∂ y / ∂ x at the x of the forward, for all images at once; never written out
    push(v) = J v, pull(u) = Jᵀ u

`pull` is a backward pass through the block. It is linear in u, so one differentiates it once more to get `push`:
neither runs the block again, and any sub-graph will do, whatever its modules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass
class Block:
    """From x, what one layer returned, to y, what a later one did; both live in the graph of a run.

    Attributes:
        x: (n, …), detached.
        y: (n, …), attached to the graph that leads back to x.
        origin: where gradients with respect to x arrive.
        module: the only module between them, if it is one and was fed x as it is.
    """

    x: Float[Tensor, "n ..."]
    y: Float[Tensor, "n ..."]
    origin: Tensor | GradientEdge = field(repr=False)
    module: nn.Module | None = None

    def __post_init__(self) -> None:
        self._twice: tuple[Tensor, Tensor] | None = None

    def pull(self, u: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        """Jᵀ u, like x."""
        found = self._grad(self.y, self.origin, u.to(self.y.dtype))
        return torch.zeros_like(self.x) if found is None else found

    def push(self, v: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        """J v, like y."""
        if self._twice is None:
            u = torch.zeros_like(self.y, requires_grad=True)
            with torch.enable_grad():
                self._twice = u, self._grad(self.y, self.origin, u, create_graph=True)
        u, pulled = self._twice
        if pulled is None or not pulled.requires_grad:
            return torch.zeros_like(self.y)
        found = self._grad(pulled, u, v.to(pulled.dtype))
        return torch.zeros_like(self.y) if found is None else found

    def forget(self) -> None:
        """Let go of the graph of `push`."""
        self._twice = None

    @staticmethod
    def _grad(of: Tensor, to: Any, weights: Tensor, *, create_graph: bool = False) -> Any:
        (found,) = torch.autograd.grad(of, to, weights, retain_graph=True, create_graph=create_graph, allow_unused=True)
        return found
