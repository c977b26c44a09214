"""The tree of supporting features: vertices that are shared, nodes that are paths to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foveal.errors import ResultError
from foveal.results.feature_graph import Expander, Feature, Key, Node

if TYPE_CHECKING:
    import os

    from jaxtyping import Float
    from PIL import Image
    from torch import Tensor

    from foveal.engine.structure import Stage
    from foveal.images import Photo
    from foveal.results.channel_examples import ChannelExamples


@dataclass(eq=False)
class Tree:
    """A decision and what supports it. Grows when looked at.

    Attributes:
        root: the decision, as a node.
        stages: of the network, first next to the input.
        photo: the picture.
        target, target_spec: what was decided, in words and for machines.
        model: its name.
        parameters: how it was taken apart.
        notes: what a reader must know.
        features: every vertex so far, by its key: a feature that supports several others is one vertex.
        channel_examples: what its channels mean, from `foveal.channels`; shown beside the tree by `save`.
    """

    decision: Feature
    stages: tuple[Stage, ...]
    expander: Expander | None = field(repr=False)
    photo: Photo
    target: str
    model: str
    target_spec: Mapping[str, Any] = field(default_factory=dict, repr=False)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    features: dict[Key, Feature] = field(default_factory=dict, repr=False)
    channel_examples: ChannelExamples | None = field(default=None, repr=False)

    @property
    def root(self) -> Node:
        return Node(self.decision, None, None, 1.0, self)

    def expand(self, features: Sequence[Feature]) -> None:
        """Find what supports these, all of a stage at once; those that know it already cost nothing."""
        todo = list({f.key: f for f in features if f.edges is None and f.stage > 0}.values())
        if not todo:
            return
        if self.expander is None:
            raise ResultError("this tree has no network to ask: it holds what was grown before it was saved")
        for stage in sorted({f.stage for f in todo}, reverse=True):
            self.expander.expand([f for f in todo if f.stage == stage])

    def grow(self, depth: int | None = None, *, least: float = 1e-4) -> Tree:
        """Expand level by level, `depth` levels or all; ways with a path share below `least` end."""
        level = [self.root]
        for _ in range(len(self.stages) if depth is None else depth):
            self.expand([node.feature for node in level])
            level = [child for node in level for child in node.children if child.path_share >= least]
        return self

    def audit(self) -> Tree:
        """Measure the effect of every edge so far: the parent's value without the child's channel."""
        if self.expander is None:
            raise ResultError("this tree has no network to ask: audit the tree that foveal.decompose returned")
        known = [self.decision, *self.features.values()]
        todo = [f for f in known if f.edges and any(edge.effect is None for edge in f.edges)]
        for stage in sorted({f.stage for f in todo}, reverse=True):
            self.expander.measure([f for f in todo if f.stage == stage])
        return self

    def look(self, kind: str = "guided") -> Tree:
        """Find what in the picture drives each feature so far, and which part of it: `feature.pattern`.

        kind: "guided" backpropagation, a picture of a pattern and no evidence; or "smoothgrad", × input, by the
        derivative alone. About as much work as a forward and a backward for each feature that sees all of the picture.
        """
        if self.expander is None:
            raise ResultError("this tree has no network to ask: look with the tree that foveal.decompose returned")
        todo = [f for f in self.features.values() if f.pattern is None or f.pattern.kind != kind]
        for stage in sorted({f.stage for f in todo}, reverse=True):
            self.expander.look([f for f in todo if f.stage == stage], kind)
        return self

    def levels(self) -> list[list[Node]]:
        """The nodes so far, level by level, without growing any."""
        level, found = [self.root], []
        while level:
            found.append(level)
            level = [child for node in level if node.feature.edges for child in node.children]
        return found

    def kept(self) -> list[float]:
        """The share of the decision that the nodes of each level hold: 1, and less at each level down."""
        flow, top = self.flow(), len(self.stages)
        held: dict[int, float] = {}
        for key, share in flow.items():
            held[top - key[0]] = held.get(top - key[0], 0.0) + share
        return [held[level] for level in sorted(held)]

    def flow(self) -> Mapping[Key, float]:
        """Vertex -> the share of the decision that flows through it: its path shares, over all ways to it."""
        found: dict[Key, float] = {self.decision.key: 1.0}
        for parent in sorted([self.decision, *self.features.values()], key=lambda f: -f.stage):
            for edge in (parent.edges or ()) if parent.key in found else ():
                found[edge.child.key] = found.get(edge.child.key, 0.0) + found[parent.key] * edge.share
        return found

    def overlap(self, other: Tree) -> Mapping[str, float]:
        """Stage -> how much both rest on the same channels, wherever they are: 0 not at all, 1 alike.

        For the same picture before and after a change, or two decisions about one picture.
        """
        from foveal.results.class_tree import overlap

        return overlap(self, other)

    def map(self, layer: str | None = None) -> Float[Tensor, "h w"]:
        """What the tree holds, place by place, at a stage; None: what every level supports, as large as the input.

        At least 0; at a stage it sums to the share of the decision that is held there. (Specification: gAP, 6.5.)
        """
        from foveal.results.tree_map import fine_map, stage_map

        names = [stage.name for stage in self.stages]
        if layer is None:
            return fine_map(self, self.photo.geometry.input_size)
        if layer not in names:
            raise ResultError(f"this tree has no stage {layer!r}: say {', '.join(names)}")
        return stage_map(self, names.index(layer))

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """What is known so far: poster, a page to click through, and everything that `load` needs."""
        from foveal.results.tree_storage import save_tree

        return save_tree(self, Path(folder))

    @staticmethod
    def load(folder: str | os.PathLike[str]) -> Tree:
        """The tree saved in a folder, as far as it was grown. ResultError if anything is missing or changed."""
        from foveal.results.tree_storage import load_tree

        return load_tree(Path(folder))

    def poster(self, *, most: int = 8, side: int = 132) -> Image.Image:
        """One page: the photo, the strongest features of each stage, and what flows between them."""
        from foveal.render.tree import poster

        return poster(self, most=most, side=side).image()

    def svg(self, *, most: int = 8, side: int = 132) -> str:
        """The same page in vectors, as an SVG file with its pictures inside."""
        from foveal.render.tree import poster

        return poster(self, most=most, side=side).svg()

    def __iter__(self) -> Iterator[Node]:
        return (node for level in self.levels() for node in level)

    def __str__(self) -> str:
        lines = []

        def tell(node: Node, indent: int) -> None:
            effect = node.edge.effect if node.edge else None
            said = "" if effect is None else f", without it {100 * effect:+.0f} %"
            lines.append("  " * indent + (f"{node}{said}" if node.edge else f"score {self.decision.value:.4g}"))
            if node.feature.edges:
                for child in node.children:
                    tell(child, indent + 1)

        tell(self.root, 0)
        return "\n".join(lines)

    __repr__ = __str__
