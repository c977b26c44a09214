"""The form in which detectors of torchvision, and many others, return what they found: one record an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

BOXES, LABELS, SCORES = "boxes", "labels", "scores"
PROBABILITIES = "probabilities"
"""(k, classes) of each box, which a record may have, too."""


def box_records(output: Any) -> Sequence[Mapping[str, Tensor]] | None:
    """The records of boxes (k, 4), labels (k,) and scores (k,), one an image; None where the output is no such list."""
    if not isinstance(output, list | tuple) or not output:
        return None
    return output if all(isinstance(record, Mapping) and _complete(record) for record in output) else None


def _complete(record: Mapping[Any, Any]) -> bool:
    return all(isinstance(record.get(key), Tensor) for key in (BOXES, LABELS, SCORES))
