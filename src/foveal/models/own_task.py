"""What a network itself says of its output: by the configuration that its library left on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from foveal.models.labels import outputs_of
from foveal.storage.reading import DAMAGE

if TYPE_CHECKING:
    from torch import nn

    from foveal.engine.task import Task

Known: TypeAlias = "tuple[Task | None, str]"
"""A task and how it is known; (None, "") where it is not."""

SAID = "as given by task="
TIMM, TORCHVISION, TRANSFORMERS = "timm's configuration", "a classifier of torchvision", "problem_type of its config"
IMAGENET = 1000
PROBLEMS: Mapping[str, Task] = {
    "single_label_classification": "classes",
    "multi_label_classification": "labels",
    "regression": "value",
}
"""problem_type of transformers -> task."""


def own_task(module: nn.Module) -> Known:
    """The task that the network's own configuration tells.

    timm             as many outputs as its weights have classes; none is an embedding
    torchvision      a classifier of the 1000 classes of ImageNet, for which all of them are built
    transformers     `config.problem_type`
    """
    for found in (_of_timm, _of_torchvision, _of_transformers):
        try:
            task, source = found(module)
        except DAMAGE:  # whatever a property of a stranger's network raises
            continue
        if task:
            return task, source
    return None, ""


def _of_timm(module: Any) -> Known:
    count = getattr(module, "num_classes", None)
    if not isinstance(count, int) or isinstance(count, bool):
        return None, ""
    if count == 0:
        return "embedding", "it has no classes, num_classes=0"
    configured = getattr(module, "pretrained_cfg", None)
    trained = configured.get("num_classes") if isinstance(configured, Mapping) else None
    return ("classes", TIMM) if trained == count else (None, "")


def _of_torchvision(module: Any) -> Known:
    home = type(module).__module__
    ours = home.startswith("torchvision.models.") and home.count(".") == 2
    return ("classes", TORCHVISION) if ours and outputs_of(module) == IMAGENET else (None, "")


def _of_transformers(module: Any) -> Known:
    config = getattr(module, "config", None)
    problem = getattr(config, "problem_type", None)
    task = PROBLEMS.get(problem) if isinstance(problem, str) else None
    return (task, TRANSFORMERS) if task else (None, "")
