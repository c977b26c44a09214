"""What some decisions rest on and others do not: two classes, or right and wrong decisions of one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from foveal.errors import ResultError
from foveal.metrics.statistics import Summary, difference, summary
from foveal.render.tree_words import percent
from foveal.results.class_member import members_of
from foveal.results.joining import JoinedTrees, join
from foveal.results.result import Result, check_kind, finite
from foveal.results.tree_files import read_trees, write_trees

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    from foveal.results.class_member import Member
    from foveal.results.joining import Place
    from foveal.results.tree import Tree
    from foveal.storage.manifest import Saved

UNITS = ("share", "score")
FEW = 8  # images, from which a bootstrap says too little
SAID = 6  # gaps, in words


@dataclass(frozen=True, eq=False)
class Gap:
    """What a channel or a joined part holds of the decisions here, and of those there.

    Attributes:
        name: "layer3 part 2".
        members: of the decisions here and there; None where it was not found at all.
        here, there: what it holds of the decisions, on the mean, and its 95 % interval.
        difference: here less there, and its 95 % interval; NaN where either has a single image.
        by: "share" of the decisions, or units of the "score".
    """

    name: str
    members: tuple[Member | None, Member | None]
    here: Summary
    there: Summary
    difference: Summary
    by: str = "share"

    @property
    def is_decided(self) -> bool:
        """The interval does not hold 0."""
        return self.difference.low > 0 or self.difference.high < 0

    def amount(self, value: float) -> str:
        """ "12.3 %", or "1.23" of the score."""
        return percent(value) if self.by == "share" else f"{value:.2f}".replace("-", "−")

    def __str__(self) -> str:
        gap, said = self.difference, self.amount
        interval = f" [{said(gap.low)}, {said(gap.high)}]" if math.isfinite(gap.low) else ""
        return f"{self.name}: {said(self.here.mean)} less {said(self.there.mean)} is {said(gap.mean)}{interval}"

    __repr__ = __str__


@dataclass(frozen=True, eq=False)
class ClassContrast(Result):
    """Two sets of decisions, joined as one: what each channel or part holds of them.

    Attributes:
        here, there: the trees of the two, one an image, of one network.
        names: of the two.
        by: "share" of the decisions; or "score", of parts: their values, which add up to the difference of the scores.
        notes: what a reader must know; those of the trees are added.
        seconds: the time it took.
        versions: what it was made with.
    """

    FORMAT: ClassVar[str] = "foveal-class-contrast/1"

    here: tuple[Tree, ...]
    there: tuple[Tree, ...]
    names: tuple[str, str] = ("here", "there")
    by: str = "share"
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.here or not self.there:
            raise ResultError(
                f"{len(self.here)} and {len(self.there)} trees cannot be contrasted: both sides need one at least"
            )
        if self.by not in UNITS:
            raise ResultError(f"unknown by={self.by!r}: choose {', '.join(UNITS)}")
        if self.by == "score" and self.joining.kind != "part":
            raise ResultError("channels hold shares that are not parts of the score: use by='share', or nodes='parts'")
        told = (note for tree in self.trees for note in tree.notes)
        cautions = self.joining.notes if self.by == "share" else ()
        notes = (*self.notes, *told, *cautions, *self._few())
        object.__setattr__(self, "notes", tuple(dict.fromkeys(notes)))

    def _few(self) -> list[str]:
        few = min(len(self.here), len(self.there))
        counted = f"one side has {few} image{'s' * (few != 1)}"
        return [f"{counted}: intervals from so few are too narrow"] if 1 < few < FEW else []

    @property
    def trees(self) -> tuple[Tree, ...]:
        """All of them, those here first."""
        return (*self.here, *self.there)

    @cached_property
    def joining(self) -> JoinedTrees:
        """Which features of the trees are the same."""
        return join(self.trees)

    @cached_property
    def gaps(self) -> Mapping[Place, Gap]:
        """(stage, number) -> what it holds here and there; where that differs most, first."""
        count, stages = len(self.here), self.trees[0].stages
        sides = (
            members_of(self.here, self.joining.select(slice(count)), stages),
            members_of(self.there, self.joining.select(slice(count, None)), stages),
        )
        gaps = {}
        for place in {**sides[0], **sides[1]}:
            members = (sides[0].get(place), sides[1].get(place))
            here, there = (
                self._held(member, len(side)) for member, side in zip(members, (self.here, self.there), strict=True)
            )
            name = next(member.name for member in members if member)
            gaps[place] = Gap(name, members, summary(here), summary(there), difference(here, there), self.by)
        return dict(sorted(gaps.items(), key=lambda item: -abs(item[1].difference.mean)))

    def _held(self, member: Member | None, count: int) -> tuple[float, ...]:
        """By each of so many images; nothing where it was not found."""
        if member is None:
            return (0.0,) * count
        return member.shares if self.by == "share" else member.values

    def figure(self, kind: str = "sheet", *, most: int = 8, side: int = 120) -> Image.Image:
        """A row for each of the largest differences, with the best examples of both sides."""
        from foveal.render.class_contrast import class_contrast_sheet

        check_kind(kind, "sheet")
        return class_contrast_sheet(self, most=most, side=side)

    def to_dict(self) -> dict[str, Any]:
        """What each channel or part holds of both, where it differs most, first."""
        return {
            "model": self.trees[0].model,
            "names": list(self.names),
            "by": self.by,
            "pictures": [[tree.photo.source for tree in trees] for trees in (self.here, self.there)],
            "targets": [[tree.target for tree in trees] for trees in (self.here, self.there)],
            "gaps": [_row(gap) for gap in self.gaps.values()],
            "notes": list(self.notes),
            "seconds": self.seconds,
            "versions": dict(self.versions),
        }

    def _write(self, aside: Path) -> Mapping[str, Any]:
        """The sheet, one photo per tree, and trees.npz."""
        self.figure().save(aside / "contrast.png")
        facts = {"notes": list(self.notes), "seconds": self.seconds, "versions": dict(self.versions)}
        return {
            **write_trees(aside, self.trees),
            "names": list(self.names),
            "by": self.by,
            "here": len(self.here),
            **facts,
        }

    @classmethod
    def _read(cls, saved: Saved) -> ClassContrast:
        trees, count = read_trees(saved), int(saved["here"])
        here, there = saved["names"]
        facts = saved["by"], tuple(saved["notes"]), float(saved["seconds"]), saved["versions"]
        return cls(trees[:count], trees[count:], (here, there), *facts)

    def __str__(self) -> str:
        tree, gaps = self.trees[0], list(self.gaps.values())
        head = f"{self.names[0]} ({len(self.here)}) and {self.names[1]} ({len(self.there)}), {tree.model}"
        return "\n".join([head, *(f"  {gap}" for gap in gaps[:SAID])])

    __repr__ = __str__


def _row(gap: Gap) -> dict[str, Any]:
    here, there = (
        {**_spread(found), "images": found.n, "found": member.found if member else 0}
        for found, member in zip((gap.here, gap.there), gap.members, strict=True)
    )
    row = {"name": gap.name, "here": here, "there": there, "difference": _spread(gap.difference)}
    return {name: finite(value) for name, value in row.items()}


def _spread(found: Summary) -> dict[str, float]:
    return {"mean": found.mean, "low": found.low, "high": found.high}
