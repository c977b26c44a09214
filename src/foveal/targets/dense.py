"""What a class, or no target, means for a network that gives scores at each pixel, or boxes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from foveal.engine.numerals import whole
from foveal.errors import TargetError, shown
from foveal.targets.output_kind import kind_of

if TYPE_CHECKING:
    from foveal.targets.box import Box, Part
    from foveal.targets.region import Region
    from foveal.targets.target import ModelOutput, TargetScore

ASSUMED = (
    "the network's output at each pixel was read as scores of classes (a segmentation): if that is right, pass "
    "task='regions'"
)


def decide_densely(which: int | str | Sequence[int | str] | None, outcome: ModelOutput) -> TargetScore | None:
    """The region or the box that a class stands for; None where the network gives neither.

    Raises:
        TargetError: for a number where boxes are found, which could be that of a class or of a box.
    """
    kind = outcome.task or kind_of(outcome.output, outcome.space)
    if kind == "boxes":
        from foveal.targets.box import Box

        every = [which] if which is None or isinstance(which, int | str) else which
        if any(_number(name, outcome.labels) for name in every):
            raise TargetError(
                f"this network finds boxes, and {shown(which)} may be the number of a class or of a box: explain "
                "foveal.Box(0), or the label of a class"
            )
        return Box(0 if which is None else which).decide(outcome)
    if kind != "regions":
        return None
    from foveal.targets.region import Region

    verdict = Region(which).decide(outcome)
    return verdict if outcome.task else replace(verdict, notes=(ASSUMED, *verdict.notes))


def _number(name: int | str | None, labels: Sequence[str] | None) -> bool:
    """Whether it is a number, also as text, and no label."""
    return isinstance(name, int) or (isinstance(name, str) and name not in (labels or ()) and whole(name) is not None)


def parse_dense(text: str) -> Box | Region | None:
    """The target that "box …" or "region …" names; None for any other text."""
    word, _, rest = text.strip().partition(" ")
    if word == "box":
        from foveal.targets.box import PARTS, Box

        which, _, part = rest.strip().rpartition(" ")
        which, part = (which, part) if part in PARTS else (rest.strip(), "class")
        return Box(number if (number := whole(which)) is not None else which or 0, cast("Part", part))
    if word != "region":
        return None
    from foveal.targets.region import Region

    pixel = re.fullmatch(r"(?P<of>.*?)\s*\b(?P<at>\d{1,9}(,\d{1,9}){1,2})", rest.strip(), re.ASCII)
    of, where = (pixel["of"], tuple(map(int, pixel["at"].split(",")))) if pixel else (rest.strip(), None)
    return Region(of or None, where)
