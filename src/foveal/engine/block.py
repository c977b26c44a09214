"""What lies between two layers, as the linear map it is around the point where the forward went.

    J   ∂ y / ∂ x at the x of the forward, for all images at once; never written out
    push(v) = J v, pull(u) = Jᵀ u

`vjp` is a backward pass through the block. It is linear in u, so one differentiates it once more to get `jvp`:
neither runs the block again, and any sub-graph will do, whatever its modules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge

from foveal.engine.backward import weighted
from foveal.errors import MethodError

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
        self._twice: tuple[Tensor, Tensor | None] | None = None

    def vjp(self, u: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        """Jᵀ u, like x, in single precision at least."""
        size = _size(u, self.y.dtype)
        gradient = self._grad(self.y, self.origin, (u / size).to(self.y.dtype))
        return torch.zeros_like(self.x, dtype=_precise(u)) if gradient is None else gradient.to(_precise(u)) * size

    def jvp(self, v: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        """J v, like y, in single precision at least.

        Raises:
            MethodError: where an operation cannot be differentiated twice.
        """
        u, pulled = self._doubly
        if pulled is None:
            return torch.zeros_like(self.y, dtype=_precise(v))
        size = _size(v, pulled.dtype)
        try:
            tangent = self._grad(pulled, u, (v / size).to(pulled.dtype))
        except RuntimeError as error:
            raise _once(str(error).splitlines()[0]) from error
        if tangent is None and bool(pulled.any()):
            raise _once("an operation here has no second derivative")
        return torch.zeros_like(self.y, dtype=_precise(v)) if tangent is None else tangent.to(_precise(v)) * size

    @property
    def _doubly(self) -> tuple[Tensor, Tensor | None]:
        """u, and Jᵀ u with a graph to u; None for the latter where x does not matter."""
        if self._twice is None:
            u = torch.ones_like(self.y, requires_grad=True)
            with torch.enable_grad():
                pulled = self._grad(self.y, self.origin, u, create_graph=True)
            if pulled is not None and not pulled.requires_grad:
                if bool(pulled.any()):
                    raise _once("an operation here has no second derivative")
                pulled = None
            self._twice = u, pulled
        return self._twice

    def forget(self) -> None:
        """Let go of the graph of `jvp`."""
        self._twice = None

    @staticmethod
    def _grad(output: Tensor, to: Any, weights: Tensor, *, create_graph: bool = False) -> Any:
        (gradient,) = weighted(output, to, weights, retain_graph=True, create_graph=create_graph)
        return gradient


def _precise(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)


def _size(tensor: Tensor, dtype: torch.dtype) -> float:
    """What to divide by before half precision, in which small numbers vanish and large ones overflow."""
    return (float(tensor.detach().abs().amax()) or 1.0) if dtype.itemsize < 4 else 1.0


def _once(why: str) -> MethodError:
    return MethodError(f"operations between two layers cannot be inverted ({why}): use mode='exact' or other layers")
