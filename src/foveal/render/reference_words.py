"""What an image is compared with, in words: for captions of differences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

KNOWN = {
    "given": "an image that the caller gave",
    "blur": "the same image, blurred",
    "zero": "an input of zeros",
    "mean": "an image of its mean color",
}


def reference_words(parameters: Mapping[str, Any]) -> str | None:
    """ "the same image, blurred"; None for results that compare with nothing."""
    name = parameters.get("reference")
    return KNOWN.get(str(name), f"the image {name}" if name else None)
