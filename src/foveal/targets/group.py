"""Several classes as one: why a dog, of whichever breed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from foveal.errors import TargetError, UnknownTarget
from foveal.targets.class_names import class_index, class_words, plain, synonyms
from foveal.targets.classes import OneClass
from foveal.targets.heads import Ending, Head, head_of
from foveal.targets.target import ModelOutput, TargetScore

NAMED = 3  # classes that the words list


@dataclass(frozen=True)
class Group:
    """One of several classes, whichever: log Σ exp of their logits.

        foveal.Group(range(151, 269), name="dog")      # the 118 dogs of ImageNet
        foveal.Group(["*terrier*", "collie"])          # all labels that fit a pattern, and one more

    The softmax of this score against the logits of the other classes is the sum of the group's probabilities, so a
    group is to its classes what a class of its own would be. Its gradient is the mean of theirs, weighed by the share
    that each has of the group's probability: a group of which one breed is nearly certain has nearly the map of that
    breed. Where a network ends in a softmax, the score is the sum of the probabilities.

    Of labels that can be true together the logits' log Σ exp has no probability; where these end in a sigmoid, the
    score is their sum, the number of them that is to be expected.

    Args:
        classes: indices, labels or patterns of labels (`*` any characters, `?` one).
        name: what the group is called; None lists its first classes.
    """

    classes: OneClass | Sequence[OneClass]
    name: str | None = None
    ending: Ending | None = field(default=None, kw_only=True, repr=False)
    """As of `Class`."""

    def __post_init__(self) -> None:
        classes = plain(self.classes)
        classes = (classes,) if isinstance(classes, int | str) else tuple(classes or ())
        if not classes:
            raise TargetError("a group needs at least one class: give their indices or labels")
        object.__setattr__(self, "classes", classes)

    @property
    def layers(self) -> tuple[str, ...]:
        return ()

    def decide(self, outcome: ModelOutput) -> TargetScore:
        head = head_of(outcome, self.ending)
        check_classes(head, "a group")
        labels, scores, probabilities = head.names(outcome.labels), head.choices, head.probabilities
        assert not isinstance(self.classes, int | str)
        index = group_indices(self.classes, labels, scores.shape[1], head.where)
        if head.exclusive and len(index) == scores.shape[1]:
            raise TargetError(
                f"a group of all {len(index)} classes has the probability 1 whatever the image shows: leave some out"
            )
        chances = head.ending in ("sigmoid", "softmax")
        own = scores[:, index]
        single = chances or len(index) == 1
        score = own.sum(1) if single else own.logsumexp(1)
        probability = None
        if probabilities is not None and (head.exclusive or len(index) == 1):
            probability = probabilities[:, index].sum(1).detach().clamp(max=1)
        weights = (own if chances else own.softmax(1)).detach()
        top, best = weights.max(1)
        spec: dict[str, Any] = {
            "meaning": head.meaning,
            "kind": "group", "classes": index, "name": self.name, "of": "probability" if chances else "logit",
            "member": [index[k] for k in best.tolist()], "share": (top / weights.sum(1)).nan_to_num().tolist(),
            "strongest": (own.detach().amax(1) >= scores.detach().amax(1)).tolist(),
        }  # fmt: skip
        words = self._words(index, labels, head.kind)
        n = len(scores)
        pinned = Group(index, self.name, ending=head.ending)
        return TargetScore(score, (words,) * n, spec, probability, (pinned,) * n, None, scores, head.notes(labels))

    def _words(self, index: Sequence[int], labels: Sequence[str] | None, kind: str) -> str:
        plural = {"class": "classes"}.get(kind, f"{kind}s")
        if self.name:
            return f"{self.name} (one of {len(index)} {plural})" if len(index) > 1 else self.name
        shown = [class_words(i, labels, kind=kind) for i in index[:NAMED]]
        if len(index) <= NAMED:
            return " or ".join(shown)
        return f"one of {len(index)} {plural}: {', '.join(shown)}, …"


def check_classes(head: Head, what: str) -> None:
    """TargetError where the numbers of a network are no classes that exclude each other or can be true together."""
    head.check_predicts()
    if head.task == "value":
        raise TargetError(
            f"{what} is of classes, and this network predicts values: explain one of them, as in target=0"
        )
    if head.task != "embedding" and head.ending == "embedding":
        raise TargetError(f"{what} is of classes. {head.notes()[0][:1].upper()}{head.notes()[0][1:]}")


def group_indices(
    wanted: Sequence[OneClass], labels: Sequence[str] | None, classes: int, where: str = "the model"
) -> list[int]:
    """The classes meant, each once, in the order they are named.

    Raises:
        TargetError: for one that is unknown, and a pattern that no label fits.
    """
    found: dict[int, None] = {}
    for name in wanted:
        if isinstance(name, str) and re.search(r"[*?]", name) and name not in (labels or ()):
            found |= dict.fromkeys(_fitting(name, labels))
        else:
            found[class_index(name, labels, classes, where)] = None
    return [*found]


def _fitting(pattern: str, labels: Sequence[str] | None) -> list[int]:
    """The classes whose label, or one of its synonyms, fits the pattern."""
    if not labels:
        raise UnknownTarget(
            f"cannot look up the classes {pattern!r}: the model's labels are not known; pass indices or labels=[…]"
        )
    wanted = pattern.strip().casefold()
    folded = [label.casefold() for label in labels]
    fitting = [
        i for i, label in enumerate(folded) if any(fnmatchcase(name, wanted) for name in (label, *synonyms(label)))
    ]
    if not fitting:
        raise UnknownTarget(f"no class of the model fits {pattern!r}: a * stands for any characters, as in '*terrier*'")
    return fitting
