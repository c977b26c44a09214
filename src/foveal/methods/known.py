"""The methods of foveal by family. Adding one: a file with its formula, a line here, its test, its docs."""

from __future__ import annotations

from foveal.methods import (
    ablationcam,
    baselines,
    cam,
    deeplift,
    fam,
    gap,
    gradient,
    guided,
    occlusion,
    opticam,
    relevance,
    rise,
    scorecam,
)
from foveal.methods.registry import MethodRegistry

METHODS = MethodRegistry(
    {
        "Class activation maps": cam.FAMILY,
        "Backward rules": (*guided.FAMILY, *relevance.FAMILY),
        "Gradients of the input": gradient.FAMILY,
        "Channels shown or removed": (*scorecam.FAMILY, *ablationcam.FAMILY, *opticam.FAMILY),
        "Image regions hidden": (*occlusion.FAMILY, *rise.FAMILY),
        "Gradients against a baseline": (*baselines.FAMILY, *deeplift.FAMILY),
        "Similarity": fam.FAMILY,
        "Hierarchical parts": gap.FAMILY,
    }
)

WHOLE_CHANNELS = (
    "ablationcam", "gradcam", "gradcam++", "isscorecam", "opticam", "relevancecam", "scorecam", "sscorecam", "xgradcam",
)  # fmt: skip
"""Methods that give a whole channel one weight, wherever in it the evidence lies."""

USUAL = ("gradcam", "hirescam", "layercam", "lrp-gamma")
"""What is compared where no method is named; with a target that compares embeddings, `fam`, too."""

FAST = tuple(name for name, method in METHODS.items() if method.needs != "forwards" and not method.similarity)
"""Methods for any target that need one forward and at most one backward pass."""

COMPARING = tuple(name for name, method in METHODS.items() if method.similarity)
"""Methods for targets that compare embeddings."""
