"""Which features of several trees are the same: channels by their number, parts by the channels they consist of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import torch

from foveal.errors import ResultError
from foveal.results.part_groups import alike, grouped, least_alike

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy.typing import NDArray
    from torch import Tensor

    from foveal.engine.structure import Stage
    from foveal.images import Photo
    from foveal.results.feature_graph import Feature, Key

LEADING = 4  # channels that a joined part is told by
Place: TypeAlias = tuple[int, int]
"""(stage, number of a channel or of a joined part); wherever in the image. The decision's number is −1."""


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


@dataclass(frozen=True, eq=False)
class Common:
    """What makes features of several trees the same.

    Attributes:
        channels: the channel, or those of a joined part that hold most of its evidence, strongest first.
        alike: how alike every two of its parts are, on the mean, 0 to 1; 1 of a channel, NaN of a part found once.
        profile: of a joined part, how its evidence is spread over channels, on the mean; sums to 1.
    """

    channels: tuple[int, ...]
    alike: float = 1.0
    profile: Float[Tensor, " c"] | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class JoinedTrees:
    """Several trees, and which of their features are the same.

    Attributes:
        kind: what is joined, "channel" or "part".
        places: of each tree, feature -> what it is in all of them; with the decision.
        shares: of each tree, feature -> the share of the decision that it holds; below 0 where it speaks against it.
        wholes: of each tree, what its parts share, in units of the score: the score, or what it is more than the
            reference's; NaN where channels are joined, whose shares are of no such sum.
        common: what makes them the same.
        least: stage -> how alike parts must be to be the same; empty for channels.
    """

    kind: str
    places: tuple[Mapping[Key, Place], ...]
    shares: tuple[Mapping[Key, float], ...]
    wholes: tuple[float, ...]
    common: Mapping[Place, Common]
    least: Mapping[int, float] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the shares must know."""
        below = sum(whole < 0 for whole in self.wholes)
        if not below:
            return ()
        counted = f"in {below} of {len(self.wholes)} images the score is below the reference's"
        return (f"{counted}: there a positive share speaks against the target",)

    def select(self, numbers: slice) -> JoinedTrees:
        """Of some of the trees; what is the same remains so."""
        return replace(self, places=self.places[numbers], shares=self.shares[numbers], wholes=self.wholes[numbers])

    def held(self, number: int) -> dict[Place, float]:
        """What each holds of the decision of one tree."""
        held: dict[Place, float] = {}
        for key, share in self.shares[number].items():
            place = self.places[number][key]
            held[place] = held.get(place, 0.0) + share
        return held


def join(trees: Sequence[Grown]) -> JoinedTrees:
    """Find what is the same.

    Raises:
        ResultError: for trees of different networks, or of parts and of channels.
    """
    if len({tuple(stage.name for stage in tree.stages) for tree in trees}) > 1:
        raise ResultError("these trees are of different networks or decisions: their stages differ")
    are_parts = {feature.part is not None for tree in trees for feature in tree.features.values()}
    if len(are_parts) > 1:
        raise ResultError("a tree of parts and a tree of channels have nothing in common: use the same nodes= for both")
    return by_profile(trees) if True in are_parts else by_channel(trees)


def by_channel(trees: Sequence[Grown]) -> JoinedTrees:
    """A channel is the same in all images; it holds what flows through it."""
    places = tuple(
        {feature.key: (feature.stage, feature.channel) for feature in (tree.decision, *tree.features.values())}
        for tree in trees
    )
    shares = tuple({key: flow for key, flow in tree.flow().items() if key != tree.decision.key} for tree in trees)
    common = {place: Common((place[1],)) for known in places for place in known.values()}
    return JoinedTrees("channel", places, shares, (math.nan,) * len(trees), common)


def by_profile(trees: Sequence[Grown]) -> JoinedTrees:
    """Parts as `results.part_groups` finds them again, those that hold most first; a part holds its own value."""
    places: list[dict[Key, Place]] = [{tree.decision.key: (tree.decision.stage, -1)} for tree in trees]
    wholes = tuple(map(_whole, trees))
    shares = tuple(
        {key: part.value / whole for key, part in tree.features.items()}
        for tree, whole in zip(trees, wholes, strict=True)
    )
    common, least = {}, {}
    for stage in range(len(trees[0].stages)):
        parts = [(i, part) for i, tree in enumerate(trees) for part in tree.features.values() if part.stage == stage]
        if not parts:
            continue
        profiles, images = [_profile(part) for _, part in parts], np.array([i for i, _ in parts])
        table = alike(profiles)
        least[stage] = least_alike(table, images)
        groups = grouped(table, images, least[stage])
        held = {int(group): 0.0 for group in groups}
        for (i, part), group in zip(parts, groups, strict=True):
            held[int(group)] += shares[i][part.key]
        for number, group in enumerate(sorted(held, key=lambda group: -abs(held[group]))):
            inside = np.flatnonzero(groups == group)
            common[stage, number] = _common([profiles[k] for k in inside], table[np.ix_(inside, inside)])
            for k in inside:
                places[parts[k][0]][parts[k][1].key] = (stage, number)
    return JoinedTrees("part", tuple(places), shares, wholes, common, least)


def _common(profiles: Sequence[Float[Tensor, " c"]], table: Float[NDArray[np.float64], "m m"]) -> Common:
    mean = torch.stack([profile.double() / profile.double().sum() for profile in profiles]).mean(0)
    pairs = table[np.triu_indices(len(table), k=1)]
    channels = mean.argsort(descending=True, stable=True)[: min(LEADING, int((mean > 0).sum()))]
    return Common(tuple(channels.tolist()), float(pairs.mean()) if len(pairs) else math.nan, mean)


def _profile(part: Feature) -> Float[Tensor, " c"]:
    assert part.profile is not None, "every part has one"
    return part.profile


def _whole(tree: Grown) -> float:
    """The mass of an edge of the decision over its share; 1 where the decision has none, so that nothing is shared."""
    return next((edge.mass / edge.share for edge in tree.decision.edges or () if edge.share), 1.0)
