"""What an image is compared with: a baseline by name, or an image of the caller's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.attribution.prepare import read
from foveal.methods.reference import BASELINES, baseline

if TYPE_CHECKING:
    from torch import Tensor

    from foveal.attribution.context import Context
    from foveal.images import ImageLike


def reference_of(context: Context, reference: str | ImageLike, x: Tensor) -> Tensor:
    """Shaped like x, one image.

    Args:
        reference: "blur", "zero" or "mean" of x; or an image, read as the model's own images are.
    """
    if isinstance(reference, str) and reference in BASELINES:
        return baseline(x, reference)
    return read(context.subject, reference).tensor[:1]
