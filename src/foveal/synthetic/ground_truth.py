"""The deciding part of a drawn image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from foveal.synthetic import CLASS_NAMES, differing_parts, sibling
from foveal.synthetic.agreement import SMALLEST
from foveal.synthetic.scene import LABELS
from foveal.targets.classes import Margin

if TYPE_CHECKING:
    from foveal.synthetic.splits import Example


def deciding_part(class_name: str) -> str:
    """The one part in which a species differs from its sibling."""
    (part,) = differing_parts(class_name, sibling(class_name))
    return part


def decides_visibly(example: Example) -> bool:
    """Whether the deciding part is visible; if it is hidden, no map can mark it."""
    part = deciding_part(CLASS_NAMES[example.target])
    return int((example.labels == LABELS[part]).sum()) >= SMALLEST


def sibling_margin(class_names: Sequence[str]) -> Margin:
    """The target for why this species and not its sibling."""
    return Margin([CLASS_NAMES.index(s) for s in class_names], [CLASS_NAMES.index(sibling(s)) for s in class_names])
