"""Many trees as one: how a class is put together, and where two trees agree. Specification: gAP, 8.7 to 8.9, 11.6."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from foveal.errors import ResultError
from foveal.results.feature_graph_rows import TENSORS, graph_rows
from foveal.results.result import Result, check_kind, finite
from foveal.results.storage import read_photo, write_photo
from foveal.results.tree import Tree, tree_facts, tree_from
from foveal.results.tree_overlap import Place, check_alike, edges_into, flow_by_channel
from foveal.storage.arrays import described, read_arrays, write_arrays

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from foveal.results.feature_graph import Edge
    from foveal.storage.manifest import Saved

EXAMPLES = 3
ARRAYS = "trees.npz"


@dataclass(frozen=True, eq=False)
class Member:
    """A channel that images of a kind rest on.

    Attributes:
        stage, layer, channel: which.
        share: of the decisions, what flows through it on the mean, 0 to 1.
        presence: in how many of the images it was found, 0 to 1.
        examples: (number of the image, edge to it), where most flows through it.
    """

    stage: int
    layer: str
    channel: int
    share: float
    presence: float
    examples: tuple[tuple[int, Edge], ...]


@dataclass(frozen=True, eq=False)
class ClassTree(Result):
    """The trees of several images, joined by channel.

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
        check_alike(self.trees)
        told = (note for tree in self.trees for note in tree.notes)
        object.__setattr__(self, "notes", tuple(dict.fromkeys((*self.notes, *told))))

    @cached_property
    def members(self) -> Mapping[Place, Member]:
        """Every channel found, the one that carries most first within its stage, the last stage first."""
        shares: dict[Place, float] = {}
        examples: dict[Place, list[tuple[float, int, Edge]]] = {}
        for number, tree in enumerate(self.trees):
            for place, share in flow_by_channel(tree).items():
                shares[place] = shares.get(place, 0.0) + share / len(self.trees)
            best: dict[Place, tuple[float, int, Edge]] = {}
            for place, carried, edge in edges_into(tree):
                if carried > best.get(place, (0.0,))[0]:
                    best[place] = (carried, number, edge)
            for place, example in best.items():
                examples.setdefault(place, []).append(example)
        stages = self.trees[0].stages
        order = sorted(shares, key=lambda place: (-place[0], -shares[place]))
        return {
            (stage, channel): Member(
                stage, stages[stage].name, channel, shares[stage, channel],
                len(examples[stage, channel]) / len(self.trees),
                tuple((number, edge) for _, number, edge in
                      sorted(examples[stage, channel], key=lambda held: -held[0])[:EXAMPLES]),
            )
            for stage, channel in order
        }  # fmt: skip

    @cached_property
    def links(self) -> Mapping[tuple[Place, Place], float]:
        """(parent, child) -> what flows along, on the mean; the decision is (number of stages, −1)."""
        carried: dict[tuple[Place, Place], float] = {}
        for tree in self.trees:
            flow = tree.flow()
            for parent in [tree.decision, *tree.features.values()]:
                for edge in (parent.edges or ()) if parent.key in flow else ():
                    link = ((parent.stage, parent.channel), (edge.child.stage, edge.child.channel))
                    carried[link] = carried.get(link, 0.0) + flow[parent.key] * edge.share / len(self.trees)
        return carried

    def contrast(self, other: ClassTree) -> dict[Place, float]:
        """What flows through each channel here, less what does in the other: the most different first."""
        mine, theirs = self.members, other.members
        gaps = {
            place: (mine[place].share if place in mine else 0.0) - (theirs[place].share if place in theirs else 0.0)
            for place in {**mine, **theirs}
        }
        return dict(sorted(gaps.items(), key=lambda item: -abs(item[1])))

    def figure(self, kind: str = "poster", *, most: int = 8, side: int = 120) -> Image.Image:
        """One page: the strongest channels of each stage with their best examples, and what flows between them."""
        from foveal.render.class_tree import class_tree_page

        check_kind(kind, "poster")
        return class_tree_page(self, most=most, side=side).image()

    def to_dict(self) -> dict[str, Any]:
        """Which channels the class rests on, the strongest of the last stage first."""
        members = [
            {
                "stage": member.stage, "layer": member.layer, "channel": member.channel, "share": member.share,
                "presence": member.presence, "examples": [number for number, _ in member.examples],
            }
            for member in self.members.values()
        ]  # fmt: skip
        return {
            "model": self.trees[0].model,
            "pictures": [tree.photo.source for tree in self.trees],
            "targets": [tree.target for tree in self.trees],
            "members": finite(members),
            "notes": list(self.notes),
            "seconds": self.seconds,
            "versions": dict(self.versions),
        }

    def _write(self, aside: Path) -> Mapping[str, Any]:
        """The poster, one photo per tree, and trees.npz."""
        self.figure().save(aside / "class.png")
        trees: list[dict[str, Any]] = []
        arrays: dict[str, Tensor] = {}
        for number, tree in enumerate(self.trees):
            rows, tensors = graph_rows([tree.decision, *tree.features.values()])
            arrays |= {f"{number}/{name}": tensor for name, tensor in tensors.items()}
            trees.append({**tree_facts(tree), "photo": write_photo(aside, tree.photo, f"photo-{number:04d}"), **rows})
        write_arrays(aside / ARRAYS, arrays)
        return {
            "trees": trees, "arrays": described(arrays), "notes": list(self.notes), "seconds": self.seconds,
            "versions": dict(self.versions),
        }  # fmt: skip

    @classmethod
    def _read(cls, saved: Saved) -> ClassTree:
        with saved.open(ARRAYS) as file:
            arrays = read_arrays(file, saved["arrays"])
        trees = []
        for number, facts in enumerate(saved["trees"]):
            tensors = {name: arrays[f"{number}/{name}"] for name in TENSORS}
            trees.append(tree_from(facts, tensors, read_photo(saved, facts["photo"])))
        return cls(tuple(trees), float(saved["seconds"]), saved["versions"], tuple(saved["notes"]))

    def __str__(self) -> str:
        tree = self.trees[0]
        lines = [f"{len(self.trees)} images, {tree.model}"]
        for stage in reversed(range(len(tree.stages))):
            top = [member for member in self.members.values() if member.stage == stage][:5]
            if not top:
                continue
            said = ", ".join(f"{m.channel} {100 * m.share:.1f} % (in {100 * m.presence:.0f} %)" for m in top)
            lines.append(f"  {tree.stages[stage].name:24} {said}")
        return "\n".join(lines)

    __repr__ = __str__
