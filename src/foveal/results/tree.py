"""The tree of supporting features: vertices that are shared, nodes that are paths to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from foveal.errors import ResultError
from foveal.render.tree_words import percent
from foveal.results.feature_graph import Expander, Feature, Key, Node
from foveal.results.feature_graph_rows import graph_from, graph_rows
from foveal.results.result import Result, check_kind, finite
from foveal.results.storage import describe_stage, read_photo, read_stage, write_photo
from foveal.results.tree_map import fine_map, stage_map
from foveal.results.tree_overlap import overlap
from foveal.results.tree_text import tree_text
from foveal.storage.arrays import described, read_arrays, write_arrays
from foveal.storage.atomic import utf8

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TypeAlias

    from jaxtyping import Float
    from PIL import Image
    from torch import Tensor

    from foveal.engine.structure import Stage
    from foveal.images import Photo
    from foveal.render.page_layout import Page
    from foveal.results.channel_examples import ChannelExamples
    from foveal.storage.manifest import Saved

    PhotoSet: TypeAlias = "Path | str | Sequence[Path | str]"

ARRAYS = "tree.npz"


class Illustrator(Protocol):
    """What finds photos and makes images of a tree's features."""

    def examples(
        self, tree: Tree, photos: PhotoSet, most: int, progress: Callable[[str, int, int], None] | None
    ) -> None: ...

    def feature_images(
        self, tree: Tree, most: int, steps: int, progress: Callable[[str, int, int], None] | None
    ) -> None: ...


@dataclass(frozen=True, eq=False)
class Tree(Result):
    """A decision and what supports it. Its `features` grow when looked at.

    Attributes:
        root: the decision, as a node.
        stages: of the network, first next to the input.
        photo: the image.
        target, target_spec: what was decided, in words and for machines.
        model: its name.
        parameters: how it was taken apart.
        notes: what a reader must know.
        features: every vertex so far, by its key: a feature that supports several others is one vertex.
        channel_examples: what its channels mean, from `foveal.channels`; shown beside the tree by `save`.
        illustrator: what finds photos and makes images of its features; None of a tree that was loaded.
        seconds: the time that the decision took; growing takes more.
        versions: what it was made with.
    """

    FORMAT: ClassVar[str] = "foveal-tree/1"

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
    illustrator: Illustrator | None = field(default=None, repr=False)
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Node:
        return Node(self.decision, None, None, 1.0, self)

    def expand(self, features: Sequence[Feature]) -> None:
        """Find what supports these, all of a stage at once; those that know it already cost nothing."""
        todo = list({f.key: f for f in features if f.edges is None and f.stage > 0}.values())
        if not todo:
            return
        if self.expander is None:
            raise ResultError(
                "this tree was loaded, so it has no network and cannot grow: grow the tree that "
                "foveal.decompose returned"
            )
        for stage in sorted({f.stage for f in todo}, reverse=True):
            self.expander.expand([f for f in todo if f.stage == stage])

    def grow(self, depth: int | None = None, *, least: float = 1e-4) -> Tree:
        """Expand level by level, `depth` levels or all; ways with a path share below `least` end."""
        level = [self.root]
        for _ in range(len(self.stages) if depth is None else depth):
            self.expand([node.feature for node in level])
            level = [child for node in level for child in node.children if abs(child.path_share) >= least]
        return self

    def vertex(self, key: Key) -> Feature:
        """The feature of a key, whether it was found on some way from the decision or not.

        Raises:
            ResultError: where there is no such feature; of a tree that was loaded, where it does not know it.
        """
        if key == self.decision.key:
            return self.decision
        if key not in self.features and self.expander is not None:
            return self.expander.vertex(key)
        if key not in self.features:
            raise ResultError(f"this tree has no feature {key}: choose one of its features")
        return self.features[key]

    def audit(
        self, features: Sequence[Feature] | None = None, *, progress: Callable[[str, int, int], None] | None = None
    ) -> Tree:
        """Measure the effect of every edge so far: the parent's value without the child's channel.

        A part is not set to zero but to what the reference has there; see `hierarchy.part_effects`.

        Args:
            features: whose edges; those of all features so far if left out.
            progress: hears (what, done, total) while the network runs.
        """
        if self.expander is None:
            raise ResultError(
                "this tree was loaded, so it has no network to audit: audit the tree that foveal.decompose returned"
            )
        known = [self.decision, *self.features.values()] if features is None else features
        todo = [f for f in known if f.edges and any(edge.effect is None for edge in f.edges)]
        tick = partial(progress, "measuring what is lost") if progress else lambda done, total: None
        for stage in sorted({f.stage for f in todo}, reverse=True):
            self.expander.measure([f for f in todo if f.stage == stage], tick)
        return self

    def look(self, kind: str = "guided") -> Tree:
        """Find what in the image drives each feature so far, and which part of it: `feature.pattern`.

        kind: "guided" backpropagation, an image of a pattern and no evidence; or "smoothgrad", × input, by the
        derivative alone. About as much work as a forward and backward pass for each feature that sees the whole image.
        """
        if self.expander is None:
            raise ResultError(
                "this tree was loaded, so it has no network: call look() on the tree that foveal.decompose returned"
            )
        todo = [f for f in self.features.values() if f.pattern is None or f.pattern.kind != kind]
        for stage in sorted({f.stage for f in todo}, reverse=True):
            self.expander.look([f for f in todo if f.stage == stage], kind)
        return self

    def find_examples(
        self, photos: PhotoSet, *, most: int = 4, progress: Callable[[str, int, int], None] | None = None
    ) -> Tree:
        """Find the photos in which each part so far is strongest, and where: `feature.examples`.

        By contribution, to the same target and by the tree's own rule, and by activation: `most` of each. A forward
        pass, and the rule's backward pass, for each photo. (Relevance maximization: Achtibat et al., 2023.)

        Args:
            photos: a folder, or files; the image of the tree itself is left out.
            most: photos by each order.
            progress: hears (what, done, total) after each photo.

        Raises:
            MethodError: for a tree of channels: `foveal.channels` finds their examples.
        """
        self._illustrated("find examples").examples(self, photos, most, progress)
        return self

    def make_images(
        self, *, most: int = 8, steps: int = 128, progress: Callable[[str, int, int], None] | None = None
    ) -> Tree:
        """Make a feature image of each of the `most` strongest channels or parts so far: `feature.image`.

        An image is optimized until these channels are strongest in it, as by `foveal.visualize`.
        """
        self._illustrated("make images").feature_images(self, most, steps, progress)
        return self

    def _illustrated(self, what: str) -> Illustrator:
        if self.illustrator is None:
            raise ResultError(
                f"this tree was loaded, so it has no network to {what} with: use the tree that foveal.decompose "
                "returned"
            )
        return self.illustrator

    def levels(self) -> list[list[Node]]:
        """The nodes so far, level by level, without growing any."""
        level, levels = [self.root], []
        while level:
            levels.append(level)
            level = [child for node in level if node.feature.edges for child in node.children]
        return levels

    def kept(self) -> list[float]:
        """The share of the decision that the nodes of each level hold: 1, and less at each level down."""
        flow, top = self.flow(), len(self.stages)
        held: dict[int, float] = {}
        for key, share in flow.items():
            held[top - key[0]] = held.get(top - key[0], 0.0) + share
        return [held[level] for level in sorted(held)]

    def flow(self) -> Mapping[Key, float]:
        """Vertex -> the share of the decision that flows through it: its path shares, over all ways to it."""
        shares: dict[Key, float] = {self.decision.key: 1.0}
        for parent in sorted([self.decision, *self.features.values()], key=lambda f: -f.stage):
            for edge in (parent.edges or ()) if parent.key in shares else ():
                shares[edge.child.key] = shares.get(edge.child.key, 0.0) + shares[parent.key] * edge.share
        return shares

    def overlap(self, other: Tree) -> Mapping[str, float]:
        """Stage -> how much both rest on the same channels, or the same parts, wherever: 0 not at all, 1 alike.

        For the same image before and after a change, two decisions about one image, or two images. Parts are the same
        as in `foveal.class_tree`.

        Raises:
            ResultError: for trees of different networks, or of parts and of channels.
        """
        return overlap(self, other)

    def map(self, layer: str | None = None) -> Float[Tensor, "h w"]:
        """The evidence that the tree covers, by position, at a stage; None: that of all levels, in the input's size.

        At least 0; at a stage it sums to the share of the decision that is shown there. (Specification: gAP, 6.5.)
        """
        names = [stage.name for stage in self.stages]
        if layer is None:
            return fine_map(self, self.photo.geometry.input_size)
        if layer not in names:
            raise ResultError(f"this tree has no stage {layer!r}: it has {', '.join(names)}")
        return stage_map(self, names.index(layer))

    def figure(self, kind: str = "poster", *, most: int | None = None, side: int | None = None) -> Image.Image:
        """One page: the photo, the strongest features of each stage, and what flows between them.

        Args:
            kind: "poster".
            most: features of a stage; None is 8, and 6 parts.
            side: pixels of a crop; None is 132, and 216 for parts.
        """
        check_kind(kind, "poster")
        return self._poster(most, side).image()

    def _poster(self, most: int | None, side: int | None) -> Page:
        from foveal.render.part_poster import part_poster
        from foveal.render.tree import tree_page

        if self.parameters.get("nodes") == "parts":
            return part_poster(self, most=most or 6, side=side or 216)
        return tree_page(self, most=most or 8, side=side or 132)

    def _shown(self) -> Sequence[tuple[Image.Image, str]]:
        best = [f"{edge.child.name} {percent(edge.share)}" for edge in (self.decision.edges or ())[:8]]
        said = f"What supports {self.target} in {self.photo.source}, by {self.model}: {', '.join(best) or 'nothing'}."
        return [(self.figure(), said)]

    def svg(self, *, most: int | None = None, side: int | None = None) -> str:
        """The same page in vectors, as an SVG file with its images inside."""
        return self._poster(most, side).svg()

    def to_dict(self) -> dict[str, Any]:
        """The decision, and every feature and edge found so far, but for their maps."""
        rows, _ = graph_rows([self.decision, *self.features.values()])
        facts = {**tree_facts(self), "picture": self.photo.source, "kept": self.kept(), **rows}
        return {name: finite(value) for name, value in facts.items()}

    def _write(self, aside: Path) -> Mapping[str, Any]:
        """The photo, the poster (tree.png, .pdf, .svg), and tree.npz.

        What the tree knows is written, no more; vertices in the order in which they were found, the decision first.
        """
        poster = self.figure()
        for name in ("tree.png", "tree.pdf"):
            poster.save(aside / name)
        (aside / "tree.svg").write_bytes(utf8(self.svg()))
        rows, arrays = graph_rows([self.decision, *self.features.values()])
        write_arrays(aside / ARRAYS, arrays)
        photo = write_photo(aside, self.photo, "photo")
        return {**tree_facts(self), "photo": photo, "arrays": described(arrays), **rows}

    @classmethod
    def _read(cls, saved: Saved) -> Tree:
        with saved.open(ARRAYS) as file:
            arrays = read_arrays(file, saved["arrays"])
        return tree_from(saved.content, arrays, read_photo(saved, saved["photo"]))

    def __iter__(self) -> Iterator[Node]:
        return (node for level in self.levels() for node in level)

    def __str__(self) -> str:
        return tree_text(self, self.root)

    __repr__ = __str__


def tree_facts(tree: Tree) -> dict[str, Any]:
    """Everything but the image and the graph, as a manifest has it."""
    return {
        "model": tree.model,
        "target": tree.target,
        "target_spec": dict(tree.target_spec),
        "parameters": dict(tree.parameters),
        "notes": list(tree.notes),
        "seconds": tree.seconds,
        "versions": dict(tree.versions),
        "stages": [describe_stage(stage) for stage in tree.stages],
    }


def tree_from(facts: Mapping[str, Any], arrays: Mapping[str, Tensor], photo: Photo) -> Tree:
    """The tree of these facts, which hold the rows of its graph, too; it has no network to grow further."""
    stages = tuple(read_stage(stage) for stage in facts["stages"])
    decision, *features = graph_from({name: facts[name] for name in ("features", "edges")}, arrays, stages)
    return Tree(
        decision,
        stages,
        None,
        photo,
        facts["target"],
        facts["model"],
        facts["target_spec"],
        facts["parameters"],
        tuple(facts["notes"]),
        {feature.key: feature for feature in features},
        seconds=float(facts["seconds"]),
        versions=facts["versions"],
    )
