"""How features find what supports them: a backward pass through one stage, for all features of a level at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.engine.graph import recording
from foveal.engine.subnetwork import Segment
from foveal.errors import LayerError, MethodError
from foveal.hierarchy.contribution_rules import RULES, Frame, gate
from foveal.hierarchy.feature_patterns import FeaturePatterns
from foveal.hierarchy.feature_value import DECISIONS, reader, weights_of
from foveal.hierarchy.merging import merged
from foveal.hierarchy.windows import Windows
from foveal.images.window import placed
from foveal.results.feature_graph import Edge, Feature, Key

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from foveal.engine.structure import Stage

NUMBERS = 2**26  # of a stage's input that go through it at once, with what it makes of them
RANKS = ("sum", "max")


@dataclass(frozen=True)
class TreeSettings:
    """How a decision is taken apart.

    Attributes:
        branch: children of a node, at most.
        enough: children are taken until they hold this share together.
        rule: "pool_up", "exact" or "window"; see `hierarchy.gap`.
        gate: keep the decision's own features where Grad-CAM reaches half of its maximum.
        rank_by: "sum" or "max" of a channel's contributions.
        merge: channels whose contributions lie in the same places become one.
        decide: what number a feature stands for: "neuron", "sum" or "map"; see `hierarchy.reading`.
        against: how many features that speak against a node are found beside its children.
    """

    branch: int = 5
    enough: float = 1.0
    rule: str = "pool_up"
    gate: bool = True
    rank_by: str = "sum"
    merge: bool = False
    decide: str = "neuron"
    against: int = 0

    @recording
    def __post_init__(self) -> None:
        known = {"rule": (*RULES,), "rank_by": RANKS, "decide": DECISIONS}
        for option, values in known.items():
            if getattr(self, option) not in values:
                raise MethodError(
                    f"cannot take a decision apart by {option}={getattr(self, option)!r}: say {', '.join(values)}"
                )
        if self.branch < 1 or not 0 < self.enough <= 1 or self.against < 0:
            raise MethodError(
                f"cannot give a node {self.branch} children that hold {self.enough} of it: one at least, above 0 to 1"
            )


@dataclass(eq=False)
class TreeExpander:
    """Expands features of one picture's decision.

    Attributes:
        stages: first next to the input.
        A: (1, c, h, w) of each.
        root: (1, c, h, w), ∂ score / ∂ A at the last stage.
        segment: a stage's number -> what lies between the stage below and it.
        without: groups of channels of the last stage -> the score without each group.
        eye: looks at the picture through the network.
        features: every vertex found so far, by its key; the tree's own.
        slack: a stage's number -> how much its windows have to spare; None where it turned out not to be local.
    """

    stages: tuple[Stage, ...]
    A: Sequence[Float[Tensor, "1 c h w"]]
    root: Float[Tensor, "1 c h w"]
    segment: Callable[[int], Segment]
    without: Callable[[Sequence[Sequence[int]]], Float[Tensor, " m"]]
    plan: TreeSettings
    eye: FeaturePatterns
    features: dict[Key, Feature] = field(default_factory=dict)
    slack: dict[int, int | None] = field(default_factory=dict)

    @recording
    def expand(self, features: Sequence[Feature]) -> None:
        """Give each of these, all of one stage, its edges."""
        if features[0].stage == len(self.stages):
            self._expand_decision(features[0])
            return
        for few, A, G, frame, scores in self._gradients(features):
            rule, less = RULES[self.plan.rule], self.plan.against
            R, opposed = rule(A, G, frame), rule(A, -G, frame) if less else None
            for i, one in enumerate(few):
                _balance(one, A[i], G[i], float(scores[i]))
                one.edges = self._edges(R[i], one.stage - 1, frame.corners[i])
                if opposed is not None:
                    one.against = self._edges(opposed[i], one.stage - 1, frame.corners[i], most=less)

    @recording
    def measure(self, features: Sequence[Feature]) -> None:
        """Run without each child's channel."""
        for one in features:
            edges = one.edges or ()
            left = self.values_without(one, [edge.child.channels for edge in edges])
            for edge, value in zip(edges, left, strict=True):
                edge.effect = (one.value - value) / max(abs(one.value), 1e-12)

    @recording
    def look(self, features: Sequence[Feature], kind: str) -> None:
        """Give each of these, all of one stage, its pattern."""
        for one, pattern in zip(features, self.eye.see(features, kind), strict=True):
            one.pattern = pattern

    @recording
    def values_without(self, feature: Feature, groups: Sequence[Sequence[int]]) -> list[float]:
        """The feature's value with all channels of a group, in the stage below, set to zero; group by group."""
        if not groups:
            return []
        stage = feature.stage
        if stage == len(self.stages):
            return [float(value) for value in self.without(groups)]
        windows, places = self._windows(stage), torch.tensor([feature.place])
        corners = windows.corners(places)
        copies = windows.cut(self.A[stage - 1], corners).repeat(len(groups), 1, 1, 1)
        for copy, channels in zip(copies, groups, strict=True):
            copy[list(channels)] = 0
        start = reader([feature] * len(groups), windows.local(places, corners).expand(len(groups), -1))
        return [float(value) for value in self.segment(stage).scores(copies, start)]

    def _expand_decision(self, decision: Feature) -> None:
        A, last = self.A[-1], len(self.stages) - 1
        rule, frame, corner = RULES[self.plan.rule], Frame.whole(A, (1, 1)), torch.zeros(2, dtype=torch.long)
        R = rule(A, self.root, frame)
        if self.plan.gate:
            R = R * gate(A, self.root)
        _balance(decision, A[0], self.root[0], decision.value)
        decision.edges = self._edges(R[0], last, corner)
        if self.plan.against:
            opposed = rule(A, -self.root, frame)[0]
            decision.against = self._edges(opposed, last, corner, most=self.plan.against)

    def _gradients(
        self, features: Sequence[Feature]
    ) -> Iterator[tuple[Sequence[Feature], Tensor, Tensor, Frame, Tensor]]:
        """Features with the stage below in their windows, the derivatives, and the features' values there."""
        stage = features[0].stage
        todo, below = list(features), self.A[stage - 1]
        while todo:
            windows = self._windows(stage)
            outer = windows.sized(windows.side, 2) if self.plan.rule == "pool_up" else windows  # Up reaches further
            few = todo[: max(1, NUMBERS // (16 * below.shape[1] * outer.side[0] * outer.side[1]))]
            places = torch.tensor([one.place for one in few])
            corners = windows.corners(places)
            start = reader(few, windows.local(places, corners))
            scores, G = self.segment(stage).gradients(windows.cut(below, corners), start)
            known = torch.tensor([one.value for one in few]).to(scores)
            if not torch.allclose(scores, known, rtol=1e-3, atol=1e-4 * float(known.abs().max())):
                self._widen(stage, windows)
                continue
            todo = todo[len(few) :]
            if outer.side != windows.side:
                G, corners = windows.around(G, corners, outer)
            yield few, outer.cut(below, corners), G, outer.frame(corners), scores

    def _windows(self, stage: int) -> Windows:
        slack = self.slack.get(stage, 0) if self.plan.decide == "neuron" else None
        return Windows.between(self.stages[stage - 1], self.stages[stage], slack)

    def _widen(self, stage: int, windows: Windows) -> None:
        """Windows with room to spare, then whole maps: something in this stage looks further than it seems to."""
        if windows.are_whole:
            raise LayerError(
                f"{self.stages[stage].name} is made of more than {self.stages[stage - 1].name}, so it cannot be taken "
                "apart into it"
            )
        self.slack[stage] = 2 if self.slack.get(stage, 0) == 0 else None

    def _edges(
        self, R: Float[Tensor, "c y x"], stage: int, corner: Int[Tensor, " 2"], *, most: int | None = None
    ) -> tuple[Edge, ...]:
        """To the channels with the largest contributions; no more than `most`, or as the plan says."""
        positive = R.relu()
        sums = positive.double().sum((1, 2))
        total = float(sums.sum())
        if total <= 0:
            return ()
        rank = sums if self.plan.rank_by == "sum" else positive.amax((1, 2)).double()
        shares = sums / total
        order = rank.argsort(descending=True, stable=True)
        limit = self.plan.branch if most is None else most
        groups = merged(positive, order) if self.plan.merge else [[int(k)] for k in order[:limit]]
        edges: list[Edge] = []
        held = 0.0
        for channels in groups:
            share = float(shares[channels].sum())
            if len(edges) == limit or held >= self.plan.enough or share <= 0:
                break
            spot = (int(corner[0]), int(corner[1]))
            map = R[channels].sum(0)
            child = self._feature(stage, tuple(channels), positive[channels[0]], map, spot)
            edges.append(Edge(child, share, float(R[channels].double().sum()), map, spot))
            held += share
        return tuple(edges)

    def _feature(
        self,
        stage: int,
        channels: tuple[int, ...],
        leading: Float[Tensor, "y x"],
        map: Float[Tensor, "y x"],
        corner: tuple[int, int],
    ) -> Feature:
        """The feature of these channels, placed where the strongest of them contributes most."""
        y, x = divmod(int(leading.argmax()), leading.shape[1])
        place = (y + corner[0], x + corner[1])
        weights = weights_of(self.plan.decide, placed(map, corner, self.stages[stage].shape[1:]))
        new = Feature(stage, self.stages[stage].name, channels, place, weights=weights)
        if new.key in self.features:
            return self.features[new.key]
        here = torch.tensor([place])
        new.value = float(reader([new], here)(self.A[stage])[0])
        if stage == 0:
            new.edges = ()
        self.features[new.key] = new
        return new


def _balance(feature: Feature, A: Float[Tensor, "c y x"], G: Float[Tensor, "c y x"], value: float) -> None:
    """What speaks for a feature, what against, and what neither does."""
    evidence = (A * G).double()
    feature.pro, feature.contra = float(evidence.relu().sum()), float((-evidence).relu().sum())
    feature.offset = value - feature.pro + feature.contra
