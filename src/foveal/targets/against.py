"""A class against its rivals: what tells it from those that are most like it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from foveal.errors import TargetError, shown
from foveal.targets.class_names import class_index, class_words, plain
from foveal.targets.classes import OneClass, class_indices
from foveal.targets.group import check_classes
from foveal.targets.heads import Ending, Head, head_of
from foveal.targets.target import ModelOutput, TargetScore

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Rivals: TypeAlias = "Sequence[OneClass] | Sequence[Sequence[OneClass]]"

USUAL = 3  # rivals
NAMED = 3  # rivals that the words list
AMONG = "the probability is that of the class among it and its rivals, not among all classes"


@dataclass(frozen=True)
class Against:
    """A class against its rivals: y_c less γ times the mean of theirs (Finer-CAM: Zhang et al., CVPR 2025).

        foveal.Against()                                # the predicted class against the three next
        foveal.Against("jay", k=5, strength=1)
        foveal.Against("jay", rivals=["magpie", "crow"])

    What a class has in common with those most like it counts for both and falls away; what tells them apart remains.
    With one rival and strength 1 this is `foveal.Margin`; with strength 0, `foveal.Class`. Rivals are those of the
    image as it is: altered copies are judged against the same ones.

    Args:
        which: the class explained: index, label, one of these per image, or None for the predicted class.
        k: how many rivals, those with the highest scores; None for three, or all others of a network with fewer.
        strength: γ, the share of the rivals' mean that is taken off; 0.6 is that of the authors' script.
        rivals: the rivals by index or label instead, for all images or a list an image.
    """

    which: OneClass | Sequence[OneClass] | None = None
    k: int | None = None
    strength: float = 0.6
    rivals: Rivals | None = None
    ending: Ending | None = field(default=None, kw_only=True, repr=False)
    """As of `Class`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "which", plain(self.which))
        if self.rivals is not None:
            object.__setattr__(self, "rivals", _plain_rivals(self.rivals))
            if self.k is not None:
                raise TargetError("the rivals are either named or the k strongest: leave out k or rivals")
        if self.k is not None and (isinstance(self.k, bool) or not isinstance(self.k, int) or self.k < 1):
            raise TargetError(f"a class against {self.k} rivals is not possible: give a whole number of 1 or more")
        number = isinstance(self.strength, int | float) and not isinstance(self.strength, bool)
        if not number or not 0 <= self.strength < float("inf"):
            raise TargetError(
                f"a strength of {shown(self.strength)} is not possible: give 0 or more; 1 takes off all of it"
            )

    @property
    def layers(self) -> tuple[str, ...]:
        return ()

    def decide(self, outcome: ModelOutput) -> TargetScore:
        head = head_of(outcome, self.ending)
        check_classes(head, "a rival")
        labels, scores = head.names(outcome.labels), head.choices
        index = class_indices(self.which, scores, labels, head.where)
        rivals = self._rivals(scores, index, labels, head.where)
        own = scores.gather(1, index[:, None])[:, 0]
        means = torch.stack([row[others].mean() for row, others in zip(scores, rivals, strict=True)])
        score = own - self.strength * means
        numbers, others = index.tolist(), [rival.tolist() for rival in rivals]
        spec: dict[str, Any] = {
            "meaning": head.meaning,
            "kind": "against", "index": numbers, "rivals": others, "strength": self.strength,
            "k": None if self.rivals is not None else len(others[0]), "of": head.kind,
            "strongest": (own.detach() >= scores.detach().amax(1)).tolist(),
        }  # fmt: skip
        words = tuple(self._words(i, rival, labels, head.kind) for i, rival in zip(numbers, others, strict=True))
        each = tuple(
            Against(i, None, self.strength, rival, ending=head.ending) for i, rival in zip(numbers, others, strict=True)
        )
        probability = _among(head, index, rivals)
        notes = (*head.notes(labels), *([] if probability is None else [AMONG]))
        return TargetScore(score, words, spec, probability, each, None, scores, notes)

    def _rivals(
        self, scores: Float[Tensor, "n classes"], index: Int[Tensor, " n"], labels: Sequence[str] | None, where: str
    ) -> list[Int[Tensor, " k"]]:
        """Those of each image, the strongest first where nobody names them."""
        n, classes = scores.shape
        if self.rivals is None:
            k = min(USUAL, classes - 1) if self.k is None else self.k
            if not 0 < k < classes:
                others = f"{classes - 1} other class{'es' * (classes != 2)}"
                raise TargetError(f"a class against {k or 1} rivals is not possible: {where} has {others}")
            rest = scores.detach().scatter(1, index[:, None], -torch.inf)
            return [*rest.topk(k, dim=1).indices]
        rows: Any = self.rivals if _nested(self.rivals) else [self.rivals] * n
        if len(rows) != n:
            raise TargetError(f"{len(rows)} lists of rivals were given for {n} images: give one list, or one per image")
        named = [[*dict.fromkeys(class_index(name, labels, classes, where) for name in row)] for row in rows]
        for own, row in zip(index.tolist(), named, strict=True):
            if own in row:
                raise TargetError(f"{class_words(own, labels)} cannot be its own rival: name other classes")
        return [torch.tensor(row, device=scores.device) for row in named]

    def _words(self, index: int, rivals: Sequence[int], labels: Sequence[str] | None, kind: str) -> str:
        own, *others = (class_words(i, labels, kind=kind) for i in (index, *rivals))
        more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        mean = others[0] if len(others) == 1 else f"mean of {', '.join(others[:NAMED])}{more}"
        return f"{own} − {mean}" if self.strength == 1 else f"{own} − {self.strength:g} × {mean}"


def _among(head: Head, index: Int[Tensor, " n"], rivals: Sequence[Int[Tensor, " k"]]) -> Float[Tensor, " n"] | None:
    """The probability of each class among it and its rivals; None where that has no meaning."""
    if not head.exclusive or head.log_probabilities is None:
        return None
    rows = zip(head.log_probabilities.detach(), index, rivals, strict=True)
    return torch.stack([(row[own] - row[others].logsumexp(0)).sigmoid() for row, own, others in rows])


def _nested(rivals: Rivals) -> bool:
    return not all(isinstance(rival, int | str) for rival in rivals)


def _plain_rivals(rivals: Any) -> tuple[Any, ...]:
    """As a tuple of classes, or of one such tuple an image."""
    if isinstance(rivals, int | str):
        rivals = (rivals,)
    if isinstance(rivals, Tensor) or not _nested(rivals):
        rivals = plain(rivals) if not isinstance(rivals, Tensor) or rivals.ndim == 1 else [plain(row) for row in rivals]
    rows = tuple(tuple(plain(row)) if not isinstance(row, int | str) else row for row in rivals)
    if not rows or any(row == () for row in rows):
        raise TargetError("no rivals were given: name at least one class, or leave rivals out")
    return rows
