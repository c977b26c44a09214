"""How parts find what they are made of: contributions carried from stage to stage by a rule, and shared among parts.

    R      contributions of the whole decision at a stage, cotangent ⊙ (A − A of the reference)
    w_k    shares of part k, found by factoring |R| (`hierarchy.factoring`); Σ_k w_k = 1
    v_k    Σ w_k ⊙ R, what part k brings to the decision

    w_k ⊙ cotangent, carried back through one stage, gives the contributions R_k of the stage below to v_k alone;
    its children are the parts of that stage, and the share of child j is Σ w_j ⊙ R_k / v_k.

Parts of a stage are found once, from the whole decision, so that several parents share them. Under the rule
"difference" nothing is lost: Σ R = v at every stage, and children that are not shown are the named remainder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from foveal.attribution.sharing import grid_steps, without_grid
from foveal.engine.blur import blurred
from foveal.engine.graph import recording
from foveal.engine.subnetwork import Subnetwork
from foveal.errors import MethodError, ResultError
from foveal.hierarchy.contribution_rules import spread
from foveal.hierarchy.factoring import parts_of
from foveal.hierarchy.feature_patterns import region_of
from foveal.hierarchy.part_box import densest_square
from foveal.hierarchy.part_effects import PartEffects
from foveal.hierarchy.settings import TreeSettings
from foveal.hierarchy.windows import Windows
from foveal.results.feature_graph import Edge, Feature, Key, Pattern

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.engine.structure import Stage

LEADING = 8  # channels that a part is named by, at most
HELD = 0.5  # of a part's evidence, that these hold
LOST = 1e-2  # of all that is for and against a part, that may be missing in the stage below
BLUR = 0.05  # of a stage's side, the deviation of the Gaussian under which parts are found: they stay where they are
#            when the image moves by a few pixels

CarriedToInput: TypeAlias = Callable[[int, Sequence[Tensor]], "list[Tensor]"]
"""(stage, cotangents there) -> the contributions of each pixel, (c, h, w), for each."""


@dataclass(frozen=True, eq=False)
class StageEvidence:
    """One stage of the picture, and what it brings to the decision.

    Attributes:
        A: (1, c, h, w), activations.
        reference: the same of the reference; zeros for rules that need none.
        cotangent: of the whole decision.
    """

    A: Float[Tensor, "1 c h w"]
    reference: Float[Tensor, "1 c h w"]
    cotangent: Float[Tensor, "1 c h w"]

    @property
    def difference(self) -> Float[Tensor, "1 c h w"]:
        return self.A - self.reference

    @property
    def R(self) -> Float[Tensor, "c h w"]:
        return (self.cotangent * self.difference)[0]


@dataclass(eq=False)
class PartExpander:
    """Finds the edges, effects and patterns of the parts of one picture's tree.

    Attributes:
        stages: first next to the input.
        evidence: of each stage.
        taken: what is taken apart: the score, less the reference's where the rule compares with one.
        pairs: the rule goes back with the picture and its reference as one batch.
        subnetwork: a stage's number -> what lies between the stage below and it.
        mode: makes the mode that the rule runs in; it gives None for the derivative.
        scores: maps of the last stage -> the score with each.
        to_input: what carries a stage's cotangents to the picture.
        settings: how the tree is built.
        size: (h, w) of the network's input.
        features: every vertex found so far, by its key; the tree's own.
    """

    stages: tuple[Stage, ...]
    evidence: Sequence[StageEvidence]
    taken: float
    pairs: bool
    subnetwork: Callable[[int], Subnetwork]
    mode: Callable[[], AbstractContextManager[Any] | None]
    scores: Callable[[Tensor], Tensor]
    to_input: CarriedToInput
    settings: TreeSettings
    size: tuple[int, int]
    features: dict[Key, Feature] = field(default_factory=dict)
    _parts: dict[int, Tensor] = field(default_factory=dict)
    _activity: dict[int, Tensor] = field(default_factory=dict)

    def parts(self, stage: int) -> Float[Tensor, "k c h w"]:
        """w_k of a stage, one part more at each stage down."""
        if stage not in self._parts:
            count = self.settings.part_count(len(self.stages) - 1 - stage)
            item, pool = self.evidence[stage], self._pool(stage)
            smooth = blurred(spread(item.R.abs()[None], item.difference.abs(), pool), BLUR * min(item.A.shape[2:]))
            self._parts[stage] = parts_of(smooth[0], count)
        return self._parts[stage]

    @recording
    def expand(self, features: Sequence[Feature]) -> None:
        """Give each of these, all of one stage, its edges."""
        for feature, R in zip(features, self._contributions(features), strict=True):
            self._join(feature, R)

    def vertex(self, key: Key) -> Feature:
        """The part (stage, number). Raises ResultError where there is none."""
        if len(key) != 2 or not 0 <= key[0] < len(self.stages):
            raise ResultError(f"this tree has no part {key}: name a stage, 0 to {len(self.stages) - 1}, and a part")
        count = len(self.parts(key[0]))
        if not 0 <= key[1] < count:
            raise ResultError(f"{self.stages[key[0]].name} has parts 1 to {count}, and no part {key[1] + 1}")
        return self._feature(*key)

    def scaled(self, stage: int, A: Float[Tensor, "n c h w"], scales: Mapping[Feature, float]) -> Tensor:
        """A of a stage, with the parts' shares of it moved to the reference's: all the way where the scale is 0."""
        parts, moved = self.parts(stage), torch.zeros_like(self.evidence[stage].A)
        for feature, scale in scales.items():
            moved += (1 - scale) * parts[feature.part or 0]
        return A - moved * (A - self.evidence[stage].reference)

    @recording
    def measure(self, features: Sequence[Feature], tick: Callable[[int, int], None]) -> None:
        """Run with the children's part of the activations moved to the reference's."""
        stage = features[0].stage
        below = self.evidence[stage - 1]
        PartEffects(self.parts(stage - 1), below.A, below.difference, self._readouts(features), tick).measure(features)

    @recording
    def look(self, features: Sequence[Feature], kind: str) -> None:
        """Give each of these its evidence pixel by pixel, carried to the picture by the tree's own rule."""
        cotangents = [self._cotangent(feature) for feature in features]
        for feature, R in zip(features, self.to_input(features[0].stage, cotangents), strict=True):
            feature.pattern = Pattern("evidence", R.detach().cpu(), (0, 0), region_of(R, (0, 0)))

    def _contributions(self, features: Sequence[Feature]) -> Iterator[Float[Tensor, "c h w"]]:
        """R of the stage below, for each feature of one stage."""
        stage = features[0].stage
        if stage == len(self.stages):
            yield self.evidence[-1].R
            return
        below = self.evidence[stage - 1]
        maps = torch.cat([below.A, below.reference]) if self.pairs else below.A
        cotangents = (self._rows(self._cotangent(feature)) for feature in features)
        for back in self.subnetwork(stage).carried_back(maps, cotangents, self.mode()):
            yield (back[:1] * below.difference)[0]

    def _cotangent(self, feature: Feature) -> Float[Tensor, "1 c h w"]:
        assert feature.part is not None
        return self.parts(feature.stage)[feature.part] * self.evidence[feature.stage].cotangent

    def _rows(self, cotangent: Float[Tensor, "1 c h w"]) -> Float[Tensor, "r c h w"]:
        return torch.cat([cotangent, torch.zeros_like(cotangent)]) if self.pairs else cotangent

    def _join(self, feature: Feature, R: Float[Tensor, "c h w"]) -> None:
        """Edges to the parts of the stage below that bring most, for or against."""
        stage = feature.stage - 1
        positive = float(R.double().relu().sum())
        feature.pro, feature.contra = positive, positive - float(R.double().sum())
        feature.offset = feature.value - feature.pro + feature.contra
        if self.pairs and feature.part is not None and abs(feature.offset) > LOST * (feature.pro + feature.contra):
            raise MethodError(
                f"the parts of {self.stages[stage].name} do not add up to {feature.name}: "
                f"{feature.pro - feature.contra:.4g} arrives of {feature.value:.4g}. An operation between them has no "
                "rule; use nodes='neurons', or rule='exact'"
            )
        whole = self.taken if feature.stage == len(self.stages) else feature.value
        parts = self.parts(stage)
        maps = self._smooth((parts * R).sum(1), stage)
        values = maps.double().sum((1, 2))
        edges: list[Edge] = []
        held = 0.0
        for k in values.abs().argsort(descending=True, stable=True).tolist():
            if len(edges) == self.settings.most_children or abs(1 - held) <= 1 - self.settings.least_held:
                break
            value = float(values[k])
            if value == 0 or whole == 0:
                break
            edges.append(Edge(self._feature(stage, k), value / whole, value, maps[k]))
            held += value / whole
        feature.edges = tuple(edges)

    def _feature(self, stage: int, part: int) -> Feature:
        """Part `part` of a stage; the same object for every parent."""
        key = (stage, part)
        if key in self.features:
            return self.features[key]
        R = self.parts(stage)[part] * self.evidence[stage].R
        value = float(R.double().sum())
        map = self._smooth(R.sum(0)[None], stage, slice(part, part + 1))[0] * (-1 if value < 0 else 1)
        place = divmod(int(map.argmax()), map.shape[1])
        new = Feature(stage, self.stages[stage].name, _leading(R), place, value=value, part=part)
        new.box, new.profile = densest_square(map, self.stages[stage], self.size), R.abs().sum((1, 2)).cpu()
        if stage == 0:
            new.edges = ()
        self.features[key] = new
        return new

    def _smooth(self, maps: Float[Tensor, "k h w"], stage: int, which: slice = slice(None)) -> Float[Tensor, "k h w"]:
        """The same sums without the grid that strides and max pooling make."""
        if stage not in self._activity:
            self._activity[stage] = (self.parts(stage) * self.evidence[stage].difference.abs()).sum(1)
        steps = grid_steps([Windows.between(low, high, None).pool for low, high in pairwise(self.stages[stage:])])
        return without_grid(maps[None], self._activity[stage][which][None], steps)[0]

    def _pool(self, stage: int) -> tuple[int, int]:
        """Positions of a stage to one of the next, (y, x)."""
        if stage == len(self.stages) - 1:
            return 1, 1
        return Windows.between(self.stages[stage], self.stages[stage + 1], None).pool

    def _readouts(self, features: Sequence[Feature]) -> Callable[[Tensor], Tensor]:
        """Maps of the stage below -> what each feature is worth with them, (maps, features)."""
        stage = features[0].stage
        if stage == len(self.stages):
            return lambda maps: self.scores(maps)[:, None]
        cotangents = torch.cat([self._cotangent(feature) for feature in features])
        reference = self.evidence[stage].reference

        def read(maps: Tensor) -> Tensor:
            out = self.subnetwork(stage).returned(maps) - reference
            return torch.einsum("mchw,fchw->mf", out, cotangents)

        return read


def _leading(R: Float[Tensor, "c h w"]) -> tuple[int, ...]:
    """The channels that hold half of a part's evidence, strongest first."""
    mass = R.abs().sum((1, 2)).double()
    order = mass.argsort(descending=True, stable=True)
    held = mass[order].cumsum(0) / mass.sum().clamp(min=1e-300)
    enough = int((held < HELD).sum()) + 1
    return tuple(int(k) for k in order[: min(enough, LEADING)])
