"""Decisions: what is being explained. One file a decision; `as_decision` accepts what people write.

Names are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal._lazy import lazily
from foveal.engine.task import Task, check_task
from foveal.targets.class_scores import class_scores  # at once: its module has the same name

if TYPE_CHECKING:
    from foveal.targets.against import Against
    from foveal.targets.asked import TargetLike, as_decision
    from foveal.targets.classes import Class, Margin
    from foveal.targets.comparison import Comparison
    from foveal.targets.corpus import Corpus
    from foveal.targets.custom import Custom
    from foveal.targets.direction import Direction
    from foveal.targets.group import Group
    from foveal.targets.heads import Head, read_head
    from foveal.targets.labels import Labels
    from foveal.targets.neighbors import Neighbors
    from foveal.targets.neuron import Neuron
    from foveal.targets.prototypes import Prototypes
    from foveal.targets.reference import ReferenceTarget, compares
    from foveal.targets.similar import Similar
    from foveal.targets.target import ModelOutput, NeedsModel, Target, TargetScore, with_layer_names
    from foveal.targets.value import Value

_HOME = {
    "Against": "against",
    "Class": "classes",
    "Comparison": "comparison",
    "Corpus": "corpus",
    "Custom": "custom",
    "Direction": "direction",
    "Group": "group",
    "Head": "heads",
    "Labels": "labels",
    "Margin": "classes",
    "ModelOutput": "target",
    "NeedsModel": "target",
    "Neighbors": "neighbors",
    "Neuron": "neuron",
    "Prototypes": "prototypes",
    "ReferenceTarget": "reference",
    "Similar": "similar",
    "Target": "target",
    "TargetLike": "asked",
    "TargetScore": "target",
    "Value": "value",
    "as_decision": "asked",
    "compares": "reference",
    "read_head": "heads",
    "with_layer_names": "target",
}

__all__ = [
    "Against",
    "Class",
    "Comparison",
    "Corpus",
    "Custom",
    "Direction",
    "Group",
    "Head",
    "Labels",
    "Margin",
    "ModelOutput",
    "NeedsModel",
    "Neighbors",
    "Neuron",
    "Prototypes",
    "ReferenceTarget",
    "Similar",
    "Target",
    "TargetLike",
    "TargetScore",
    "Task",
    "Value",
    "as_decision",
    "check_task",
    "class_scores",
    "compares",
    "read_head",
    "with_layer_names",
]

__getattr__ = lazily(__name__, _HOME)
