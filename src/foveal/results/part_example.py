"""A photo of a set in which a part is strong."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jaxtyping import Float, UInt8
    from torch import Tensor

Order: TypeAlias = Literal["contribution", "activation"]
ORDERS: tuple[Order, ...] = ("contribution", "activation")


@dataclass(frozen=True, eq=False)
class PartExample:
    """Where a photo shows a part.

    Attributes:
        order: what the part is strong by: its contribution to the same target, or its activation.
        file: the photo.
        value: of u the part's channels, Σ u = 1: Σ u_c R_c over the photo, or the largest Σ u_c A_c of a position.
        box: x0, y0, x1, y1 in the network's input, where it is strongest.
        pixels: (y, x, 3), the photo in this box.
        map: (h, w), Σ u_c R_c or Σ u_c A_c in this box; NaN where the network did not look.
    """

    order: Order
    file: Path
    value: float
    box: tuple[float, float, float, float]
    pixels: UInt8[Tensor, "y x 3"] = field(repr=False)
    map: Float[Tensor, "h w"] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """All but pixels and map, of which it has the shapes."""
        return {
            "order": self.order, "file": str(self.file), "value": self.value, "box": list(self.box),
            "pixels": list(self.pixels.shape), "shape": list(self.map.shape),
        }  # fmt: skip

    @staticmethod
    def from_dict(row: Mapping[str, Any], pixels: Tensor, map: Tensor) -> PartExample:
        """What `to_dict` said, with its pixels and map."""
        x0, y0, x1, y1 = row["box"]
        return PartExample(row["order"], Path(row["file"]), float(row["value"]), (x0, y0, x1, y1), pixels, map)
