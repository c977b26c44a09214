"""How features find what supports them: a backward pass through one stage, for all features of a level at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.engine.graph import recording
from foveal.engine.subnetwork import Subnetwork
from foveal.errors import LayerError, ResultError
from foveal.hierarchy.contribution_rules import RULES, Frame, gate
from foveal.hierarchy.feature_patterns import FeaturePatterns
from foveal.hierarchy.feature_value import feature_values, weights_of
from foveal.hierarchy.merging import merged
from foveal.hierarchy.settings import TreeSettings
from foveal.hierarchy.windows import Windows
from foveal.images.window import placed
from foveal.results.feature_graph import Edge, Feature, Key

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from foveal.engine.structure import Stage

NUMBERS = 2**26  # of a stage's input that go through it at once, with what it makes of them


@dataclass(eq=False)
class TreeExpander:
    """Finds the edges, effects and patterns of features of one image's tree.

    Attributes:
        stages: first next to the input.
        A: (1, c, h, w) of each.
        root: (1, c, h, w), ∂ score / ∂ A at the last stage.
        segment: a stage's number -> what lies between the stage below and it.
        without: groups of channels of the last stage -> the score without each group.
        settings: how the tree is built.
        patterns: what in the image drives features.
        features: every vertex found so far, by its key; the tree's own.
        slack: a stage's number -> how much its windows have to spare; None where it turned out not to be local.
    """

    stages: tuple[Stage, ...]
    A: Sequence[Float[Tensor, "1 c h w"]]
    root: Float[Tensor, "1 c h w"]
    subnetwork: Callable[[int], Subnetwork]
    without: Callable[[Sequence[Sequence[int]]], Float[Tensor, " m"]]
    settings: TreeSettings
    patterns: FeaturePatterns
    features: dict[Key, Feature] = field(default_factory=dict)
    slack: dict[int, int | None] = field(default_factory=dict)

    @recording
    def expand(self, features: Sequence[Feature]) -> None:
        """Give each of these, all of one stage, its edges."""
        if features[0].stage == len(self.stages):
            self._expand_decision(features[0])
            return
        for few, A, G, frame, scores in self._gradients(features):
            rule, less = RULES[self.settings.rule], self.settings.opponents
            R, opposed = rule(A, G, frame), rule(A, -G, frame) if less else None
            for i, feature in enumerate(few):
                _balance(feature, A[i], G[i], float(scores[i]))
                feature.edges = self._edges(R[i], feature.stage - 1, frame.corners[i])
                if opposed is not None:
                    feature.opponents = self._edges(opposed[i], feature.stage - 1, frame.corners[i], most=less)

    def vertex(self, key: Key) -> Feature:
        """The neuron (stage, row, column, channel). Raises ResultError where there is none."""
        if len(key) != 4 or self.settings.nodes != "neurons":
            raise ResultError(f"this tree has no neuron {key}: name stage, row, column and channel")
        stage, *place, channel = key
        if not 0 <= stage < len(self.stages):
            raise ResultError(f"this tree has stages 0 to {len(self.stages) - 1}, and no stage {stage}")
        c, h, w = self.stages[stage].shape
        if not (0 <= channel < c and 0 <= place[0] < h and 0 <= place[1] < w):
            raise ResultError(
                f"{self.stages[stage].name} has {c} channels of {h} × {w} positions, and no channel {channel} at "
                f"{place[0]}, {place[1]}"
            )
        return self._vertex(Feature(stage, self.stages[stage].name, (channel,), (place[0], place[1])))

    @recording
    def measure(self, features: Sequence[Feature], tick: Callable[[int, int], None]) -> None:
        """Run without each child's channel."""
        for number, feature in enumerate(features):
            tick(number, len(features))
            edges = feature.edges or ()
            left = self.values_without(feature, [edge.child.channels for edge in edges])
            for edge, value in zip(edges, left, strict=True):
                edge.effect = (feature.value - value) / max(abs(feature.value), 1e-12)

    @recording
    def look(self, features: Sequence[Feature], kind: str) -> None:
        """Give each of these, all of one stage, its pattern."""
        for feature, pattern in zip(features, self.patterns.compute(features, kind), strict=True):
            feature.pattern = pattern

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
        start = feature_values([feature] * len(groups), windows.local(places, corners).expand(len(groups), -1))
        return [float(value) for value in self.subnetwork(stage).scores(copies, start)]

    def scaled(self, stage: int, A: Float[Tensor, "n c h w"], scales: Mapping[Feature, float]) -> Tensor:
        """A of a stage with the channels of these features times their scales, at every position."""
        A = A.clone()
        for feature, scale in scales.items():
            A[:, list(feature.channels)] *= scale
        return A

    def _expand_decision(self, decision: Feature) -> None:
        A, last = self.A[-1], len(self.stages) - 1
        rule, frame, corner = RULES[self.settings.rule], Frame.whole(A, (1, 1)), torch.zeros(2, dtype=torch.long)
        R = rule(A, self.root, frame)
        if self.settings.gate:
            R = R * gate(A, self.root)
        _balance(decision, A[0], self.root[0], decision.value)
        decision.edges = self._edges(R[0], last, corner)
        if self.settings.opponents:
            opposed = rule(A, -self.root, frame)[0]
            decision.opponents = self._edges(opposed, last, corner, most=self.settings.opponents)

    def _gradients(
        self, features: Sequence[Feature]
    ) -> Iterator[tuple[Sequence[Feature], Tensor, Tensor, Frame, Tensor]]:
        """Features with the stage below in their windows, the derivatives, and the features' values there."""
        stage = features[0].stage
        todo, below = list(features), self.A[stage - 1]
        while todo:
            windows = self._windows(stage)
            outer = windows.sized(windows.side, 2) if self.settings.rule == "pool_up" else windows  # Up reaches further
            few = todo[: max(1, NUMBERS // (16 * below.shape[1] * outer.side[0] * outer.side[1]))]
            places = torch.tensor([feature.place for feature in few])
            corners = windows.corners(places)
            start = feature_values(few, windows.local(places, corners))
            scores, G = self.subnetwork(stage).gradients(windows.cut(below, corners), start)
            recorded = torch.tensor([feature.value for feature in few]).to(scores)
            if not torch.allclose(scores, recorded, rtol=1e-3, atol=1e-4 * float(recorded.abs().max())):
                self._widen(stage, windows)
                continue
            todo = todo[len(few) :]
            if outer.side != windows.side:
                G, corners = windows.around(G, corners, outer)
            yield few, outer.cut(below, corners), G, outer.frame(corners), scores

    def _windows(self, stage: int) -> Windows:
        slack = self.slack.get(stage, 0) if self.settings.nodes == "neurons" else None
        return Windows.between(self.stages[stage - 1], self.stages[stage], slack)

    def _widen(self, stage: int, windows: Windows) -> None:
        """Windows with room to spare, then whole maps: something in this stage looks further than it seems to."""
        if windows.are_whole:
            raise LayerError(
                f"{self.stages[stage].name} has other inputs than {self.stages[stage - 1].name}, so it cannot be "
                "decomposed into that stage"
            )
        self.slack[stage] = 2 if self.slack.get(stage, 0) == 0 else None

    def _edges(
        self, R: Float[Tensor, "c y x"], stage: int, corner: Int[Tensor, " 2"], *, most: int | None = None
    ) -> tuple[Edge, ...]:
        """To the channels with the largest contributions; no more than `most`, or as the settings say."""
        positive = R.relu()
        sums = positive.double().sum((1, 2))
        total = float(sums.sum())
        if total <= 0:
            return ()
        rank = sums if self.settings.rank_by == "sum" else positive.amax((1, 2)).double()
        shares = sums / total
        order = rank.argsort(descending=True, stable=True)
        limit = self.settings.most_children if most is None else most
        groups = merged(positive, order) if self.settings.merge else [[int(k)] for k in order[:limit]]
        edges: list[Edge] = []
        held = 0.0
        for channels in groups:
            share = float(shares[channels].sum())
            if len(edges) == limit or held >= self.settings.least_held or share <= 0:
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
        weights = weights_of(self.settings.nodes, placed(map, corner, self.stages[stage].shape[1:]))
        return self._vertex(Feature(stage, self.stages[stage].name, channels, place, weights=weights))

    def _vertex(self, new: Feature) -> Feature:
        """The same, the one that is known already if there is one."""
        if new.key in self.features:
            return self.features[new.key]
        here = torch.tensor([new.place])
        new.value = float(feature_values([new], here)(self.A[new.stage])[0])
        if new.stage == 0:
            new.edges = ()
        self.features[new.key] = new
        return new


def _balance(feature: Feature, A: Float[Tensor, "c y x"], G: Float[Tensor, "c y x"], value: float) -> None:
    """What speaks for a feature, what against, and what neither does."""
    evidence = (A * G).double()
    feature.pro, feature.contra = float(evidence.relu().sum()), float((-evidence).relu().sum())
    feature.offset = value - feature.pro + feature.contra
