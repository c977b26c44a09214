"""Pictures in, rows out: what one process does with its share of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from foveal.api.explain import explanations
from foveal.attribution.prepare import prepare, read
from foveal.datasets.inside import Picture
from foveal.datasets.parts import Row
from foveal.datasets.plan import Item
from foveal.errors import FovealError, TargetError
from foveal.images import Batch, Photo
from foveal.results.notes import map_notes, photo_notes
from foveal.runs.question import RunQuestion
from foveal.targets import Class
from foveal.targets.class_scores import class_head, first_head

if TYPE_CHECKING:
    from foveal.attribution.context import Context
    from foveal.results import Explanation
    from foveal.targets import TargetLike
    from foveal.targets.heads import Head


@dataclass(frozen=True)
class Start:
    """What makes the explainer, in any process."""

    question: RunQuestion

    def __call__(self) -> RunExplainer:
        return RunExplainer(self.question)


class RunExplainer:
    """Explains pictures as a run asks."""

    def __init__(self, question: RunQuestion) -> None:
        self.question, self.model = question, question.network.get()
        self._head: Head | None = None
        self._looked = False

    def read(self, picture: Picture) -> Batch:
        """The network's input; of the photo only where its pixels lie, not the pixels."""
        batch = read(self.model, [picture])
        return Batch(batch.tensor, tuple(_without_pixels(photo) for photo in batch.photos))

    def rows(self, items: Sequence[Item], pictures: Sequence[Any]) -> list[Row]:
        """A row for each picture.

        Raises:
            FovealError: where one of them does not fit.
        """
        context, why = self.explain(items, pictures)
        predicted = self._predicted(context, why)
        numbers = self._numbers(context, why)
        general = general_notes(why)
        rows = []
        for i in range(len(items)):
            maps = {layer: map[i].detach().float().cpu().numpy() for layer, map in why.maps.items()}
            values = {
                "predicted": predicted[i],
                "target": None if why.target_spec.get("kind") == "none" else why.target[i],
                **{name: values[i] for name, values in numbers.items()},
            }
            alone = {layer: map[i : i + 1] for layer, map in why.maps.items()}
            notes = [*map_notes(alone), *photo_notes([why.photos[i]])]
            notes += [note for note in general if note not in self.question.notes]
            rows.append(Row(values, maps, tuple(notes)))
        return rows

    def explain(self, items: Sequence[Item], pictures: Sequence[Any]) -> tuple[Context, Explanation]:
        """One explanation of them all, and what it was made from."""
        asked = self.question
        batch = Batch(
            torch.cat([one.tensor for one in pictures]), tuple(photo for one in pictures for photo in one.photos)
        )
        target = _own_labels(items) if asked.own else asked.target
        blind = target is None and asked.method.needs == "activations"
        context = prepare(self.model, batch, target, blind=blind)
        (why,) = explanations(
            context, {asked.name: asked.method}, asked.layer, resolution=asked.resolution, scales=asked.scales
        )
        return context, why

    def _predicted(self, context: Context, why: Explanation) -> list[str | None]:
        """The name of the strongest class of each picture; its number where names are not known."""
        head = self._first_head(context)
        if head is None:
            return [None] * len(why.photos)
        names = head.names(self.model.labels)
        spec: Mapping[str, Any] = why.target_spec
        if spec.get("kind") == "class" and all(spec.get("strongest", [False])):
            index = list(spec["index"])
        else:
            x, ending = context.x, head.ending
            index = class_head(self.model.module, self.model.task, x, ending).choices.argmax(1).tolist()
        return [names[k] if names else str(k) for k in index]

    def _first_head(self, context: Context) -> Head | None:
        """What the network's output is; None where it has no classes."""
        if not self._looked:
            self._looked = True
            with suppress(FovealError):
                head = first_head(self.model.module, self.model.task, context.x[:1], labels=self.model.labels)
                if head.task != "value" and len(head.choices) == 1:
                    self._head = replace(head, scores=head.scores.detach())
        return self._head

    def _numbers(self, context: Context, why: Explanation) -> Mapping[str, Sequence[float | None]]:
        columns = {
            name: [None] * len(why.photos) if values is None else values.detach().cpu().tolist()
            for name, values in (("score", why.score), ("probability", why.probability))
        }
        return {**columns, **(self._audit(context, why) if self.question.audit else {})}

    def _audit(self, context: Context, why: Explanation) -> dict[str, list[float | None]]:
        from foveal.api.audit import audit

        tests = audit(self.model, context.batch, context.target, explanations=why)
        each = [(test.area, test.effect, *test.chance, test.beats) for test in tests]
        names = ("audit_area", "audit_effect", "audit_chance", "audit_spread", "audit_beats")
        return {name: [float(test[k]) for test in each] for k, name in enumerate(names)}


def general_notes(why: Explanation) -> tuple[str, ...]:
    """Its notes, but for those of single maps and photos."""
    own = {*map_notes(why.maps), *photo_notes(why.photos)}
    return tuple(note for note in why.notes if note not in own)


def _own_labels(items: Sequence[Item]) -> TargetLike:
    labels = [item.label for item in items]
    if None in labels:
        raise TargetError("the image has no label, and its label is what is to be explained")
    return Class([str(label) for label in labels], whole_names=True)


def _without_pixels(photo: Photo) -> Photo:
    """The same photo in no memory: every pixel is one black one."""
    return replace(photo, pixels=np.broadcast_to(np.zeros(3, np.uint8), photo.pixels.shape))
