"""Joined parts for the verbs that compare: of pairs, and of queries with the examples of classes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from foveal.attribution.context import Context
from foveal.attribution.embedding import on_device
from foveal.engine.graph import recording
from foveal.engine.overwritten import kept_if_overwritten
from foveal.errors import MethodError
from foveal.images import Batch, load_images
from foveal.methods.joined_effects import GoOn, Measuring, joined_parts
from foveal.methods.joining import Joining, ReferenceGroup
from foveal.methods.pairwise import Side
from foveal.results.joined_parts import JoinedParts
from foveal.targets.prototypes import HEADS, ClosestClass
from foveal.targets.reference import ReferenceTarget

if TYPE_CHECKING:
    from torch import nn

    from foveal.attribution.perturbation import Progress
    from foveal.engine.arguments import Arguments
    from foveal.engine.select import LayerSpec


def pair_parts(
    joining: Joining, model: nn.Module, images: tuple[Tensor, Tensor], arguments: tuple[Arguments, Arguments],
    groups: Sequence[ReferenceGroup], count: int, notes: list[str], progress: Progress | None,
) -> tuple[JoinedParts, ...]:  # fmt: skip
    """The parts of every query with each group."""
    sides = zip((joining.queries, joining.references), images, arguments, strict=True)
    measuring = Measuring(joining, *(GoOn(side, model, x, given) for side, x, given in sides))
    joined, said = joined_parts(measuring, groups, count, partial(progress, "joining parts") if progress else None)
    notes += said
    return tuple(joined)


def check_parts(count: int, support: Any, rule: str) -> None:
    """Raises MethodError where an episode has no parts."""
    if count < 0:
        raise MethodError(f"parts={count} is below 0: use 0 for no parts")
    if count and rule in HEADS:
        raise MethodError(
            f"rule {rule!r} compares with rows of weights, and parts lie on examples: leave out parts=, or use "
            "rule='mean'"
        )
    if count and isinstance(support, Tensor) and support.ndim <= 2:
        raise MethodError(
            "the support was given as embeddings, and parts lie on images: give images, or leave out parts="
        )


@recording
def class_parts(
    context: Context, layer: LayerSpec, support: Any, names: Sequence[str], count: int, notes: list[str],
    progress: Progress | None,
) -> tuple[JoinedParts, ...]:  # fmt: skip
    """The parts of every query with the examples of each class."""
    target = context.target
    assert isinstance(target, ReferenceTarget) and isinstance(target.rule, ClosestClass)
    rule, metric, (at,) = target.rule, target.metric, context.layers(layer)
    shelf = on_device(load_images(support, context.subject.preprocessing, axes=context.x.ndim - 2), context.x)
    arguments = context.arguments, context.arguments.row(0)

    def compared() -> Joining:
        with ExitStack() as block:

            def side(batch: Batch, given: Arguments, what: str) -> Side:
                return Side.of(context.model, batch, at, target.layer, given, metric, what, block, progress, notes)

            queries = side(Batch(context.x, context.photos), arguments[0], "query")
            return Joining.of(queries, side(shelf, arguments[1], "support"), metric)

    joining = kept_if_overwritten(compared)
    members = [tuple(j for j, name in enumerate(names) if name == c) for c in rule.classes]
    groups = [
        ReferenceGroup(each, weights, rule.rule == "mean")
        for each, weights in zip(members, _weights(joining, rule, members), strict=True)
    ]
    return pair_parts(joining, context.model, (context.x, shelf.tensor), arguments, groups, count, notes, progress)


def _weights(joining: Joining, rule: ClosestClass, members: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """How much each example of a class counts for each query."""
    q, s = joining.queries.v, joining.references.v
    if rule.rule == "mean":
        return [q.new_full((len(q), len(each)), 1 / len(each)) for each in members]
    with torch.no_grad():
        counts = rule.counts(joining.metric.score(q[:, None], s[None]))
    return [counts[:, c, list(each)] for c, each in enumerate(members)]
