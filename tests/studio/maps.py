"""Maps as they travel, read back."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def read_map(answer: Any) -> NDArray[np.float64]:
    """A `MapAnswer` as an array (h, w)."""
    values = np.frombuffer(base64.b64decode(answer["values"]), "<f2").astype(np.float64)
    return values.reshape(answer["rows"], answer["columns"]) * answer["scale"]
