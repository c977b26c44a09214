"""The run of a feature visualization, of a set or of units, as an iterator over steps; `foveal.visualize` uses it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from foveal.engine.graph import recording
from foveal.errors import ResultError
from foveal.featurevis.facet_objectives import FacetTask
from foveal.featurevis.image_set import ImageSet
from foveal.featurevis.network import FeatureNetwork
from foveal.featurevis.optimization import Optimization
from foveal.featurevis.schedule import FeatureTask, Schedule, ScheduleStep
from foveal.images import Batch
from foveal.models.model import Model, state_notes
from foveal.results.facet import Facet
from foveal.results.feature_image import FeatureImage
from foveal.results.feature_images import FeatureImages
from foveal.results.provenance import versions
from foveal.storage.checkpoint import going_on, load_state, save_state
from foveal.storage.fingerprint import fingerprint

EVERY = 50  # steps between two checkpoints
AT_LATEST = 20.0  # seconds between them


class FeatureVisRun(Optimization):
    """The optimization of feature images, with its model and image set; can be saved and resumed.

    Attributes:
        model: the model whose layers or units are visualized.
        batch: the images; None for units without a set.
        image_set: the same images as network inputs.
        facets: the clusters of the set.
        facet_tasks: one per facet and layer; empty for units.
        parameters: parameters of the call, as plain data.
        made_of: everything that determines the result.
        began: `time.perf_counter()` when the call began.
    """

    def __init__(
        self, network: FeatureNetwork, tasks: Sequence[FeatureTask], schedule: Schedule,
        model: Model, batch: Batch | None, image_set: ImageSet | None,
        facets: tuple[Facet, ...], facet_tasks: tuple[FacetTask, ...], parameters: Mapping[str, Any],
        made_of: Mapping[str, Any], began: float,
    ) -> None:  # fmt: skip
        super().__init__(network, tasks, schedule)
        self.model, self.batch, self.image_set = model, batch, image_set
        self.facets, self.facet_tasks = facets, facet_tasks
        self.parameters, self.made_of, self.began = parameters, made_of, began
        self.notes = list(state_notes(model))
        if any(task.objective.whole for task in tasks):
            self.notes.append("the target is an output of the whole network, so the classifier was used")

    @recording
    def result(self) -> FeatureImages:
        """The best so far."""
        if not self.best:
            self.check()
        features = {at: z.detach().float().cpu() for at, z in self.image_set.features.items()} if self.image_set else {}
        return FeatureImages(
            tuple(self._feature_image(i) for i in range(len(self.images))),
            self.batch.photos if self.batch else (),
            self.facets,
            features,
            self.model.name,
            self.parameters,
            tuple(self.notes),
            time.perf_counter() - self.began,
            versions(),
        )

    def run(self, kept: Path | None, progress: Callable[[ScheduleStep], None] | None = None) -> bool:
        """Optimizes the images; returns whether they were finished (False if interrupted).

        Args:
            kept: file in which the state is saved regularly, at the end, and on interruption.
        """
        saved, _ = time.monotonic(), kept and self.fingerprint  # of how things are before the first step
        try:
            for step in self:
                ended = step.done == step.total or not step.active
                if kept and (ended or step.done % EVERY == 0 or time.monotonic() - saved > AT_LATEST):
                    self._keep(kept)
                    saved = time.monotonic()
                if progress:
                    progress(step)
        except KeyboardInterrupt:
            if kept:
                self._keep(kept)
            self.interrupted()
            return False
        return True

    def interrupted(self) -> None:
        """Evaluates the images once more, and notes that the run was not finished."""
        self.check()
        self.notes.append(f"interrupted after {self.done} of {self.schedule.steps} steps")

    def checkpoint(self, file: Path) -> None:
        """Saves the state atomically."""
        save_state(file, self.state(), self.fingerprint)

    def resume(self, file: Path) -> bool:
        """Continues from a file if it has the same model, images and settings; returns whether it did.

        Raises:
            ResultError: if the file is damaged.
        """
        if not file.exists():
            return False
        saved = load_state(file, self.fingerprint)
        if saved is None:
            self.notes.append(
                f"{str(file)!r} has another model, image set or settings, so the work started from the beginning"
            )
            return False
        with going_on(file):
            self.restore(saved)
        return True

    @cached_property
    def fingerprint(self) -> str:
        """A fingerprint of everything that determines the result."""
        return fingerprint(**self.made_of)

    def _keep(self, file: Path) -> None:
        """Work that cannot be saved is no reason to give it up."""
        try:
            self.checkpoint(file)
        except ResultError as error:
            if (note := f"the progress could not be saved: {error}") not in self.notes:
                self.notes.append(note)

    def _feature_image(self, i: int) -> FeatureImage:
        image, task = self.images[i], self.tasks[self.images[i].task]
        assert image.best is not None
        facet_task = self.facet_tasks[image.task] if self.facet_tasks else None
        attained = image.best.features
        nothing = torch.zeros(0)
        return FeatureImage(
            image=image.best.image.float(),
            name=task.name + (f", seed {image.seed}" if len(task.seeds) > 1 else ""),
            layer=task.kept_layer or "",
            facet=facet_task.facet if facet_task else None,
            seed=image.seed,
            channels=facet_task.channels.cpu() if facet_task else nothing.long(),
            target=facet_task.target.detach().float().cpu() if facet_task else None,
            attained=attained.float() if attained is not None else nothing,
            before=image.before.float() if image.before is not None else nothing,
            loss=image.best.loss,
            step=image.best.step,
            curve=tuple(image.curve),
            snapshots=tuple(image.snapshots),
        )
