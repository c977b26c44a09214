"""Several labels of each image: rows for them, and passes that run each image once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from foveal.engine.arguments import Arguments
from foveal.errors import TargetError
from foveal.images import Batch
from foveal.targets.class_names import class_index
from foveal.targets.class_scores import first_head
from foveal.targets.heads import BY_TARGET
from foveal.targets.labels import LabelRows, Labels

if TYPE_CHECKING:
    from foveal.attribution.context import Context
    from foveal.models.model import Model

Passes: TypeAlias = "Sequence[Any]"
"""`PassResult` or `BackwardTarget` of `attribution.passes`, which knows this file."""

Run: TypeAlias = "Callable[[Context, Passes], Passes]"


def row_a_label(
    target: Labels, subject: Model, batch: Batch, arguments: Arguments
) -> tuple[Model, Batch, Arguments, LabelRows]:
    """Model, images and arguments with a row for every label of every image, and the decision about them.

    Where neither labels nor model name the outputs, one forward pass of the first image counts them.

    Raises:
        TargetError: for labels that the network does not have, and for embeddings.
    """
    if subject.task == "embedding":
        raise TargetError("this network gives an embedding, and no labels: explain target=foveal.Similar(reference)")
    index, n = _indices(target, subject, batch.tensor, arguments), len(batch.tensor)
    m = len(index)
    if len(set(index)) < m:
        raise TargetError("Labels names a label twice: name each once")
    subject = subject if subject.task else subject.with_task("labels", BY_TARGET)
    photos = tuple(photo for photo in batch.photos for _ in range(m))
    return subject, Batch(repeated(batch.tensor, m), photos), arguments.repeated(m), LabelRows(index, n)


def one_pass(context: Context, questions: Passes, run: Run) -> list[Any] | None:
    """Passes that run each image once, with a question a label; None where that cannot be.

    Rules of a backward pass belong to one forward, so they go back from all rows at once.
    """
    rows = context.target
    ours = all(question.decision is None or question.decision is rows for question in questions)
    if not isinstance(rows, LabelRows) or not ours or any(question.rules or question.study for question in questions):
        return None
    m = len(rows.index)
    if len(context.x) != rows.images * m:
        return None
    alone = replace(context, x=context.x[::m], arguments=context.arguments.every(m), target=None)
    asked = [
        replace(question, decision=rows.label(j) if question.decision else None)
        for question in questions
        for j in range(m if question.decision else 1)
    ]
    passed = iter(run(alone, asked))
    return [_of_rows(rows, [next(passed) for _ in range(m if question.decision else 1)]) for question in questions]


def repeated(tensor: Tensor, m: int) -> Tensor:
    """Each row m times in succession."""
    return tensor.repeat_interleave(m, 0)


def _indices(target: Labels, subject: Model, x: Tensor, arguments: Arguments) -> tuple[int, ...]:
    which, names = target.which, subject.labels
    if which is not None and all(isinstance(label, int) and label >= 0 for label in which):
        return tuple(int(label) for label in which)
    count = len(names) if names else first_head(subject.module, subject.task, x, arguments).scores.shape[1]
    return tuple(range(count) if which is None else (class_index(label, names, count) for label in which))


def _of_rows(rows: LabelRows, passed: Passes) -> Any:
    """The passes of the labels, one a label, as one over all rows."""
    first, m = passed[0], len(rows.index)
    verdicts = [part.verdict for part in passed if part.verdict]
    return replace(
        first,
        verdict=rows.interleaved(verdicts) if verdicts else None,
        activations={at: repeated(A, m) for at, A in first.activations.items()},
        cotangents={
            at: torch.stack([part.cotangents[at] for part in passed], 1).flatten(0, 1) for at in first.cotangents
        },
        between={at: frozenset().union(*(part.between[at] for part in passed)) for at in first.between},
        notes=list(dict.fromkeys(note for part in passed for note in part.notes)),
    )
