"""Portraits in the making, of a set or of units: what `foveal.portray` runs and others may watch."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from foveal.engine.graph import recording
from foveal.engine.guard import unwrap
from foveal.errors import ResultError
from foveal.images import Batch
from foveal.inquiry import state_notes, versions
from foveal.models.model import Model
from foveal.portrait.eye import Eye
from foveal.portrait.facets import Facet
from foveal.portrait.plan import Plan, Task
from foveal.portrait.sitting import Sitting
from foveal.portrait.subjects import Album, Subject
from foveal.results.portraits import Portrait, Portraits


class Session(Sitting):
    """Portraits in the making: a `Sitting` that knows its set."""

    def __init__(
        self, eye: Eye, tasks: Sequence[Task], plan: Plan, subject: Model, batch: Batch | None, album: Album | None,
        facets: tuple[Facet, ...], people: tuple[Subject, ...], parameters: Mapping[str, Any], began: float,
    ) -> None:  # fmt: skip
        super().__init__(eye, tasks, plan)
        self.subject, self.batch, self.album, self.facets, self.people = subject, batch, album, facets, people
        self.parameters, self.began = parameters, began
        self.notes = list(state_notes(subject))
        if any(task.objective.whole for task in tasks):
            self.notes.append("a decision of the whole network was asked for, so its classifier took part")

    def interrupted(self) -> None:
        """Look once more at what there is, and say that it was not finished."""
        self.check()
        self.notes.append(f"interrupted after {self.done} of {self.plan.steps} steps")

    @recording
    def portraits(self) -> Portraits:
        """The best so far."""
        if not self.best:
            self.check()
        features = {at: z.detach().float().cpu() for at, z in self.album.features.items()} if self.album else {}
        return Portraits(
            tuple(self._portrait(i) for i in range(len(self.images))),
            self.batch.photos if self.batch else (),
            self.facets,
            features,
            self.subject.name,
            self.parameters,
            tuple(self.notes),
            time.perf_counter() - self.began,
            versions(),
        )

    def put_down(self, file: Path) -> None:
        """Save where it stands; the file is there whole or not at all."""
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_name(file.name + ".aside")
        torch.save({"of": self._digest(), **self.state()}, aside)
        aside.replace(file)

    def take_up(self, file: Path) -> bool:
        """Go on from a file, where it is of the same model, pictures and settings; whether it was."""
        if not file.exists():
            return False
        try:
            saved = torch.load(file, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError) as error:
            raise ResultError(f"Cannot go on from {str(file)!r}: it is no checkpoint ({error}); delete it.") from error
        if saved.get("of") != self._digest():
            return False
        self.restore(saved)
        return True

    def _portrait(self, i: int) -> Portrait:
        image, task = self.images[i], self.tasks[self.images[i].task]
        assert image.best is not None
        person = self.people[image.task] if self.people else None
        attained = image.best.features
        nothing = torch.zeros(0)
        return Portrait(
            image=image.best.image.float(),
            name=task.name + (f", seed {image.seed}" if len(task.seeds) > 1 else ""),
            layer=task.watched or "",
            facet=person.facet if person else None,
            seed=image.seed,
            channels=person.channels.cpu() if person else nothing.long(),
            target=person.target.detach().float().cpu() if person else None,
            attained=attained.float() if attained is not None else nothing,
            before=image.before.float() if image.before is not None else nothing,
            loss=image.best.loss,
            step=image.best.step,
            curve=tuple(image.curve),
            strip=tuple(image.strip),
        )

    def _digest(self) -> str:
        """Of everything that decides the outcome."""
        found = hashlib.sha256(json.dumps(self.parameters, sort_keys=True, default=str).encode())
        found.update(
            json.dumps([str(task.objective) for task in self.tasks] + [task.name for task in self.tasks]).encode()
        )
        for tensor in (*unwrap(self.eye.model).state_dict().values(), *([self.batch.tensor] if self.batch else [])):
            found.update(
                str(tuple(tensor.shape)).encode() + tensor.detach().flatten()[:64].double().cpu().numpy().tobytes()
            )
        return found.hexdigest()
