"""Many trees as one: how a class is put together, and where two trees agree. Specification: gAP, 8.7 to 8.9, 11.6."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from foveal.errors import ResultError

if TYPE_CHECKING:
    from PIL import Image

    from foveal.results.feature_graph import Edge
    from foveal.results.tree import Tree

Place: TypeAlias = tuple[int, int]
"""(stage, channel); wherever in the picture."""

EXAMPLES = 3


@dataclass(frozen=True, eq=False)
class Member:
    """A channel that pictures of a kind rest on.

    Attributes:
        stage, layer, channel: which.
        share: of the decisions, what flows through it on the mean, 0 to 1.
        presence: in how many of the pictures it was found, 0 to 1.
        examples: (number of the picture, edge to it), where most flows through it.
    """

    stage: int
    layer: str
    channel: int
    share: float
    presence: float
    examples: tuple[tuple[int, Edge], ...]


@dataclass(eq=False)
class ClassTree:
    """The trees of several pictures, joined by channel.

    Attributes:
        trees: one a picture, of one network.
    """

    trees: tuple[Tree, ...]

    def __post_init__(self) -> None:
        if not self.trees:
            raise ResultError("there is nothing to put together: give one tree at least")
        names = {tuple(stage.name for stage in tree.stages) for tree in self.trees}
        if len(names) > 1:
            raise ResultError("these trees are of different networks or decisions: their stages differ")

    @cached_property
    def members(self) -> Mapping[Place, Member]:
        """Every channel found, the one that carries most first within its stage, the last stage first."""
        shares: dict[Place, float] = {}
        found: dict[Place, list[tuple[float, int, Edge]]] = {}
        for number, tree in enumerate(self.trees):
            for place, share in flow_by_channel(tree).items():
                shares[place] = shares.get(place, 0.0) + share / len(self.trees)
            best: dict[Place, tuple[float, int, Edge]] = {}
            for place, carried, edge in _edges_into(tree):
                if carried > best.get(place, (0.0,))[0]:
                    best[place] = (carried, number, edge)
            for place, example in best.items():
                found.setdefault(place, []).append(example)
        stages = self.trees[0].stages
        order = sorted(shares, key=lambda place: (-place[0], -shares[place]))
        return {
            (stage, channel): Member(
                stage, stages[stage].name, channel, shares[stage, channel],
                len(found[stage, channel]) / len(self.trees),
                tuple((number, edge) for _, number, edge in
                      sorted(found[stage, channel], key=lambda one: -one[0])[:EXAMPLES]),
            )
            for stage, channel in order
        }  # fmt: skip

    @cached_property
    def links(self) -> Mapping[tuple[Place, Place], float]:
        """(parent, child) -> what flows along, on the mean; the decision is (number of stages, −1)."""
        found: dict[tuple[Place, Place], float] = {}
        for tree in self.trees:
            flow = tree.flow()
            for parent in [tree.decision, *tree.features.values()]:
                for edge in (parent.edges or ()) if parent.key in flow else ():
                    link = ((parent.stage, parent.channel), (edge.child.stage, edge.child.channel))
                    found[link] = found.get(link, 0.0) + flow[parent.key] * edge.share / len(self.trees)
        return found

    def contrast(self, other: ClassTree) -> dict[Place, float]:
        """What flows through each channel here, less what does in the other: the most different first."""
        mine, theirs = self.members, other.members
        found = {
            place: (mine[place].share if place in mine else 0.0) - (theirs[place].share if place in theirs else 0.0)
            for place in {**mine, **theirs}
        }
        return dict(sorted(found.items(), key=lambda item: -abs(item[1])))

    def poster(self, *, most: int = 8, side: int = 120) -> Image.Image:
        """One page: the strongest channels of each stage with their best examples, and what flows between them."""
        from foveal.render.class_tree import poster

        return poster(self, most=most, side=side).image()

    def __str__(self) -> str:
        tree = self.trees[0]
        lines = [f"{len(self.trees)} pictures, {tree.model}"]
        for stage in reversed(range(len(tree.stages))):
            top = [one for one in self.members.values() if one.stage == stage][:5]
            if not top:
                continue
            said = ", ".join(f"{m.channel} {100 * m.share:.1f} % (in {100 * m.presence:.0f} %)" for m in top)
            lines.append(f"  {tree.stages[stage].name:24} {said}")
        return "\n".join(lines)

    __repr__ = __str__


def flow_by_channel(tree: Tree) -> dict[Place, float]:
    """What flows through each channel, at all places together; without the decision."""
    found: dict[Place, float] = {}
    for key, share in tree.flow().items():
        if key == tree.decision.key:
            continue
        feature = tree.features[key]
        place = (feature.stage, feature.channel)
        found[place] = found.get(place, 0.0) + share
    return found


def overlap(one: Tree, other: Tree) -> dict[str, float]:
    """Stage -> how much two trees rest on the same channels: Σ min of their flows, each scaled to sum 1; 0 to 1."""
    ClassTree((one, other))  # of one network
    a, b = flow_by_channel(one), flow_by_channel(other)
    found = {}
    for number, stage in enumerate(one.stages):
        mine, theirs = ({c: share for (s, c), share in flow.items() if s == number} for flow in (a, b))
        if mine and theirs:
            total, others = sum(mine.values()), sum(theirs.values())
            found[stage.name] = sum(min(mine[c] / total, theirs.get(c, 0.0) / others) for c in mine)
    return found


def _edges_into(tree: Tree) -> Sequence[tuple[Place, float, Edge]]:
    flow = tree.flow()
    return [
        ((edge.child.stage, edge.child.channel), flow[parent.key] * edge.share, edge)
        for parent in [tree.decision, *tree.features.values()]
        if parent.key in flow
        for edge in parent.edges or ()
    ]
