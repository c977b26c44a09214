"""Several labels of each image as decisions of their own: a map a label, from one forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from foveal.errors import TargetError
from foveal.targets.class_names import plain
from foveal.targets.classes import Class
from foveal.targets.target import ModelOutput, TargetScore

Names: TypeAlias = "Sequence[int | str] | None"


@dataclass(frozen=True)
class Labels:
    """All labels of each image, or those named: a map, a score and a probability for each of them.

        foveal.Labels()    foveal.Labels(["edema", "effusion"])    foveal.Labels([0, 3])

    The result has a row for every label of every image, image by image: with m labels, rows 0 to m − 1 are of the first
    image. Methods of activations and gradients run one forward pass over the images, and a backward pass a label from
    the score to the layer.

    Args:
        which: indices or labels; None for every output.

    Raises:
        TargetError: for a single name instead of a list, and for none.
    """

    which: Names = None

    def __post_init__(self) -> None:
        which = plain(self.which)
        if which is not None and (not isinstance(which, list) or not which):
            raise TargetError(
                "several labels are given as a list that names at least one "
                "(in Python foveal.Labels(['edema', 'mass']))"
            )
        object.__setattr__(self, "which", None if which is None else tuple(which))

    @property
    def layers(self) -> tuple[str, ...]:
        return ()

    def decide(self, outcome: ModelOutput) -> TargetScore:
        raise TargetError(
            "the labels of an image were not made ready for it: name one label (in Python foveal.Class(label)), or "
            "pass them as the only target"
        )


@dataclass(frozen=True)
class LabelRows:
    """`Labels` of n images as the decision about n · m rows, of which m in succession show the same image.

    Args:
        index: the m labels.
        images: n.
    """

    index: tuple[int, ...]
    images: int

    @property
    def layers(self) -> tuple[str, ...]:
        return ()

    def decide(self, outcome: ModelOutput) -> TargetScore:
        return self.marked(Class([*self.index] * self.images).decide(outcome))

    def label(self, j: int) -> Class:
        """The j-th label as the decision about the images themselves."""
        return Class(self.index[j])

    def marked(self, verdict: TargetScore) -> TargetScore:
        """The verdict, which says how many rows an image has."""
        return replace(verdict, spec={**verdict.spec, "each": len(self.index)})

    def interleaved(self, verdicts: Sequence[TargetScore]) -> TargetScore:
        """One verdict on the rows, from one a label on the images."""
        rows = [verdict.rows(i, i + 1) for i in range(self.images) for verdict in verdicts]
        return self.marked(TargetScore.joined(rows))
