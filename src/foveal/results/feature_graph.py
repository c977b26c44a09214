"""Features, and the edges between those that support each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from foveal.results.part_example import PartExample


Key: TypeAlias = tuple[int, ...]


@dataclass(eq=False)
class Feature:
    """What the decision was found to rest on, a neuron mostly (see `hierarchy.feature_value`); or the decision itself.

    Attributes:
        stage: its number, 0 next to the input; of the decision, one more than the last stage's.
        layer: the stage's name; "score" for the decision.
        channels: its channel, or several that were merged, the strongest first; none of the decision.
        place: row and column of its strongest contribution; of a neuron, where it is.
        value: its activation, or the sum it stands for; of the decision, the score.
        weights: (h, w) of the whole stage, where it stands for more than a neuron.
        edges: to the features that support it, strongest first; None as long as nobody asked.
        opponents: to those that speak against it, where they were asked for.
        pro, contra: the positive and the negative part of Σ A ⊙ G over the stage below, both at least 0.
        offset: value − pro + contra, what biases between the stages bring; NaN before it is asked for.
        pattern: what in the image drives it; None before `Tree.look`.
        part: its number among the parts of its stage; None of neurons and of the decision. A part's value is what it
            brings to the decision, and its channels are those that hold half of its evidence.
        box: x0, y0, x1, y1 in the network's input, where most of a part's evidence lies.
        profile: of a part, how much of its evidence lies in each channel, Σ w ⊙ |R| over positions; at least 0.
        examples: photos of a set in which a part is strongest, after `Tree.find_examples`.
        image: (c, h, w) in 0..1, optimized for its channels, after `Tree.make_images`; None before.
        together: measured: what it loses without all the children that it has here, as a share; None if not asked for.
    """

    stage: int
    layer: str
    channels: tuple[int, ...] = ()
    place: tuple[int, int] = (0, 0)
    value: float = float("nan")
    weights: Float[Tensor, "h w"] | None = field(default=None, repr=False)
    edges: tuple[Edge, ...] | None = None
    opponents: tuple[Edge, ...] = ()
    pro: float = float("nan")
    contra: float = float("nan")
    offset: float = float("nan")
    pattern: Pattern | None = field(default=None, repr=False)
    part: int | None = None
    box: tuple[float, float, float, float] | None = None
    profile: Float[Tensor, " c"] | None = field(default=None, repr=False)
    examples: tuple[PartExample, ...] = field(default=(), repr=False)
    image: Float[Tensor, "c h w"] | None = field(default=None, repr=False)
    together: float | None = None

    @property
    def key(self) -> Key:
        """Equal for equal features."""
        if self.part is not None:
            return (self.stage, self.part)
        spread = () if self.weights is None else (hash(self.weights.cpu().numpy().tobytes()),)
        return (self.stage, *(self.place if self.weights is None else ()), *spread, *self.channels)

    @property
    def channel(self) -> int:
        """The strongest; −1 of the decision."""
        return self.channels[0] if self.channels else -1

    @property
    def bias_share(self) -> float | None:
        """What biases between it and the stage below bring, as a share of its value; None before it is asked for.

        Of a decision that is compared with a reference, this is the share of the reference's score instead.
        """
        return self.offset / self.value if math.isfinite(self.offset) and self.value else None

    @property
    def name(self) -> str:
        """ "layer3 channel 42 at 5,7", or "layer3 part 2"."""
        if self.part is not None:
            return f"{self.layer} part {self.part + 1}"
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
        share: of all that channels of that stage contribute in favor (or against, if it is such an edge), 0 to 1. Of a
            part, of its parent's value; below 0 where it speaks against its parent.
        mass: Σ R of its channels, signed where the rule is.
        map: (y, x), R of its channels, in the window at `corner` of the stage; zero elsewhere.
        effect: (value − value without the channel) / |value|, measured by running without it; None if not asked for.
        average: of a part, the same averaged over which of the other parts are there, its Shapley value; the averages
            of all parts of a stage sum to 1.
        random: the effect of as much of the stage at random channels and positions, beside a part's.
    """

    child: Feature
    share: float
    mass: float
    map: Float[Tensor, "y x"] = field(repr=False)
    corner: tuple[int, int] = (0, 0)
    effect: float | None = None
    average: float | None = None
    random: float | None = None

    @property
    def disagrees(self) -> bool:
        """Whether the measured effect has not the sign of the share: without it, a supporter lowers nothing."""
        return self.effect is not None and self.effect * (-1 if self.share < 0 else 1) <= 0


class Growing(Protocol):
    """What features are met in: it finds the edges of those that are looked at, once."""

    def expand(self, features: Sequence[Feature]) -> None: ...


class Expander(Protocol):
    """What finds the edges of features, all of one stage at once."""

    def expand(self, features: Sequence[Feature]) -> None: ...

    def vertex(self, key: Key) -> Feature: ...

    def measure(self, features: Sequence[Feature], tick: Callable[[int, int], None]) -> None: ...

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
    tree: Growing = field(repr=False)

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
            Node(edge.child, edge, self, self.path_share * edge.share, self.tree) for edge in self.feature.opponents
        )

    @property
    def kept(self) -> float:
        """How much of what supports it its children hold, 0 to 1."""
        return sum(node.share for node in self.children)

    def __str__(self) -> str:
        share = f"{100 * self.share:.1f} %".replace("-", "−")
        return f"{self.feature.name}, {share}"

    __repr__ = __str__


@dataclass(frozen=True)
class Pattern:
    """What a feature responds to in the image.

    Attributes:
        kind: "guided" or "smoothgrad".
        values: (c, y, x), signed, in the window of the network's input at `corner` (row, column).
        region: x0, y0, x1, y1 in the network's input, what the feature in fact responds to.
    """

    kind: str
    values: Float[Tensor, "c y x"] = field(repr=False)
    corner: tuple[int, int]
    region: tuple[float, float, float, float]
