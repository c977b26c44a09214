"""Many trees as one: how a class is put together, and where two trees agree. Specification: gAP, 8.7 to 8.9, 11.6."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from foveal.errors import ResultError
from foveal.render.tree_words import count, percent
from foveal.results.class_contrast import ClassContrast
from foveal.results.class_member import Member, members_of
from foveal.results.joining import JoinedTrees, Place, join
from foveal.results.result import Result, check_kind
from foveal.results.tree_files import read_trees, write_trees

if TYPE_CHECKING:
    from PIL import Image

    from foveal.results.tree import Tree
    from foveal.storage.manifest import Saved

SAID = 5  # members of a stage, in words
FAINT = 5e-4  # of the decisions, that is not worth a word


@dataclass(frozen=True, eq=False)
class ClassTree(Result):
    """The trees of several images as one: channels by their number, parts by the channels that they consist of.

    Attributes:
        trees: one an image, of one network.
        seconds: the time it took.
        versions: what it was made with.
        notes: what a reader must know; those of the trees are added.
    """

    FORMAT: ClassVar[str] = "foveal-class-tree/1"

    trees: tuple[Tree, ...]
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.trees:
            raise ResultError("there are no trees to join: give at least one")
        told = (note for tree in self.trees for note in tree.notes)
        object.__setattr__(self, "notes", tuple(dict.fromkeys((*self.notes, *told, *self.joining.notes))))

    @cached_property
    def joining(self) -> JoinedTrees:
        """Which features of the trees are the same."""
        return join(self.trees)

    @cached_property
    def members(self) -> Mapping[Place, Member]:
        """Every channel or joined part found, the last stage first; within a stage what holds most, first."""
        return members_of(self.trees, self.joining, self.trees[0].stages)

    @cached_property
    def links(self) -> Mapping[tuple[Place, Place], float]:
        """(parent, child) -> what flows along, on the mean; the decision is (number of stages, −1)."""
        carried: dict[tuple[Place, Place], float] = {}
        for tree, places in zip(self.trees, self.joining.places, strict=True):
            flow = tree.flow()
            for parent in [tree.decision, *tree.features.values()]:
                for edge in (parent.edges or ()) if parent.key in flow else ():
                    link = (places[parent.key], places[edge.child.key])
                    carried[link] = carried.get(link, 0.0) + flow[parent.key] * edge.share / len(self.trees)
        return carried

    @cached_property
    def rests(self) -> Mapping[Place, float]:
        """Parent -> what of its flow goes along no link: to features that the trees do not show."""
        flows = {place: member.flow for place, member in self.members.items()} | {(len(self.trees[0].stages), -1): 1.0}
        rests = {parent: flows[parent] for parent, _ in self.links}
        for (parent, _), carried in self.links.items():
            rests[parent] -= carried
        return rests

    def rest(self, stage: int) -> float:
        """What of the decisions no member of a stage holds, on the mean: the trees do not show it."""
        return 1 - sum(member.share for member in self.members.values() if member.stage == stage)

    def select(self, numbers: Sequence[int]) -> ClassTree:
        """The trees of some of the images, by their numbers from 0."""
        return ClassTree(tuple(self.trees[number] for number in numbers), versions=self.versions)

    def contrast(self, other: ClassTree, names: tuple[str, str] | None = None, *, by: str = "share") -> ClassContrast:
        """What these decisions rest on and the others do not, and the other way round.

            jays.contrast(crows).figure()

        All trees are joined anew, so that a part is the same in both.

        Args:
            other: of the same network, over the same nodes.
            names: of the two, for figures; what was decided, if left out.
            by: "share" of the decisions; or "score", of parts, in its units: what each part adds to the difference of
                the mean scores (less those of the references).

        Raises:
            ResultError: for trees of different networks, or of parts and of channels.
        """
        return ClassContrast(self.trees, other.trees, names or (self.target, other.target), by, versions=self.versions)

    def right_and_wrong(self) -> ClassContrast:
        """What speaks for a class where the network decides for it, and where it decides otherwise.

        Of parts in units of the score: what the wrong decisions lack, part by part. Of channels as shares.

            foveal.class_tree(model, jays, "Fan-crested Jay", nodes="parts").right_and_wrong().figure()

        Raises:
            ResultError: where the trees explain no class, or all images are decided alike.
        """
        decided = [tree.target_spec.get("strongest", ()) for tree in self.trees]
        if not all(decided):
            raise ResultError(
                f"{self.target} is not a class or a margin, so decisions for it are neither right nor wrong"
            )
        right = [number for number, strongest in enumerate(decided) if any(strongest)]
        wrong = [number for number in range(len(self.trees)) if number not in right]
        if not right or not wrong:
            raise ResultError(
                f"the network decides {'for' if right else 'against'} {self.target} in each of "
                f"{count(len(self.trees), 'image')}: give images of both kinds, and the true class as their target"
            )
        by = {"part": "score", "channel": "share"}[self.joining.kind]
        return self.select(right).contrast(self.select(wrong), ("right", "wrong"), by=by)

    @property
    def cautions(self) -> tuple[str, ...]:
        """The notes without which its shares are misread."""
        return self.joining.notes

    @property
    def target(self) -> str:
        """What was decided, in words."""
        targets = list(dict.fromkeys(tree.target for tree in self.trees))
        return ", ".join(targets[:4]) + (f" and {len(targets) - 4} more" if len(targets) > 4 else "")

    def figure(self, kind: str = "poster", *, most: int = 8, side: int = 120) -> Image.Image:
        """One page: the strongest channels of each stage with their best examples, and what flows between them."""
        from foveal.render.class_tree import class_tree_page

        check_kind(kind, "poster")
        return class_tree_page(self, most=most, side=side).image()

    def to_dict(self) -> dict[str, Any]:
        """What the class rests on, the strongest of the last stage first."""
        stages = self.trees[0].stages
        return {
            "model": self.trees[0].model,
            "pictures": [tree.photo.source for tree in self.trees],
            "targets": [tree.target for tree in self.trees],
            "members": [member.to_dict() for member in self.members.values()],
            "links": [
                {"parent": self._name(parent), "child": self._name(child), "flow": carried}
                for (parent, child), carried in self.links.items()
            ],
            "rests": {self._name(parent): rest for parent, rest in self.rests.items()},
            "alike_from": {stages[stage].name: least for stage, least in self.joining.least.items()},
            "notes": list(self.notes),
            "seconds": self.seconds,
            "versions": dict(self.versions),
        }

    def _write(self, aside: Path) -> Mapping[str, Any]:
        """The poster, one photo per tree, and trees.npz."""
        self.figure().save(aside / "class.png")
        facts = {"notes": list(self.notes), "seconds": self.seconds, "versions": dict(self.versions)}
        return {**write_trees(aside, self.trees), **facts}

    @classmethod
    def _read(cls, saved: Saved) -> ClassTree:
        return cls(read_trees(saved), float(saved["seconds"]), saved["versions"], tuple(saved["notes"]))

    def _name(self, place: Place) -> str:
        """ "score", "layer3 part 2"."""
        return self.members[place].name if place[1] >= 0 else "score"

    def __str__(self) -> str:
        tree = self.trees[0]
        lines = [f"{len(self.trees)} images, {tree.model}"]
        for stage in reversed(range(len(tree.stages))):
            members = [member for member in self.members.values() if member.stage == stage]
            if members:
                said = ", ".join(f"{m.label} {percent(m.share)} (in {m.found})" for m in members[:SAID])
                others = sum(member.share for member in members[SAID:])
                more = f", {len(members) - SAID} more {percent(others)}" if members[SAID:] else ""
                rest = self.rest(stage)
                left = f", not shown {percent(rest)}" if abs(rest) >= FAINT else ""
                lines.append(f"  {tree.stages[stage].name:16} {said}{more}{left}")
        return "\n".join([*lines, *(f"  {note}" for note in self.cautions)])

    __repr__ = __str__
