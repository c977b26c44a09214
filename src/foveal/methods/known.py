"""The methods of foveal by family. Adding one: a file with its formula, its name here, its test, its docs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from foveal.methods.registry import MethodRegistry

METHODS = MethodRegistry(
    {
        "Class activation maps": ("cam",),
        "Backward rules": ("guided", "relevance"),
        "Gradients of the input": ("gradient",),
        "Channels shown or removed": ("scorecam", "ablationcam", "opticam"),
        "Image regions hidden": ("occlusion", "rise"),
        "Gradients against a baseline": ("baselines", "deeplift"),
        "Similarity": ("fam",),
        "Hierarchical parts": ("gap",),
    }
)

WHOLE_CHANNELS = (
    "ablationcam", "gradcam", "gradcam++", "isscorecam", "opticam", "relevancecam", "scorecam", "sscorecam", "xgradcam",
)  # fmt: skip
"""Methods that give a whole channel one weight, wherever in it the evidence lies."""

USUAL = ("gradcam", "hirescam", "layercam", "lrp-gamma")
"""What is compared where no method is named; with a target that compares embeddings, `fam`, too."""

if TYPE_CHECKING:
    FAST: tuple[str, ...]
    """Methods for any target that need one forward and at most one backward pass."""

    COMPARING: tuple[str, ...]
    """Methods for targets that compare embeddings."""


def __getattr__(name: str) -> Any:
    """FAST and COMPARING are what the methods themselves say, so that all are imported to know them."""
    if name not in ("FAST", "COMPARING"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    own = {key: method for key, method in METHODS.items() if key not in METHODS.registered}
    global FAST, COMPARING
    FAST = tuple([key for key, method in own.items() if method.needs != "forwards" and not method.similarity])
    COMPARING = tuple([key for key, method in own.items() if method.similarity])
    return globals()[name]
