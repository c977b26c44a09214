"""What an image is compared with: a baseline by name, or an image of the caller's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from foveal.attribution.prepare import read
from foveal.errors import ImageError, MethodError
from foveal.methods.reference import BASELINES, baseline

if TYPE_CHECKING:
    from torch import Tensor

    from foveal.attribution.context import Context
    from foveal.images import ImageLike


def reference_of(context: Context, reference: str | ImageLike, x: Tensor) -> Tensor:
    """Shaped like x, one image.

    Args:
        reference: "blur", "zero" or "mean" of x; or an image, read as the model's own images are.

    Raises:
        ImageError: for text that is neither a baseline nor a file.
    """
    if isinstance(reference, str):
        if reference in BASELINES:
            return baseline(x, reference)
        if not Path(reference).exists():
            raise ImageError(f"unknown reference {reference!r}: give {', '.join(BASELINES)}, or the file of an image")
    return read(context.subject, reference).tensor[:1]


def reference_name(reference: str | ImageLike) -> str:
    """What results call it: the baseline's name, the file's name, or "given" for an image in memory."""
    if isinstance(reference, (str, Path)):
        return Path(reference).name
    return "given"


def chosen_reference(reference: str | ImageLike | None, *, used: bool, hint: str) -> str | ImageLike:
    """The reference, "blur" if left out.

    Raises:
        MethodError: for a reference that nothing would be compared with; `hint` says what compares.
    """
    if reference is not None and not used:
        raise MethodError(f"nothing would be compared with the reference {reference_name(reference)}: {hint}")
    return "blur" if reference is None else reference
