"""Where trees agree: what flows through each channel. Specification: gAP, 8.8, 8.9."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from foveal.errors import ResultError

if TYPE_CHECKING:
    from foveal.engine.structure import Stage
    from foveal.images import Photo
    from foveal.results.feature_graph import Edge, Feature, Key

Place: TypeAlias = tuple[int, int]
"""(stage, channel); wherever in the image."""


class Grown(Protocol):
    """A decision and the features found to support it."""

    @property
    def decision(self) -> Feature: ...
    @property
    def features(self) -> Mapping[Key, Feature]: ...
    @property
    def stages(self) -> tuple[Stage, ...]: ...
    @property
    def photo(self) -> Photo: ...

    def flow(self) -> Mapping[Key, float]: ...


def check_alike(trees: Sequence[Grown]) -> None:
    """Raises ResultError for trees of different networks, and for parts, which have no name that images share."""
    if any(feature.part is not None for tree in trees for feature in tree.features.values()):
        raise ResultError(
            "parts are found in each image on its own, so trees of parts cannot be compared or joined by channel: use "
            "trees of neurons, sums or maps"
        )
    if len({tuple(stage.name for stage in tree.stages) for tree in trees}) > 1:
        raise ResultError("these trees are of different networks or decisions: their stages differ")


def flow_by_channel(tree: Grown) -> dict[Place, float]:
    """What flows through each channel, at all places together; without the decision."""
    shares: dict[Place, float] = {}
    for key, share in tree.flow().items():
        if key == tree.decision.key:
            continue
        feature = tree.features[key]
        place = (feature.stage, feature.channel)
        shares[place] = shares.get(place, 0.0) + share
    return shares


def edges_into(tree: Grown) -> Sequence[tuple[Place, float, Edge]]:
    """(channel, what flows along, edge to it), every edge that anything flows along."""
    flow = tree.flow()
    return [
        ((edge.child.stage, edge.child.channel), flow[parent.key] * edge.share, edge)
        for parent in [tree.decision, *tree.features.values()]
        if parent.key in flow
        for edge in parent.edges or ()
    ]


def overlap(tree: Grown, other: Grown) -> dict[str, float]:
    """Stage -> how much two trees rest on the same channels: Σ min of their flows, each scaled to sum 1; 0 to 1."""
    check_alike([tree, other])
    a, b = flow_by_channel(tree), flow_by_channel(other)
    shared = {}
    for number, stage in enumerate(tree.stages):
        mine, theirs = ({c: share for (s, c), share in flow.items() if s == number} for flow in (a, b))
        if mine and theirs:
            total, others = sum(mine.values()), sum(theirs.values())
            shared[stage.name] = sum(min(mine[c] / total, theirs.get(c, 0.0) / others) for c in mine)
    return shared
