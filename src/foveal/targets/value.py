"""A predicted value as the decision: what raises it, what lowers it, why it is above or below another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch

from foveal.errors import TargetError, UnknownTarget, shown
from foveal.targets.class_names import class_index, class_words, plain
from foveal.targets.heads import BY_TARGET, Ending, Head, head_of
from foveal.targets.target import ModelOutput, TargetScore

if TYPE_CHECKING:
    pass

Which: TypeAlias = "int | str | Sequence[int | str] | None"
SIGNS = {"up": 1, "down": -1}


@dataclass(frozen=True)
class Value:
    """What raises a value that the network predicts, what lowers it, or why it is above or below a reference.

    score = ±(value − reference), + for "up" and − for "down"; without a reference ± the value itself.

        foveal.Value()   foveal.Value("age", direction="down")   foveal.Value(reference=2.5)

    Args:
        which: the value's index or label, or one of these per image; None where the network predicts only one.
        direction: "up" for what raises the value, "down" for what lowers it.
        reference: what the value is compared with, in the network's own unit. Gradients do not depend on it; the score,
            and with it measures and captions, does.

    Raises:
        TargetError: for another direction, a reference that is no finite number, a network that gives no values, and
            one that gives several where none is named.
    """

    which: Which = None
    direction: Literal["up", "down"] = "up"
    reference: float | None = None
    ending: Ending | None = field(default=None, kw_only=True, repr=False)
    """As of `Class`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "which", plain(self.which))
        if self.direction not in SIGNS:
            raise TargetError(
                f'cannot explain the direction {shown(self.direction)} of a value: say direction="up" or "down"'
            )
        try:
            reference = None if self.reference is None else float(self.reference)
        except (TypeError, ValueError):
            reference = math.nan
        if isinstance(self.reference, bool) or not (reference is None or math.isfinite(reference)):
            raise TargetError(f"cannot compare a value with {shown(self.reference)}: give one finite number")
        object.__setattr__(self, "reference", reference)

    @property
    def layers(self) -> tuple[str, ...]:
        return ()

    def decide(self, outcome: ModelOutput) -> TargetScore:
        if outcome.task not in (None, "value"):
            raise TargetError(
                f"this network gives no values but {head_of(outcome, self.ending).meaning}: explain "
                + ("foveal.Similar(reference)" if outcome.task == "embedding" else "a class by its number or label")
                + ", or say task='value' if its numbers are predicted values"
            )
        said = outcome if outcome.task else replace(outcome, task="value", task_source=BY_TARGET)
        return value_score(head_of(said, self.ending), outcome.labels, self)


def value_score(head: Head, labels: Sequence[str] | None, target: Value) -> TargetScore:
    """What `target` says of the values in `head`.

    Args:
        labels: one name a value; a network of one number that is called one way or the other has no name for it.
    """
    scores = head.scores
    n, k = scores.shape
    names = head.names(labels) if k > 1 else (tuple(labels) if labels and len(labels) == 1 else None)
    each = _every(target.which, n)
    if k > 1 and None in each:
        raise TargetError(f"this network predicts {k} values: say which one, such as target=0")
    index = [0 if name is None else _index(name, names, k, head) for name in each]
    values = scores.gather(1, torch.tensor(index, device=scores.device)[:, None])[:, 0]
    sign, reference = SIGNS[target.direction], target.reference
    spec = {
        "kind": "value", "index": index, "direction": target.direction, "reference": reference,
        "values": values.detach().tolist(), "meaning": head.meaning,
    }  # fmt: skip
    own = tuple(Value(i, target.direction, reference, ending=head.ending) for i in index)
    return TargetScore(
        sign * (values if reference is None else values - reference),
        tuple(_words(i, names, head, target) for i in index),
        spec,
        per_image=own,
        notes=head.notes(),
    )


def _every(which: Which, n: int) -> list[int | str | None]:
    """The value meant for each of n images."""
    if which is None or isinstance(which, int | str):
        return [which] * n
    if len(which) != n:
        raise TargetError(f"{len(which)} values were given for {n} images: give one value, or one per image")
    return list(which)


def _index(name: int | str, names: Sequence[str] | None, k: int, head: Head) -> int:
    if isinstance(name, int) and not -k <= name < k:
        raise UnknownTarget(f"value {name} is out of range: {head.where} has {k} values, 0 to {k - 1}")
    return class_index(name, names, k, head.where)


def _words(index: int, names: Sequence[str] | None, head: Head, target: Value) -> str:
    """'age (0)', 'age (0), downward', 'age (0) above 2.5'."""
    name = class_words(index, names, kind=head.kind) if names or head.scores.shape[1] > 1 else head.kind
    if target.reference is not None:
        return f"{name} {'above' if target.direction == 'up' else 'below'} {target.reference:.6g}"
    return name if target.direction == "up" else f"{name}, downward"
