"""The network with features of a tree switched off or scaled; it goes on from the lowest of their stages.

    part       A − (1 − s) w ⊙ (A − A of the reference)      s = 0 switches it off, 1 leaves it as it is, 2 doubles it
    neuron     s · A of its channel, at every position, as `Tree.audit` measures it

Features of several stages are scaled stage by stage: what comes later acts on what the earlier ones left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from foveal.attribution.forwards import cut_at, runs_for
from foveal.attribution.passes import decided
from foveal.attribution.perturbation import PerturbationScorer
from foveal.engine.address import INPUT
from foveal.engine.guard import untouched
from foveal.engine.layout import channels_first
from foveal.engine.resume import Resumption
from foveal.errors import MethodError

if TYPE_CHECKING:
    from foveal.attribution.context import Context
    from foveal.attribution.passes import PassResult
    from foveal.engine.structure import Stage
    from foveal.results.feature_graph import Feature
    from foveal.targets import ModelOutput


class Scaling(Protocol):
    """What knows what a feature's share of the activations is."""

    def scaled(self, stage: int, A: Tensor, scales: Mapping[Feature, float]) -> Tensor: ...


@dataclass(frozen=True)
class Switched:
    """What the network says then.

    Attributes:
        score: of the decision.
        before: the same of the image as it is, found the same way.
        output: all that it returned.
    """

    score: float
    before: float
    output: ModelOutput


@dataclass(eq=False)
class Switching:
    """Asks the network of a tree; each stage that is switched first is reached once, and kept.

    Attributes:
        context: of the tree.
        stages: of the tree.
        expander: of the tree.
    """

    context: Context
    stages: Sequence[Stage]
    expander: Scaling
    _resumptions: dict[int, Resumption] = field(default_factory=dict)
    _outputs: list[ModelOutput] = field(default_factory=list)
    _ask: Callable[[Tensor], Tensor] | None = None

    def __call__(self, scales: Mapping[Feature, float]) -> Switched:
        """The network with each of these features times its scale.

        Raises:
            MethodError: for the decision itself, or no feature.
        """
        if not scales or any(feature.stage >= len(self.stages) for feature in scales):
            raise MethodError("name features below the decision to switch off")
        first, *later = sorted({feature.stage for feature in scales})
        with (
            untouched(self.context.model),
            torch.no_grad(),
            runs_for(self.context, self._decided) as runs,
            ExitStack() as block,
        ):
            scorer = PerturbationScorer(self.context, self._decided, 0, INPUT, lambda done, total: None, runs)
            self._ask = lambda x: self._read(scorer, x)
            go_on = self._resumption(first, scorer)
            for stage in later:
                block.enter_context(cut_at(self.context, self.stages[stage].name).hooked(self._swap(stage, scales)))
            scores = go_on(self._swap(first, scales)(go_on.returned))
            self._ask = None
        return Switched(float(scores[0]), go_on.score, self._outputs.pop())

    def _swap(self, stage: int, scales: Mapping[Feature, float]) -> Callable[[Tensor], Tensor]:
        own = {feature: scale for feature, scale in scales.items() if feature.stage == stage}
        layout = self.stages[stage].layout

        def swap(returned: Tensor) -> Tensor:
            scaled = self.expander.scaled(stage, channels_first(returned, layout), own).to(returned)
            return scaled if layout == "nchw" else scaled.permute(0, 2, 3, 1).contiguous()

        return swap

    def _resumption(self, stage: int, scorer: PerturbationScorer) -> Resumption:
        if stage not in self._resumptions:
            cut = cut_at(self.context, self.stages[stage].name)
            self._resumptions[stage] = Resumption(cut, self._asked, scorer.x, scorer.score)
        return self._resumptions[stage]

    def _asked(self, x: Tensor) -> Tensor:
        assert self._ask is not None
        return self._ask(x)

    def _read(self, scorer: PerturbationScorer, x: Tensor) -> Tensor:
        """The scores of these inputs; what else the network said of them is kept until it is fetched."""
        output = scorer.outcome(x)
        self._outputs[:] = [output]
        verdict = self._decided.verdict
        assert verdict is not None and verdict.per_image
        return verdict.per_image[0].decide(output).score

    @cached_property
    def _decided(self) -> PassResult:
        return decided(self.context)
