"""Which parts, ranked and sharp? `foveal.parts`: groups of alike places on any network, without training."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from foveal.attention.grouping import Grouping, Groups
from foveal.attention.pooling import RepresentativePooling
from foveal.attribution.context import Context
from foveal.attribution.dilated import with_resolution
from foveal.attribution.passes import forward_backward, outcome_of
from foveal.attribution.placing import whereabouts
from foveal.attribution.prepare import prepare
from foveal.engine.address import named_modules
from foveal.engine.capture import capture
from foveal.engine.guard import unwrap
from foveal.engine.keywords import checked
from foveal.engine.select import LayerSpec
from foveal.errors import LayerError, MethodError
from foveal.images import Batch
from foveal.models.model import Model
from foveal.results.parts import Parts
from foveal.results.provenance import versions
from foveal.targets import TargetLike, TargetScore, Task

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.images import ImageLike, Place, Preprocessing

BARELY = 1e-4  # by a smaller share of the activity a seed wins by chance
UNUSED = (
    "the network does not use these parts: they describe its features, and the evidence of a part is the sum over its "
    "positions"
)


@checked
def parts(
    model: nn.Module | Model,
    images: ImageLike | Batch,
    target: TargetLike = None,
    *,
    count: int | None = None,
    resolution: int = 1,
    layer: LayerSpec = None,
    grouping: Grouping | None = None,
    inputs: Sequence[Any] | Tensor = (),
    keywords: Mapping[str, Any] | None = None,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    task: Task | None = None,
) -> Parts:
    """The parts of an image in the order of their activity: map, vector, and evidence for the decision.

    The first part is the most active position of the layer and all similar positions; their activity is damped, and
    the next part is found. One forward and one backward pass; the network is not changed, nothing is trained.

        found = foveal.parts(model, "bird.jpg", count=3, resolution=4)
        found.groups.display                                      # (n, 3, h, w), to be looked at
        found.groups.vectors                                    # (n, 3, c)
        found.evidence, found.remainder, found.offset           # (n, 3), (n,), (n,): they add up to the score

    Args:
        target: the decision whose evidence is divided among the parts, as in `explain`; the parts do not depend on it.
        images: signals and volumes, too: maps have the axes of the layer, (n, k, *space).
        count: how many; 3 if left out.
        resolution: how many times finer to make the layer's map, mostly 2 or 4: strides before it become dilations.
        layer: where; one layer, the last stage if left out.
        grouping: other rules than the published ones, with a count of their own.

    A network that pools by parts itself (`RepresentativePooling`, `foveal train brnpa`) is shown by its own parts, at
    its own resolution; there the evidence is what its head makes of each vector. Of any other network the parts are a
    description of its features: it decides by something else, mostly by the mean over all places.

    The other arguments and the errors are those of `explain`. (Gomez et al., Pattern Recognition, 2022,
    arXiv:2106.02566; the division of evidence is ours.)
    """
    started = time.perf_counter()
    context = prepare(
        model, images, target, inputs=inputs, keywords=keywords, preprocessing=preprocessing, labels=labels, task=task
    )
    if context.x.ndim < 3:
        raise MethodError(f"parts are of inputs with axes of space (n, c, *space), not {tuple(context.x.shape)}")
    if resolution != 1 and context.x.ndim != 4:
        raise MethodError(
            f"resolution={resolution} is for images (n, c, h, w), not for signals and volumes: leave it out"
        )
    own = own_pooling(context.model)
    if own is None:
        how = _how(count, grouping)
        grouped = _described(context, _one(context.layers(layer)), how, resolution)
    else:
        _refuse(own[0], layer, resolution, grouping, count)
        how = own[1].grouping
        grouped = _decided(context, *own)
    return _result(context, grouped, how, resolution, time.perf_counter() - started)


def own_pooling(model: nn.Module) -> tuple[str, RepresentativePooling] | None:
    """The module by which a network pools by parts itself, and its name."""
    modules = named_modules(unwrap(model)).items()
    poolings = [(name, module) for name, module in modules if isinstance(module, RepresentativePooling)]
    return poolings[0] if len(poolings) == 1 else None


@dataclass(frozen=True)
class Division:
    """The groups, and the decision divided among them.

    Attributes:
        layer: where they were found.
        groups: in n maps.
        verdict: the decision.
        places: (n, h, w), or (n, *space), what each place brings; sums to what the layer accounts for.
        evidence: (n, k), what each slot does.
        remainder: (n,), of `places`, what belongs to no slot.
        uses_own_parts: the network decides by these vectors.
        notes: what a reader must know.
        where: layer -> where its cells lie, if not edge to edge.
    """

    layer: str
    groups: Groups
    verdict: TargetScore
    places: Float[Tensor, "n h w"]
    evidence: Float[Tensor, "n k"]
    remainder: Float[Tensor, " n"]
    uses_own_parts: bool
    notes: tuple[str, ...]
    where: Mapping[str, Place]


def _described(context: Context, layer: str, how: Grouping, resolution: int) -> Division:
    """Any network: Σ_c A ⊙ G at each place, divided by who belongs to which group."""
    context, decided, notes = context, None, []
    if resolution != 1:
        at = with_resolution(context, [layer], resolution)
        context, decided, notes = at.context, at.verdict, list(at.notes)
    passed = forward_backward(context, [layer], gradient=True, backward=True)
    assert passed.verdict is not None
    A, G = passed.activations[layer], passed.cotangents[layer]
    if how.count > A[0, 0].numel():
        raise MethodError(f"{how.count} parts are more than the {A[0, 0].numel()} places of {layer}: ask for fewer")
    groups = how(A)
    places = (A * G).to(groups.maps.dtype).sum(1)
    divided = (groups.shares * places[:, None]).flatten(2).sum(2)
    notes += passed.notes
    # What was decided is the network's own; the evidence adds up to what the finer forward makes of it.
    verdict = replace(decided or passed.verdict, score=passed.verdict.score, probability=passed.verdict.probability)
    lie = whereabouts(context, {layer: places})
    return Division(
        layer, groups, verdict, places, divided[:, :-1], divided[:, -1], False, (*notes, *lie.notes), lie.where
    )


def _decided(context: Context, name: str, pool: RepresentativePooling) -> Division:
    """A network with parts of its own: ⟨∂score/∂v_k, v_k⟩ each, Σ_k aᵏ_p ⟨∂score/∂v_k, f_p⟩ at each place."""
    context, decision = context, context.target
    assert decision is not None
    before = f"{name}.input"
    with capture(context.model, [*dict.fromkeys([before, name, *decision.layers])]) as run:
        output = run.forward(context.x, context.arguments)
        verdict = decision.decide(outcome_of(context, decision, run, output))
        verdict.check_length(len(context.x))
        G = run.gradients(verdict.score)[name]
        F = run.activations[before].detach()
        groups = pool.group(F)
    w = G.detach().to(groups.maps.dtype).view(len(F), pool.count, -1)
    evidence = (w * groups.vectors.to(w.dtype)).sum(2)
    places = torch.einsum("nkp,nkc,ncp->np", groups.maps.flatten(2), w, F.flatten(2).to(w.dtype)).view_as(groups.norm)
    lie, nothing = whereabouts(context, {before: places}), torch.zeros_like(evidence[:, 0])
    return Division(before, groups, verdict.detached(), places, evidence, nothing, True, lie.notes, lie.where)


def _how(count: int | None, grouping: Grouping | None) -> Grouping:
    if count is not None and grouping is not None and grouping.count != count:
        raise MethodError(f"count={count} and a grouping of {grouping.count} contradict each other: give one of them")
    return grouping or Grouping(3 if count is None else count)


def _one(layers: Sequence[str]) -> str:
    if len(layers) != 1:
        raise LayerError(f"parts are found at one layer, but {len(layers)} were named")
    return layers[0]


def _refuse(name: str, layer: LayerSpec, resolution: int, grouping: Grouping | None, count: int | None) -> None:
    if layer is not None or resolution != 1 or grouping is not None or count is not None:
        raise MethodError(
            f"this network itself has part pooling, at {name}: its own parts are shown, so leave out layer, "
            "resolution, count and grouping"
        )


def _result(context: Context, grouped: Division, how: Grouping, resolution: int, seconds: float) -> Parts:
    groups, verdict, batch = grouped.groups, grouped.verdict, context.batch
    score = verdict.score.detach()
    offset = score.to(grouped.evidence) - grouped.evidence.sum(1) - grouped.remainder
    result = Parts(
        maps={grouped.layer: groups.display[:, 0].detach()},
        photos=batch.photos,
        score=score,
        probability=verdict.probability,
        target=verdict.label,
        target_spec=verdict.spec,
        method=f"parts:count={how.count}",
        parameters={"count": how.count, "resolution": resolution, **_others(how)},
        model=context.subject.name,
        measured={grouped.layer: {"coverage": _coverage(groups), "gap": groups.gaps.tolist()}},
        seconds=seconds,
        versions=versions(),
        where=grouped.where,
        groups=groups,
        places=grouped.places.detach(),
        evidence=grouped.evidence.detach(),
        remainder=grouped.remainder.detach(),
        offset=offset.detach(),
        uses_own_parts=grouped.uses_own_parts,
    )
    notes = [*context.remarks(), *grouped.notes, *([] if result.uses_own_parts else [UNUSED]), *part_remarks(result)]
    return replace(result, notes=tuple(dict.fromkeys(notes)))


def _others(how: Grouping) -> dict[str, Any]:
    """What differs from the published rules."""
    usual = Grouping(how.count)
    names = ("refine", "power", "sharpness", "allow_negative", "choice", "temperature", "threshold", "epsilon")
    return {name: getattr(how, name) for name in names if getattr(how, name) != getattr(usual, name)}


def _coverage(groups: Groups) -> list[float]:
    """Of the activity, the share that resembles some seed: Σ n max_k s / Σ n."""
    n = groups.norm.flatten(1)
    seen = (n * (1 - groups.unseen.flatten(1))).sum(1) / n.sum(1).clamp(min=1e-30)
    return cast("list[float]", seen.tolist())


def part_remarks(parts: Parts) -> tuple[str, ...]:
    """What a reader must know of the parts that were found, in these images together."""
    groups, notes = parts.groups, []
    if not bool(groups.used.all()):
        fewest = int(groups.used.sum(1).min())
        notes.append(
            f"only {fewest} of {parts.count} slots found a part: all other positions are similar to these parts"
        )
    if bool((groups.gaps[groups.used] < BARELY).any()) and groups.norm[0].numel() > 1:
        notes.append("a seed won by less than 0.01 % of the activity: another position could have been chosen")
    return tuple(notes)
