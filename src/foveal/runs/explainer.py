"""Pictures in, rows out: what one process does with its share of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from foveal.attribution.prepare import prepare, read
from foveal.datasets.inside import Picture
from foveal.datasets.parts import Row
from foveal.datasets.plan import Item
from foveal.errors import FovealError, TargetError
from foveal.images import Batch, Photo
from foveal.results.notes import map_notes, photo_notes
from foveal.runs.question import RunQuestion
from foveal.runs.record import CONTRIBUTIONS, TEXTS
from foveal.targets import Class, NeedsModel
from foveal.targets.class_scores import class_head, first_head

if TYPE_CHECKING:
    from foveal.attribution.context import Context
    from foveal.results import Explanation
    from foveal.runs.verbs.verb import Columns
    from foveal.targets import TargetLike
    from foveal.targets.heads import Head


@dataclass
class Start:
    """What makes the explainer, in any process; in one process it is made once."""

    question: RunQuestion
    made: RunExplainer | None = None

    def __call__(self) -> RunExplainer:
        self.made = self.made or RunExplainer(self.question)
        return self.made

    def __getstate__(self) -> dict[str, Any]:
        return {"question": self.question, "made": None}

    def say_once(self, notes: tuple[str, ...]) -> None:
        """These hold for every picture, and are not said again of each."""
        self.question = replace(self.question, notes=notes)
        if self.made:
            self.made.question = self.question


class RunExplainer:
    """Explains pictures as a run asks."""

    def __init__(self, question: RunQuestion) -> None:
        self.question, self.model = question, question.network.get()
        self._ask = question.verb.begin(self.model)
        self._target = question.target
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
        if self.question.verb.alone and len(items) > 1:
            each = zip(items, pictures, strict=True)
            return [row for item, picture in each for row in self.rows([item], [picture])]
        context, columns = self.explain(items, pictures)
        why = columns.why
        texts = {"predicted": self._predicted(context, why)} if "predicted" not in columns.texts else {}
        numbers = {**_scores(why), **columns.numbers}
        rows = []
        of = "" if len(items) == 1 else f"of the {len(items)} images explained together: "
        together = [f"{of}{note}" for note in columns.notes if note not in self.question.notes]
        for i in range(len(items)):
            maps = {layer: map[i].detach().float().cpu().numpy() for layer, map in why.maps.items()}
            values = {
                **{name: entries[i] for name, entries in {**texts, **columns.texts}.items()},
                "target": None if why.target_spec.get("kind") == "none" else why.target[i],
                **{name: entries[i] for name, entries in numbers.items()},
            }
            alone = {layer: map[i : i + 1] for layer, map in why.maps.items()}
            notes = [*map_notes(alone), *photo_notes([why.photos[i]]), *(columns.remarks[i] if columns.remarks else ())]
            notes += together
            brings = columns.contributions
            vectors = {name: brings.values[kind][i] for kind, name in CONTRIBUTIONS.items()} if brings else {}
            rows.append(Row(values, maps, tuple(notes), vectors=vectors))
        return rows

    def explain(self, items: Sequence[Item], pictures: Sequence[Any]) -> tuple[Context, Columns]:
        """What the verb says of them all, and what it was asked of."""
        batch = Batch(
            torch.cat([one.tensor for one in pictures]), tuple(photo for one in pictures for photo in one.photos)
        )
        target = _own_labels(items) if self.question.own else self._target
        context = prepare(self.model, batch, target, blind=self.question.blind)
        if isinstance(target, NeedsModel):  # its references are embedded once
            self._target = context.target
        return context, self._ask(context)

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


def columns_of(columns: Columns) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of all columns of text and of numbers."""
    return tuple(dict.fromkeys([*TEXTS, *columns.texts])), tuple(
        dict.fromkeys([*_scores(columns.why), *columns.numbers])
    )


def _scores(why: Explanation) -> dict[str, Sequence[float | None]]:
    return {
        name: [None] * len(why.photos) if values is None else values.detach().cpu().tolist()
        for name, values in (("score", why.score), ("probability", why.probability))
    }


def _own_labels(items: Sequence[Item]) -> TargetLike:
    labels = [item.label for item in items]
    if None in labels:
        raise TargetError("the image has no label, and its label is what is to be explained")
    return Class([str(label) for label in labels], whole_names=True)


def _without_pixels(photo: Photo) -> Photo:
    """The same photo in no memory: every pixel is one black one."""
    return replace(photo, pixels=np.broadcast_to(np.zeros(3, np.uint8), photo.pixels.shape))
