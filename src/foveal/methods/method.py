"""What a method is: a formula over activations and cotangents, and what is worth knowing about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float

Formula = Callable[[Tensor, Tensor], Tensor]
"""(A, G) -> map: (n, c, h, w), (n, c, h, w) -> (n, h, w). Formulas that need no gradient ignore G."""

Caution = Callable[[Tensor, Tensor, Tensor], "str | None"]
"""(A, G, map) -> what a reader must know before believing this map, or None."""


@dataclass(frozen=True)
class Method:
    """A way to explain.

    Attributes:
        name: what `method=` and `--method` take.
        title: the name in print.
        formula: from activations A and cotangents G = d score / d A to the raw, signed map.
        needs: "activations" (no decision, no gradient; the forward stops at the layer) or "gradients".
        about: one line: what the map shows and when it is exact.
        condition: where it applies, "any layer" mostly.
        citation: the source.
        caution: looks at a finished map for a known trap of the method.
        between: names of the operations that may lie between the layer and the score; None for any.
    """

    name: str
    title: str
    formula: Formula
    needs: Literal["activations", "gradients"]
    about: str
    citation: str
    condition: str = "any layer"
    caution: Caution | None = None
    between: frozenset[str] | None = None

    def __call__(self, A: Float[Tensor, "n c h w"], G: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
        """The map, computed in single precision at least."""
        # Formulas look at each image on its own, so a processor may take as many at once as fit its cache:
        # the intermediate results of a large batch would go through main memory, several times slower.
        rows = max(1, _CACHED // A[0].numel()) if A.device.type == "cpu" else len(A)
        parts = [
            self.formula(_at_least_single(a), _at_least_single(g))
            for a, g in zip(A.split(rows), G.split(rows), strict=True)
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts)


_CACHED = 2**20  # numbers


def _at_least_single(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype.itemsize < 4 else tensor
