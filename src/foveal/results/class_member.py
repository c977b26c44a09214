"""A feature that images of a kind rest on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from foveal.metrics.statistics import Summary, summary
from foveal.results.result import finite

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from foveal.engine.structure import Stage
    from foveal.results.feature_graph import Edge
    from foveal.results.joining import Common, Grown, JoinedTrees, Place

EXAMPLES = 3


class MemberExample(NamedTuple):
    """Where a feature holds much of an image's decision.

    Attributes:
        image: its number.
        edge: the one to the feature that most flows along, for the decision or against it.
        carried: what flows along, as a share of the decision.
    """

    image: int
    edge: Edge
    carried: float


@dataclass(frozen=True, eq=False)
class Member:
    """A channel, or a part that was found again: in some images of several.

    Attributes:
        stage, layer: where.
        kind: "channel" or "part".
        number: of the channel; of a joined part, 0 for the one that holds most of its stage.
        shares: (n,), of each image's decision, what it holds; 0 where it was not found, below 0 where it is against.
        values: (n,), the same in units of the score; NaN of channels, whose shares are of no score.
        flow: of the decisions, what flows through it along the edges of the trees, on the mean.
        found: in how many of the images.
        examples: where most flows through it.
        common: the channels that make it the same in all images, and how alike its parts are.
    """

    stage: int
    layer: str
    kind: str
    number: int
    shares: tuple[float, ...]
    values: tuple[float, ...]
    flow: float
    found: int
    examples: tuple[MemberExample, ...]
    common: Common

    @cached_property
    def summary(self) -> Summary:
        """Of the shares: their mean, and its 95 % interval by bootstrap over images."""
        return summary(self.shares)

    @property
    def share(self) -> float:
        """Of the decisions, what it holds on the mean; not found counts as 0."""
        return self.summary.mean

    @property
    def presence(self) -> float:
        """In how many of the images it was found, 0 to 1."""
        return self.found / len(self.shares)

    @property
    def half(self) -> float:
        """Half of the 95 % interval of the share; NaN for a single image."""
        return self.summary.half

    @property
    def is_alone(self) -> bool:
        """Nothing in the other images is like it."""
        return self.found == 1 < len(self.shares)

    @property
    def channels(self) -> tuple[int, ...]:
        """Its channel, or those that lead, strongest first."""
        return self.common.channels

    @property
    def alike(self) -> float:
        """How alike every two of its parts are, on the mean; 1 of a channel, NaN of a part that is alone."""
        return self.common.alike

    @property
    def profile(self) -> Float[Tensor, " c"] | None:
        """Of a joined part: how its evidence is spread over channels, summing to 1."""
        return self.common.profile

    @property
    def label(self) -> str:
        """ "channel 42", "part 2"."""
        return f"{self.kind} {self.number + (self.kind == 'part')}"

    @property
    def name(self) -> str:
        """ "layer3 part 2"."""
        return f"{self.layer} {self.label}"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        row = {
            "stage": self.stage, "layer": self.layer, self.kind: self.number, "name": self.name,
            "share": self.share, "low": self.summary.low, "high": self.summary.high,
            "value": sum(self.values) / len(self.values), "flow": self.flow,
            "found": self.found, "presence": self.presence, "channels": list(self.channels), "alike": self.alike,
            "examples": [example.image for example in self.examples],
        }  # fmt: skip
        return {name: finite(value) for name, value in row.items()}


def members_of(trees: Sequence[Grown], joining: JoinedTrees, stages: Sequence[Stage]) -> dict[Place, Member]:
    """What the trees rest on, the last stage first; within a stage what holds most, for or against, first."""
    held = [joining.held(i) for i in range(len(trees))]
    flows = [_flows(tree, places) for tree, places in zip(trees, joining.places, strict=True)]
    examples: dict[Place, list[MemberExample]] = {}
    for i, (tree, places) in enumerate(zip(trees, joining.places, strict=True)):
        for place, (edge, carried) in _strongest(tree, places).items():
            examples.setdefault(place, []).append(MemberExample(i, edge, carried))
    scales = [abs(whole) if math.isfinite(whole) else 1.0 for whole in joining.wholes]
    members = [
        Member(
            stage, stages[stage].name, joining.kind, number,
            shares := tuple(known.get((stage, number), 0.0) for known in held),
            tuple(share * whole for share, whole in zip(shares, joining.wholes, strict=True)),
            sum(flow.get((stage, number), 0.0) for flow in flows) / len(trees),
            len(best),
            tuple(sorted(best, key=lambda example: -abs(example.carried) * scales[example.image])[:EXAMPLES]),
            joining.common[stage, number],
        )
        for (stage, number), best in examples.items()
    ]  # fmt: skip
    members.sort(key=lambda member: (-member.stage, -abs(member.share)))
    return {(member.stage, member.number): member for member in members}


def _flows(tree: Grown, places: Mapping[tuple[int, ...], Place]) -> dict[Place, float]:
    flows: dict[Place, float] = {}
    for key, flow in tree.flow().items():
        flows[places[key]] = flows.get(places[key], 0.0) + flow
    return flows


def _strongest(tree: Grown, places: Mapping[tuple[int, ...], Place]) -> dict[Place, tuple[Edge, float]]:
    """The edge to each that most flows along, for the decision or against it; and what flows there."""
    flow = tree.flow()
    best: dict[Place, tuple[Edge, float]] = {}
    for parent in (tree.decision, *tree.features.values()):
        for edge in (parent.edges or ()) if parent.key in flow else ():
            place, carried = places[edge.child.key], flow[parent.key] * edge.share
            if carried and (place not in best or abs(carried) > abs(best[place][1])):
                best[place] = (edge, carried)
    return best
