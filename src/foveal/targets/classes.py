"""Class decisions: the predicted class, a given class, and one class rather than another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch
from torch import Tensor

from foveal.errors import TargetError
from foveal.targets.class_names import class_index, class_words, plain
from foveal.targets.heads import Ending, Head, head_of
from foveal.targets.target import ModelOutput, TargetScore
from foveal.targets.value import Value, value_score

if TYPE_CHECKING:
    from jaxtyping import Float, Int

OneClass: TypeAlias = "int | str"


@dataclass(frozen=True)
class Class:
    """The score of one class: its index or label; a sequence gives each image its own; None the predicted one.

    A model with a single logit decides between class 1 (score = logit) and class 0 (score = −logit). Where a model
    ends in a sigmoid or softmax, its output is the score, and the result says "probability". Of a model that predicts
    values, it is the value, as `foveal.Value` has it; so is one number of unknown meaning where no class is named.

        foveal.Class("jay")   foveal.Class(17)   foveal.Class(["jay", "crow"])   foveal.Class(3, of="probability")

    Args:
        which: index, label, one of these per image, or None.
        of: what is explained, the "logit" (default; its gradient does not saturate) or the "probability".
    """

    which: OneClass | Sequence[OneClass] | None = None
    of: Literal["logit", "probability"] = "logit"
    whole_names: bool = field(default=False, kw_only=True, repr=False)
    """Whether a class must be named by its whole label or a synonym, as in files, and not by a part of it."""
    ending: Ending | None = field(default=None, kw_only=True, repr=False)
    """How the network's output ends, once that is known: of altered copies there is no graph to read it off."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "which", plain(self.which))
        if self.of not in ("logit", "probability"):
            raise TargetError(f'cannot explain the {self.of!r} of a class: say of="logit" or of="probability"')

    @property
    def layers(self) -> tuple[str, ...]:
        return ()

    def decide(self, outcome: ModelOutput) -> TargetScore:
        head = head_of(outcome, self.ending)
        if head.task == "value" or (self.which is None and head.task is None and head.binary):
            if self.of == "probability":
                raise TargetError(f"the network's output has no probability ({head.meaning}): leave of out")
            return value_score(head, outcome.labels, Value(self.which, ending=head.ending))
        scores, probabilities = head.choices, head.probabilities
        labels = head.names(outcome.labels)
        if self.which is None:
            head.check_predicts()
        index = class_indices(self.which, scores, labels, head.where, parts=not self.whole_names)
        numbers = index.tolist()
        words = tuple(class_words(i, labels, kind=_kind(head)) for i in numbers)
        if probabilities is None and self.of == "probability":
            raise TargetError(
                f"{words[0]} has no probability ({head.meaning}): say task='classes' or task='labels' if that is what "
                "the numbers are, or leave of out"
            )
        chance = None if probabilities is None else _at(probabilities, index)
        # A model that ends in a sigmoid or softmax has no logit to explain.
        chances = head.ending in ("sigmoid", "softmax")
        score = chance if chance is not None and self.of == "probability" else _at(scores, index)
        spec: dict[str, Any] = {
            "kind": "class", "index": numbers, "of": "probability" if chances else self.of,
            "predicted": self.which is None, "strongest": _strongest(scores, index), "meaning": head.meaning,
        }  # fmt: skip
        each = tuple(Class(i, "logit" if chances else self.of, ending=head.ending) for i in numbers)
        chance = None if chance is None else chance.detach()
        return TargetScore(score, words, spec, chance, each, None, scores, head.notes(labels or _sides(head)))


@dataclass(frozen=True)
class Margin:
    """Why a and not b: the logit of `a` minus the logit of `b`.

    Of a single-logit model, whose two classes score z and −z, the margin is 2z.

        foveal.Margin("jay", "crow")      foveal.Margin()    # the predicted class against the runner-up

    Args:
        a: index, label, one of these per image, or None for the predicted class.
        b: the same; None for the strongest class other than `a`.
    """

    a: OneClass | Sequence[OneClass] | None = None
    b: OneClass | Sequence[OneClass] | None = None
    ending: Ending | None = field(default=None, kw_only=True, repr=False)
    """As of `Class`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "a", plain(self.a))
        object.__setattr__(self, "b", plain(self.b))

    @property
    def layers(self) -> tuple[str, ...]:
        return ()

    def decide(self, outcome: ModelOutput) -> TargetScore:
        head = head_of(outcome, self.ending)
        scores = head.choices
        labels = head.names(outcome.labels)
        if self.a is None or self.b is None:
            head.check_predicts()
        a = class_indices(self.a, scores, labels, head.where)
        rest = scores.detach().scatter(1, a[:, None], -torch.inf)
        b = class_indices(self.b, rest, labels, head.where)
        if bool((a == b).any()):
            same = class_words(int(a[a == b][0]), labels, kind=_kind(head))
            raise TargetError(f"a margin needs two different classes, but a and b are both {same}")
        pairs = list(zip(a.tolist(), b.tolist(), strict=True))
        words = tuple(" − ".join(class_words(k, labels, kind=_kind(head)) for k in pair) for pair in pairs)
        each = tuple(Margin(i, j, ending=head.ending) for i, j in pairs)
        spec = {
            "kind": "margin", "a": a.tolist(), "b": b.tolist(), "of": head.kind,
            "strongest": _strongest(scores, a), "meaning": head.meaning,
        }  # fmt: skip
        margin = _at(scores, a) - _at(scores, b)
        return TargetScore(
            margin, words, spec, per_image=each, choices=scores, notes=head.notes(labels or _sides(head))
        )


def _kind(head: Head) -> str:
    """What a class that somebody named is called: of one number there are two sides, whatever it means."""
    return "class" if head.binary else head.kind


def _sides(head: Head) -> tuple[str, ...] | None:
    return ("class 0", "class 1") if head.binary else None


def _strongest(scores: Float[Tensor, "n classes"], index: Int[Tensor, " n"]) -> list[bool]:
    """Whether no class of each image has a higher score: the network decides for it."""
    scores = scores.detach()
    return (_at(scores, index) >= scores.amax(1)).tolist()


def class_indices(
    which: OneClass | Sequence[OneClass] | None,
    scores: Float[Tensor, "n classes"],
    labels: Sequence[str] | None,
    where: str = "the model",
    *,
    parts: bool = True,
) -> Int[Tensor, " n"]:
    """The class meant for each row of scores: the one named, or the highest.

    Args:
        where: what has these scores.
        parts: see `class_index`.
    """
    n, classes = scores.shape
    if which is None:
        return scores.detach().argmax(1)
    each = [which] * n if isinstance(which, int | str) else list(which)
    if len(each) != n:
        raise TargetError(f"{len(each)} classes were given for {n} images: give one class, or one per image")
    return torch.tensor([class_index(name, labels, classes, where, parts=parts) for name in each], device=scores.device)


def _at(scores: Float[Tensor, "n classes"], index: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    return scores.gather(1, index[:, None])[:, 0]
