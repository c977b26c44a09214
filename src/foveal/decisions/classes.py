"""Class decisions: the predicted class, a given class, and one class rather than another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch
from torch import Tensor

from foveal.decisions.decision import Outcome, Verdict, class_scores, last_operation, probabilities, two_sided
from foveal.decisions.labels import class_index, class_words, plain
from foveal.errors import TargetError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

OneClass: TypeAlias = "int | str"


@dataclass(frozen=True)
class Class:
    """The score of one class: its index or label; a sequence gives each image its own; None the predicted one.

    A model with a single logit decides between class 1 (score = logit) and class 0 (score = −logit). Where a model
    ends in a sigmoid or softmax, its output is the score, and the result says "probability".

        foveal.Class("jay")   foveal.Class(17)   foveal.Class(["jay", "crow"])   foveal.Class(3, of="probability")

    Args:
        which: index, label, one of these per image, or None.
        of: what is explained, the "logit" (default; its gradient does not saturate) or the "probability".
    """

    which: OneClass | Sequence[OneClass] | None = None
    of: Literal["logit", "probability"] = "logit"

    def __post_init__(self) -> None:
        object.__setattr__(self, "which", plain(self.which))
        if self.of not in ("logit", "probability"):
            raise TargetError(f'cannot explain the {self.of!r} of a class: say of="logit" or of="probability"')

    @property
    def layers(self) -> tuple[str, ...]:
        return ()

    def decide(self, outcome: Outcome) -> Verdict:
        scores = two_sided(class_scores(outcome.output))
        labels = _fitting(outcome.labels, scores.shape[1])
        index = class_indices(self.which, scores, outcome.labels)
        chance = _at(probabilities(class_scores(outcome.output)), index)
        score = chance if self.of == "probability" else _at(scores, index)
        # A model that ends in a sigmoid or softmax has no logit to explain.
        chances = last_operation(class_scores(outcome.output)).startswith(("Sigmoid", "Softmax"))
        of = "probability" if chances else self.of
        words = tuple(class_words(i, labels) for i in index.tolist())
        spec = {"kind": "class", "index": index.tolist(), "of": of, "predicted": self.which is None}
        each = tuple(Class(i, "logit" if chances else self.of) for i in index.tolist())
        return Verdict(score, words, spec, chance.detach(), each)


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

    def __post_init__(self) -> None:
        object.__setattr__(self, "a", plain(self.a))
        object.__setattr__(self, "b", plain(self.b))

    @property
    def layers(self) -> tuple[str, ...]:
        return ()

    def decide(self, outcome: Outcome) -> Verdict:
        scores = two_sided(class_scores(outcome.output))
        labels = _fitting(outcome.labels, scores.shape[1])
        a = class_indices(self.a, scores, outcome.labels)
        rest = scores.detach().scatter(1, a[:, None], -torch.inf)
        b = class_indices(self.b, rest, outcome.labels)
        if bool((a == b).any()):
            same = class_words(int(a[a == b][0]), labels)
            raise TargetError(f"a margin needs two different classes, but a and b are both {same}")
        words = tuple(
            f"{class_words(i, labels)} − {class_words(j, labels)}" for i, j in zip(a.tolist(), b.tolist(), strict=True)
        )
        each = tuple(Margin(i, j) for i, j in zip(a.tolist(), b.tolist(), strict=True))
        spec = {"kind": "margin", "a": a.tolist(), "b": b.tolist()}
        return Verdict(_at(scores, a) - _at(scores, b), words, spec, each=each)


def _fitting(labels: Sequence[str] | None, classes: int) -> Sequence[str] | None:
    """Labels, if there is one a class: a shifted or missing one would name every class wrongly."""
    return labels if labels and len(labels) == classes else None


def class_indices(
    which: OneClass | Sequence[OneClass] | None, scores: Float[Tensor, "n classes"], labels: Sequence[str] | None
) -> Int[Tensor, " n"]:
    """The class meant for each row of scores: the one named, or the highest."""
    n, classes = scores.shape
    if which is None:
        return scores.detach().argmax(1)
    each = [which] * n if isinstance(which, int | str) else list(which)
    if len(each) != n:
        raise TargetError(f"{len(each)} classes were given for {n} images: give one class, or one per image")
    return torch.tensor([class_index(one, labels, classes) for one in each], device=scores.device)


def _at(scores: Float[Tensor, "n classes"], index: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    return scores.gather(1, index[:, None])[:, 0]
