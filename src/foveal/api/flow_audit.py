"""The network, asked with neurons of each layer set to zero, or to what the reference has there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.api.flow_plan import FlowPlan
from foveal.attribution.forwards import runs_for
from foveal.attribution.perturbation import PerturbationScorer, Progress
from foveal.engine.guard import untouched
from foveal.errors import TargetError
from foveal.methods.naflow import Inversion
from foveal.results.flow import Audit, Audited, Flow

if TYPE_CHECKING:
    from jaxtyping import Float


def audited(plan: FlowPlan, result: Flow, progress: Progress | None = None) -> Audit:
    """What the score is without the neurons that a flow abandons, and without those that it keeps, layer by layer.

    Args:
        plan: of the flow; the neurons are those of its exact mode. Where it compares with a reference, neurons are not
            set to zero but to the reference's activations.
        result: the flow.
        progress: hears (what, done, total).
    """
    context = plan.context
    passed = replace(plan, how=Inversion(), reference=None).run()
    compared = plan.run() if plan.reference else passed  # differences of activations in the place of activations
    n, layers = len(context.x), result.layers
    by_layer: list[Audited] = []
    with untouched(context.model), runs_for(context, passed) as runs, torch.no_grad():
        for number, layer in enumerate(layers):
            moved = compared.activations[layer]
            keep = plan.abandonment.kept(moved, compared.cotangents[layer])
            pairs = []
            for image in range(n):
                probe = PerturbationScorer(context, passed, image, layer, lambda done, total: None, runs)
                own, taken = keep[image : image + 1].to(probe.A.dtype), moved[image : image + 1]
                pairs.append(_scores(probe, torch.cat([probe.A - taken * (1 - own), probe.A - taken * own])))
                probe.forget()
                if progress:
                    progress("auditing layers", number * n + image + 1, n * len(layers))
            without_abandoned, without_kept = torch.stack(pairs).unbind(1)
            assert result.score is not None
            offset = torch.tensor([result.number(layer, "offset", i) for i in range(n)])
            if plan.rules:
                offset = torch.full_like(offset, torch.nan)  # of α·v, not of the similarity that is asked for
            by_layer.append(Audited(layer, result.score.cpu(), without_abandoned.cpu(), without_kept.cpu(), offset))
    return Audit(tuple(by_layer), plan.compared)


def _scores(probe: PerturbationScorer, copies: Float[Tensor, "2 c h w"]) -> Float[Tensor, " 2"]:
    """Each asked alone: an embedding of zeros has no similarity, which is no answer rather than an error."""

    def asked(copy: Tensor) -> Tensor:
        try:
            return probe.resumed(lambda start, stop: copy, 1)
        except TargetError:
            return torch.full((1,), torch.nan)

    return torch.cat([asked(copy) for copy in copies.split(1)])
