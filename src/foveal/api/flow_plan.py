"""What a flow is asked for: layers, how they are inverted, and which neurons are abandoned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor

from foveal.api.references import chosen_reference, reference_name, reference_of
from foveal.attribution.batching import in_batches
from foveal.attribution.context import Context
from foveal.attribution.differences import differences
from foveal.attribution.levels import check_one_path
from foveal.attribution.passes import BackwardTarget, PassResult, forward_backward
from foveal.attribution.perturbation import Progress
from foveal.engine.select import LayerSpec
from foveal.errors import MethodError, UnknownMethod
from foveal.methods.fam import CHANNELS, Weighed
from foveal.methods.naflow import Abandonment, Inversion, rebuild
from foveal.targets import compares

if TYPE_CHECKING:
    from foveal.attribution.passes import Rules
    from foveal.engine.capture import ForwardRun
    from foveal.images import ImageLike


NEARLY_ALL = 0.99  # of the evidence, that the neurons hold which take part, where all of them have a slope


@dataclass(frozen=True)
class FlowPlan:
    """What decides a flow.

    Attributes:
        layers: in the order they were asked for.
        rules: where the backward pass starts, for similarities; None is the score.
        reference: an image -> what it is compared with, where coefficients are differences; None for derivatives.
        compared: what results call the reference; "" for derivatives.
    """

    context: Context
    layers: tuple[str, ...]
    abandonment: Abandonment
    how: Inversion
    rules: Rules | None
    reference: Callable[[Tensor], Tensor] | None = None
    compared: str = ""

    def run(self, progress: Progress | None = None) -> PassResult:
        """Forward, backward, and the inversion where there is one."""
        if self.reference:
            return differences(self.context, self.layers, self.reference)
        asked = self.question(progress)
        run = partial(
            forward_backward, layers=self.layers, gradient=True, backward=True, rules=asked.rules, study=asked.study
        )
        return in_batches(self.context, self.layers, run, "flow", self.how.mode)

    def question(self, progress: Progress | None = None) -> BackwardTarget:
        """What is asked of the network."""
        study = partial(self._study, progress=progress) if self.how.mode != "exact" else None
        return BackwardTarget(self.context.target, self.rules, study)

    def _study(
        self, run: ForwardRun, G: Mapping[str, Tensor], notes: list[str], *, progress: Progress | None
    ) -> dict[str, dict[str, Tensor]]:
        layers = [layer for layer in run.activations if layer in self.layers]
        done = [0]

        def tick(layer: str) -> None:
            done[0] += 1
            if progress:
                progress(f"{self.how.mode} at {layer}", done[0], len(layers) - 1)

        rebuilt = rebuild(run, layers, G, self.how, self.abandonment, tick)
        notes += rebuilt.notes
        return {"B": rebuilt.B, "residual": rebuilt.residual, "iterations": rebuilt.iterations}


def plan_of(
    context: Context,
    layer: LayerSpec,
    abandonment: Abandonment,
    how: Inversion,
    coefficients: str,
    reference: str | ImageLike | None = None,
) -> FlowPlan:
    """The plan of a flow through these layers, "all" being every stage up to what the target looks at.

    Raises:
        MethodError: for coefficients there are not, or that this target has not; a reference without differences;
            boxes of a feature pyramid, unless layers are named.
    """
    chosen = chosen_reference(
        reference, used=coefficients == "difference", hint="give coefficients='difference', too, to compare with it"
    )
    if context.x.ndim != 4 and (how.mode != "exact" or coefficients == "difference"):
        raise MethodError(
            f"flows of mode {how.mode!r} and coefficients {coefficients!r} so far are of images (n, c, h, w), and "
            f"these are {tuple(context.x.shape)}: leave mode and coefficients out"
        )
    if layer == "all":
        check_one_path(context, "a flow")
    layers = context.every_layer(layer)
    if coefficients != "difference":
        return FlowPlan(context, layers, abandonment, how, _rules(context, coefficients))
    if how.mode != "exact":
        raise MethodError(f"coefficients='difference' need no inversion: leave mode={how.mode!r} out")
    if abandonment.mass == 1:  # slopes hardly ever vanish
        abandonment = replace(abandonment, mass=NEARLY_ALL)
    return FlowPlan(
        context, layers, abandonment, how, None, partial(reference_of, context, chosen), reference_name(chosen)
    )


def _rules(context: Context, coefficients: str) -> Rules | None:
    if coefficients not in (*CHANNELS, "linear", "gradient", "difference"):
        known = ", ".join([*CHANNELS, "linear", "gradient", "difference"])
        raise UnknownMethod(f"coefficients={coefficients!r} is unknown: give {known}")
    if coefficients != "contribution" and not compares(context.target):
        raise MethodError(f"coefficients={coefficients!r} need a similarity as target, and this one is none")
    return Weighed(coefficients) if compares(context.target) and coefficients != "gradient" else None
