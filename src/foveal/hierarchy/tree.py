"""The tree of supporting features: vertices that are shared, nodes that are paths to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from foveal.errors import ResultError

if TYPE_CHECKING:
    import os

    from jaxtyping import Float
    from PIL import Image
    from torch import Tensor

    from foveal.engine.structure import Stage
    from foveal.hierarchy.dictionary import Dictionary
    from foveal.hierarchy.patterns import Pattern
    from foveal.images import Photo


Key: TypeAlias = tuple[int, ...]


@dataclass(eq=False)
class Feature:
    """What the decision was found to rest on, a neuron mostly (see `hierarchy.reading`); or the decision itself.

    Attributes:
        stage: its number, 0 next to the input; of the decision, one more than the last stage's.
        layer: the stage's name; "score" for the decision.
        channels: its channel, or several that were merged, the strongest first; none of the decision.
        place: row and column of its strongest contribution; of a neuron, where it is.
        value: its activation, or the sum it stands for; of the decision, the score.
        weights: (h, w) of the whole stage, where it stands for more than a neuron.
        edges: to the features that support it, strongest first; None as long as nobody asked.
        against: to those that speak against it, where they were asked for.
        pro, contra: the positive and the negative part of Σ A ⊙ G over the stage below, both at least 0.
        offset: value − pro + contra, what biases between the stages bring; NaN before it is asked for.
        pattern: what in the picture drives it; None before `Tree.look`.
    """

    stage: int
    layer: str
    channels: tuple[int, ...] = ()
    place: tuple[int, int] = (0, 0)
    value: float = float("nan")
    weights: Float[Tensor, "h w"] | None = field(default=None, repr=False)
    edges: tuple[Edge, ...] | None = None
    against: tuple[Edge, ...] = ()
    pro: float = float("nan")
    contra: float = float("nan")
    offset: float = float("nan")
    pattern: Pattern | None = field(default=None, repr=False)

    @property
    def key(self) -> Key:
        """Equal for equal features."""
        spread = () if self.weights is None else (hash(self.weights.cpu().numpy().tobytes()),)
        return (self.stage, *(self.place if self.weights is None else ()), *spread, *self.channels)

    @property
    def channel(self) -> int:
        """The strongest; −1 of the decision."""
        return self.channels[0] if self.channels else -1

    @property
    def name(self) -> str:
        """ "layer3 channel 42 at 5,7"."""
        if not self.channels:
            return "score"
        more = f" and {len(self.channels) - 1} more" if len(self.channels) > 1 else ""
        y, x = self.place
        return f"{self.layer} channel {self.channel}{more} " + (f"at {y},{x}" if self.weights is None else "all over")


@dataclass(eq=False)
class Edge:
    """That a feature supports another.

    Attributes:
        child: the supporting feature, a stage below.
        share: of all that channels of that stage contribute in favour (or against, if it is such an edge), 0 to 1.
        mass: Σ R of its channels, signed where the rule is.
        map: (y, x), R of its channels, in the window at `corner` of the stage; zero elsewhere.
        effect: (value − value without the channel) / |value|, measured by running without it; None if not asked for.
    """

    child: Feature
    share: float
    mass: float
    map: Float[Tensor, "y x"] = field(repr=False)
    corner: tuple[int, int] = (0, 0)
    effect: float | None = None

    @property
    def disagrees(self) -> bool:
        """Whether taking the channel away does not lower the feature, although it was found to support it."""
        return self.effect is not None and self.effect <= 0


class Expander(Protocol):
    """What finds the edges of features, all of one stage at once."""

    def expand(self, features: Sequence[Feature]) -> None: ...

    def measure(self, features: Sequence[Feature]) -> None: ...

    def look(self, features: Sequence[Feature], kind: str) -> None: ...


@dataclass(frozen=True, eq=False)
class Node:
    """A feature as it is met on one way from the decision.

    Attributes:
        feature: which.
        edge: the last step of the way; None for the decision.
        parent: the node before it.
        path_share: the product of the shares along the way.
    """

    feature: Feature
    edge: Edge | None
    parent: Node | None
    path_share: float
    tree: Tree = field(repr=False)

    @property
    def share(self) -> float:
        """Of what supports its parent."""
        return self.edge.share if self.edge else 1.0

    @property
    def children(self) -> tuple[Node, ...]:
        """The features that support it, strongest first; found when first asked for. Empty at the first stage."""
        self.tree.expand([self.feature])
        return tuple(
            Node(edge.child, edge, self, self.path_share * edge.share, self.tree) for edge in self.feature.edges or ()
        )

    @property
    def opponents(self) -> tuple[Node, ...]:
        """What speaks against it, strongest first; empty unless `decompose` was to look for it."""
        self.tree.expand([self.feature])
        return tuple(
            Node(edge.child, edge, self, self.path_share * edge.share, self.tree) for edge in self.feature.against
        )

    @property
    def kept(self) -> float:
        """How much of what supports it its children hold, 0 to 1."""
        return sum(node.share for node in self.children)

    def __str__(self) -> str:
        return f"{self.feature.name}, {100 * self.share:.1f} %"

    __repr__ = __str__


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
        dictionary: what its channels mean, from `foveal.dictionary`; shown beside the tree by `save`.
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
    dictionary: Dictionary | None = field(default=None, repr=False)

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
        from foveal.hierarchy.assembly import overlap

        return overlap(self, other)

    def map(self, layer: str | None = None) -> Float[Tensor, "h w"]:
        """What the tree holds, place by place, at a stage; None: what every level supports, as large as the input.

        At least 0; at a stage it sums to the share of the decision that is held there. (Specification: gAP, 6.5.)
        """
        from foveal.hierarchy.fine import fine_map, stage_map

        names = [stage.name for stage in self.stages]
        if layer is None:
            return fine_map(self, self.photo.geometry.input_size)
        if layer not in names:
            raise ResultError(f"this tree has no stage {layer!r}: say {', '.join(names)}")
        return stage_map(self, names.index(layer))

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """What is known so far: poster, a page to click through, and everything that `load` needs."""
        from foveal.results.saved_tree import save_tree

        return save_tree(self, Path(folder))

    @staticmethod
    def load(folder: str | os.PathLike[str]) -> Tree:
        """The tree saved in a folder, as far as it was grown. ResultError if anything is missing or changed."""
        from foveal.results.saved_tree import load_tree

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
