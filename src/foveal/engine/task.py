"""What a network's output means."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, cast, get_args

from foveal.errors import UnknownModel, shown

Task: TypeAlias = Literal["classes", "labels", "value", "embedding", "regions", "boxes"]
"""What a network's output means: scores of classes of which one holds, of labels of which any number may hold, values
that are predicted (regression), an embedding, scores of classes at each pixel (segmentation), or boxes around objects
(detection)."""


def check_task(task: Any) -> Task | None:
    """The task, if it is one. Raises ModelError for anything else but None."""
    if task is not None and (not isinstance(task, str) or task not in get_args(Task)):
        raise UnknownModel(f"there is no task {shown(task)}: a network gives {', '.join(get_args(Task))}")
    return cast("Task | None", task)
