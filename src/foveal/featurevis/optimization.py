"""The optimization of images: a generator of steps that can be stopped and resumed.

    optimization = Optimization(network, tasks, Schedule((Octave(1.0, 256),)))
    for step in optimization:
        print(step.done, step.losses)
    optimization.best[0].image             # at any time: the best so far

All images go through the network as one batch. Each has its own random numbers, optimizer and end, so that an
image does not depend on the others. The best is kept by the objective without random views.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from foveal.engine.graph import recording
from foveal.featurevis.network import FeatureNetwork
from foveal.featurevis.optimized_image import OptimizedImage, generator_of
from foveal.featurevis.optimizers import optimizer
from foveal.featurevis.parametrization import Parametrization, at_size
from foveal.featurevis.schedule import Best, FeatureTask, Schedule, ScheduleStep, Size
from foveal.featurevis.seen import parts_of

if TYPE_CHECKING:
    from jaxtyping import Float


class Optimization:
    """Iterate to optimize the images; can be interrupted and continued, saved by `state` and resumed by `restore`.

    Attributes:
        network: the network whose features are used.
        tasks: the objectives of the images.
        schedule: settings of the optimization.
        images: task by task, seed by seed.
        done: steps so far.
    """

    @recording
    def __init__(self, network: FeatureNetwork, tasks: Sequence[FeatureTask], schedule: Schedule | None = None) -> None:
        self.network, self.tasks, self.schedule = network, tuple(tasks), schedule or Schedule()
        self.images = [
            OptimizedImage(t, seed, generator_of(self.schedule.seed, task.name, seed))
            for t, task in enumerate(self.tasks)
            for seed in task.seeds
        ]
        self.done = 0
        self._octave = -1
        self._size: Size = (0, 0)
        self._parameters: list[Tensor] = []
        self._parametrizations: list[Parametrization] = []
        self._enter(0)

    def __iter__(self) -> Iterator[ScheduleStep]:
        """Steps until the schedule is through or every image is done."""
        if self.done == 0 and any(image.best is None for image in self.images):
            with self._whole():
                self.check()
        while self.done < self.schedule.steps and self._active():
            with self._whole():
                step = self._next()
            yield step

    def _next(self) -> ScheduleStep:
        """One step, and the look that is due after it."""
        octave = self._octave_at(self.done)
        if octave != self._octave:
            self._enter(octave)
        losses = self._step()
        self.done += 1
        self._retouch()
        last = self.done == self.schedule.steps or self._octave_at(self.done) != self._octave
        checked = last or self.done % self.schedule.check == 0
        if checked:
            self.check(ending=last)
        return ScheduleStep(self.done, self.schedule.steps, tuple(losses), checked, len(self._active()))

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """What is broken off in here was never begun, so that whoever goes on ends as if nothing had happened."""
        before = self.state()
        before["parameters"] = [p.detach().clone() for p in self._parameters]
        before["optimizer"] = deepcopy(before["optimizer"])
        try:
            yield
        except BaseException:
            self.restore(before)
            raise

    @property
    def best(self) -> list[Best]:
        """The best image of each task and seed, task by task."""
        return [image.best for image in self.images if image.best is not None]

    @recording
    def check(self, *, ending: bool = False) -> None:
        """Evaluate the current images without random views, and keep those that are better than before."""
        for some in self._batches(self._active()):
            with torch.no_grad():
                images = self._draw(some)
                losses, features = self._evaluated(images, some)
            for k, i in enumerate(some):
                self._remember(self.images[i], images[k], float(losses[k]), features[k])
        if ending:
            for image in self.images:
                image.done, image.stale = False, 0

    @recording
    def shown(self) -> list[Float[Tensor, "c h w"]]:
        """The current images."""
        with torch.no_grad():
            return list(self._draw(range(len(self.images))).cpu())

    # --- one step ---

    @recording
    def _step(self) -> list[float]:
        octave = self.schedule.octaves[self._octave]
        begun = sum(previous.steps for previous in self.schedule.octaves[: self._octave])
        share = (self.done - begun) / octave.steps
        rate = self.schedule.rate * self._parametrizations[0].rate * (0.1 + 0.45 * (1 + math.cos(math.pi * share)))
        active = self._active()
        drawn: dict[int, Tensor] = {}  # the same view for every attempt of one step
        return self._optimizer.step(active, lambda which, wanted: self._asked(which, wanted, drawn), rate).tolist()

    def _retouch(self) -> None:
        """What the schedule does to images beside following the gradient."""
        if self.schedule.retouch is None:
            return
        with torch.no_grad():
            for i in self._active():
                parametrization, parameter = self._parametrizations[self.images[i].task], self._parameters[i]
                parameter.copy_(
                    parametrization.parameters(
                        self.schedule.retouch(parametrization.image(parameter[None]), self.done, self.schedule.steps)
                    )[0]
                )

    def _asked(self, which: Sequence[int], wanted: bool, drawn: dict[int, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Losses and gradients of some images, a few at a time."""
        losses, gradients = [], []
        for some in self._batches(which):
            with torch.set_grad_enabled(wanted):
                images = self._masked(self._draw(some))
                views = self.schedule.views(images, [self.images[i].generator for i in some])
                values = self._losses(views, images, some)
            losses.append(values.detach())
            if wanted:
                parameters = [self._parameters[i] for i in some]
                gradients += [self._evened(g) for g in torch.autograd.grad(values.sum(), parameters)]
        return torch.cat(losses), gradients

    def _losses(self, views: Tensor, images: Tensor, which: Sequence[int]) -> Float[Tensor, " k"]:
        tasks = self._grouped(which)
        layers = dict.fromkeys(layer for t, _ in tasks for layer in self.tasks[t].objective.layers)
        whole = any(self.tasks[t].objective.whole for t, _ in tasks)
        seen = self.network.look(
            views, layers, images=images, whole=whole, relu_leak=self.done < self.schedule.relu_leak
        )
        parts = parts_of(seen, [len(rows) for _, rows in tasks])
        return torch.cat([self.tasks[t].objective(part) for (t, _), part in zip(tasks, parts, strict=True)])

    def _evaluated(self, images: Tensor, which: Sequence[int]) -> tuple[Tensor, list[Tensor | None]]:
        """Losses and watched features, without random views."""
        tasks = self._grouped(which)
        layers = [layer for t, _ in tasks for layer in self.tasks[t].objective.layers]
        kept_layer = [layer for t, _ in tasks if (layer := self.tasks[t].kept_layer)]
        whole = any(self.tasks[t].objective.whole for t, _ in tasks)
        seen = self.network.look(images, dict.fromkeys((*layers, *kept_layer)), whole=whole, gradient=False)
        losses, features = [], []
        parts = parts_of(seen, [len(rows) for _, rows in tasks])
        for (t, rows), part in zip(tasks, parts, strict=True):
            layer = self.tasks[t].kept_layer
            losses.append(self.tasks[t].objective(part))
            features += list(part.features(layer)) if layer else [None] * len(rows)
        return torch.cat(losses), features

    def _remember(self, image: OptimizedImage, picture: Tensor, loss: float, features: Tensor | None) -> None:
        image.remember(picture, loss, features, self.done, self.schedule)

    # --- images and their parameters ---

    def _draw(self, which: Sequence[int]) -> Float[Tensor, "k c h w"]:
        images = [
            self._parametrizations[t].image(torch.stack([self._parameters[which[row]] for row in rows]))
            for t, rows in self._grouped(which)
        ]
        return torch.cat(images) if len(images) > 1 else images[0]

    def _masked(self, images: Tensor) -> Tensor:
        if self.schedule.mask is None:
            return images
        mask = self.schedule.mask(self._size).to(images)
        return mask * images + (1 - mask) * images.detach()

    def _evened(self, gradient: Tensor) -> Tensor:
        return gradient / gradient.square().mean().sqrt().clamp(min=1e-12) if self.schedule.even else gradient

    def _enter(self, octave: int) -> None:
        """Begin an octave: with noise or a photo, or with the best so far, enlarged."""
        scale = self.schedule.octaves[octave].scale
        h, w = self.network.normalization.size
        self._octave, self._size = octave, (max(8, round(h * scale)), max(8, round(w * scale)))
        self._parametrizations = [task.parametrization(self._size) for task in self.tasks]
        self._parameters = [self._begin(image) for image in self.images]
        self._optimizer = optimizer(self.schedule.optimizer, self._parameters)

    def _begin(self, image: OptimizedImage) -> Tensor:
        task, parametrization = self.tasks[image.task], self._parametrizations[image.task]
        start = image.best.image if image.best else task.start
        if start is None:
            parameters = parametrization.noise(image.generator)
        else:
            parameters = parametrization.parameters(at_size(start[None].to(self.network.dtype), self._size))[0]
        return parameters.to(self.network.device, self.network.dtype).detach().clone().requires_grad_()

    def _active(self) -> list[int]:
        """Images of one task end together, as they may look at each other."""
        busy = {image.task for image in self.images if not image.done}
        return [i for i, image in enumerate(self.images) if image.task in busy]

    def _grouped(self, which: Sequence[int]) -> list[tuple[int, list[int]]]:
        """(task, rows) of images that lie task by task."""
        groups: dict[int, list[int]] = {}
        for row, i in enumerate(which):
            groups.setdefault(self.images[i].task, []).append(row)
        return list(groups.items())

    def _batches(self, which: Sequence[int]) -> Iterator[list[int]]:
        """A few images at a time, those of one task together."""
        batch: list[int] = []
        for _, rows in self._grouped(which):
            group = [which[row] for row in rows]
            if batch and len(batch) + len(group) > self.schedule.batch:
                yield batch
                batch = []
            batch = [*batch, *group]
        if batch:
            yield batch

    def _octave_at(self, done: int) -> int:
        for number, octave in enumerate(self.schedule.octaves):
            if done < octave.steps:
                return number
            done -= octave.steps
        return len(self.schedule.octaves) - 1

    # --- resuming ---

    def state(self) -> dict[str, Any]:
        """Everything needed to continue later, as plain data and tensors."""
        return {
            "done": self.done,
            "octave": self._octave,
            "parameters": [p.detach().cpu() for p in self._parameters],
            "optimizer": self._optimizer.state(),
            "images": [image.state() for image in self.images],
        }

    @recording
    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved state of the same tasks and schedule."""
        self.done = state["done"]
        self._enter(state["octave"])
        with torch.no_grad():
            for parameter, saved in zip(self._parameters, state["parameters"], strict=True):
                parameter.copy_(saved)
        self._optimizer.restore(state["optimizer"])
        for image, saved in zip(self.images, state["images"], strict=True):
            image.restore(saved)
