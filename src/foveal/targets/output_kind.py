"""What a network returned, where it is not the scores of classes: boxes, scores at each pixel, or something else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from foveal.engine.address import tensor_parts
from foveal.engine.box_records import box_records


def kind_of(output: Any, space: tuple[int, ...] | None = None) -> str:
    """ "boxes", "regions", or "" where the output is something else; `space` are the sides of the network's input."""
    if box_records(output):
        return "boxes"
    parts = [output] if isinstance(output, Tensor) else [*tensor_parts(output).values()]
    axes = len(space) if space else 2
    maps = [part for part in parts if part.ndim == axes + 2 and part.is_floating_point() and part[0, 0].numel() > 1]
    return "regions" if maps and not any(part.ndim in (1, 2) for part in parts) else ""


def no_scores(output: Any) -> str:
    """What to say of an output in which no scores are."""
    kind = kind_of(output)
    if kind == "boxes":
        return "this network finds boxes and gives no class scores: explain one of its boxes, as in foveal.Box(0)"
    if kind == "regions":
        return (
            f"this network gives scores at each pixel, {describe_output(output)}, and none for a whole image: explain "
            "the mean score of a class over a region, as in foveal.Region() (in Python also target=lambda output: … "
            "with one score per image, shape (n,))"
        )
    return (
        f"the model returned {describe_output(output)}, and no class scores (n, classes) were found in it: "
        "for an embedding, compare images with foveal.match; a detector must return a list with a record of boxes, "
        "labels and scores for each image (in Python also foveal.Box(read=function), or target=lambda output: … with "
        "one score per image, shape (n,))"
    )


def describe_output(output: Any) -> str:
    """What a model returned, by type and shapes."""
    if isinstance(output, Tensor):
        return f"a tensor {tuple(output.shape)}"
    if isinstance(output, list | tuple) and output and isinstance(output[0], Mapping):
        return f"{type(output).__name__} of {len(output)}: {describe_output(output[0])}"
    parts = ", ".join(f"{key}: {tuple(part.shape)}" for key, part in tensor_parts(output).items())
    return f"{type(output).__name__}({parts})"
