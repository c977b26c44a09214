"""One decision about one photo, asked again of altered copies: prepared once, however often a person alters it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.attribution.passes import PassResult, decided
from foveal.attribution.perturbed_score import PerturbedScore, perturbed_scores
from foveal.attribution.prepare import check_pictures, prepare
from foveal.errors import TargetError
from foveal.report.answers.decision import asked_classes
from foveal.report.answers.scores import ClassScore
from foveal.report.answers.wire import Wire
from foveal.targets.class_scores import class_head, first_head
from foveal.targets.heads import read_head

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from foveal.attribution.context import Context
    from foveal.images import Geometry
    from foveal.images.preprocessing import Preprocessing
    from foveal.targets import ModelOutput, Target
    from foveal.targets.heads import Ending, Head
    from foveal.webapp.ask import TargetQuery
    from foveal.webapp.shapes import Edit
    from foveal.webapp.studio import Studio

MOST_CLASSES = 50


class HighestClasses(Wire):
    """The classes with the highest scores, and those that are asked about; none where the network has no classes.

    Attributes:
        of: how many classes there are.
    """

    of: int
    highest: list[ClassScore]


NO_CLASSES = HighestClasses(of=0, highest=[])


@dataclass(frozen=True, eq=False)
class Question:
    """What was asked of a photo, pinned to what was decided.

    Attributes:
        context: model, photo and target.
        passed: the decision about the photo as it is.
        ending: what the network does to its class scores last; None where it has none.
        wholes: the score of the photo as it is, once it was asked for.
    """

    context: Context
    passed: PassResult
    ending: Ending | None
    wholes: list[float] = field(default_factory=list)

    @property
    def x(self) -> Float[Tensor, "1 c h w"]:
        return self.context.x.detach()

    @property
    def geometry(self) -> Geometry:
        return self.context.photos[0].geometry

    @property
    def preprocessing(self) -> Preprocessing | None:
        return self.context.subject.preprocessing

    @property
    def pinned(self) -> Target | None:
        """The decision as it was made of the photo as it is: its class stays that class, whatever is altered."""
        verdict = self.passed.verdict
        return verdict.per_image[0] if verdict and verdict.per_image else self.context.target

    @contextmanager
    def asking(self) -> Iterator[PerturbedScore]:
        """The score of altered copies, inside of a block that leaves the model as it was."""
        with perturbed_scores(self.context, "score", passed=self.passed, wholes=self.wholes) as (asked,):
            self.wholes[:] = [asked.whole]
            yield asked

    def altered(self, where: Bool[Tensor, "k h w"], edit: Edit) -> Float[Tensor, "k c h w"]:
        """The photo with shapes hidden or kept."""
        from foveal.webapp.shapes import edited

        return edited(self.x, where, edit, self.preprocessing)

    def answered(self, asked: PerturbedScore, x: Float[Tensor, "1 c h w"]) -> tuple[float, HighestClasses]:
        """The score of one altered copy, and those of all classes, by one forward pass where one shows both."""
        context, heads = self.context, list[HighestClasses]()

        def look(outcome: ModelOutput) -> None:
            heads.append(self.classes(read_head(outcome.output, context.task, self.ending)))

        early = bool(asked.decision.layers)
        score = float(asked(x, None if early or self.ending is None else look)[0])
        if early and self.ending is not None:
            row = context.arguments.row(0)
            heads.append(self.classes(class_head(context.model, context.task, x, self.ending, row)))
        return score, heads[-1] if heads else NO_CLASSES

    def classes(self, head: Head) -> HighestClasses:
        """What the network says of the first of its copies."""
        if head.task == "embedding":
            return NO_CLASSES
        names = head.names(self.context.labels)
        scores, chances = head.choices[0].double(), head.probabilities
        asked = self._asked(names)
        highest = scores.nan_to_num(nan=-math.inf).argsort(descending=True, stable=True)[:MOST_CLASSES].tolist()
        shown = [*highest, *(k for k in asked if k not in highest)]
        own = [None] * len(shown) if chances is None else known(chances[0].double()[shown])
        return HighestClasses(
            of=len(scores),
            highest=[
                ClassScore(
                    index=k, name=names[k] if names else str(k), score=score, probability=own[i] if own else None
                )
                for i, (k, score) in enumerate(zip(shown, known(scores[shown]), strict=True))
            ],
        )

    def _asked(self, names: Sequence[str] | None) -> list[int]:
        """The classes that the decision is about."""
        verdict = self.passed.verdict
        if verdict is None or names is None:
            return []
        asked = asked_classes(verdict.label[0], verdict.spec)
        return [k for k, name in enumerate(names) if name in asked]


def question_of(studio: Studio, query: TargetQuery) -> Question:
    """The question of a page, prepared once.

    Raises:
        FovealError: as `foveal.explain`.
    """

    def make() -> Question:
        model = studio.model(query.model)
        context = prepare(model, [studio.photo(query.photo).image], studio.target(query.target, model))
        check_pictures(context.batch, "altered photos")
        return Question(context, decided(context), ending_of(studio, query.model, context))

    return studio.kept(("question", query.photo, query.model, query.target), make)


def ending_of(studio: Studio, model: str, context: Context) -> Ending | None:
    """How a model's output ends, read once; None where it has no class scores."""

    def make() -> list[Ending]:
        try:
            head = first_head(context.model, context.task, context.x[:1], context.arguments, context.labels)
        except TargetError:
            return []
        return [head.ending]

    return next(iter(studio.kept(("ending", model), make)), None)


def known(values: Sequence[float] | Tensor) -> list[float | None]:
    """As numbers of JSON: None for what is none."""
    numbers = values.tolist() if isinstance(values, torch.Tensor) else values
    return [number if math.isfinite(number) else None for number in numbers]
