"""Sanity checks: a map must change with the weights and with the class, and must not change with a little noise.

    randomization   layers are made random again, from the last to the first; at each step, how alike the map still is.
                    An explanation of the network becomes as different as those of two random networks are (the null);
                    one that stays alike shows the image, not the network (Adebayo et al., arXiv:1810.03292)
    classes         how alike the maps of two classes are: 1 says the method does not know which was asked
    stability       the largest relative change of the map among neighbors of the image, by radius

What is forgotten is what layers compute with, however they come by it: see `foveal.engine.forgetting`. Specification:
metrics, sections 9 and 10.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from foveal.api.explain import explanations
from foveal.api.map_sources import RepeatableMap, repeatable
from foveal.attribution.context import Context
from foveal.attribution.passes import decided
from foveal.attribution.perturbation import Progress
from foveal.attribution.prepare import check_pictures, prepare
from foveal.engine.forgetting import Forgetful, Observed, Way, differences, observed
from foveal.engine.fresh import fresh
from foveal.engine.graph import recording
from foveal.engine.guard import untouched, unwrap
from foveal.engine.keywords import checked
from foveal.engine.layers import Weight
from foveal.engine.select import LayerName
from foveal.errors import FovealError, MethodError, TargetError
from foveal.methods import Method, MethodsLike, find_methods, optional
from foveal.metrics.likeness import LIKENESS
from foveal.metrics.sensitivity import sensitivity
from foveal.models.model import Model
from foveal.results.provenance import versions
from foveal.results.sanity import Checked, Sanity, counted
from foveal.targets import Class, Target, TargetLike, TargetScore
from foveal.targets.class_scores import class_head, first_head
from foveal.targets.fixed import FixedTarget

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.engine.task import Task
    from foveal.images import Batch, ImageLike, Preprocessing

__all__ = ["sanity"]

RADII = (0.02, 0.05, 0.1, 0.2, 0.4)
NEIGHBORS = 4
SAME = 1e-6  # of the largest number of a map, or of what a layer gives: less is rounding


@checked
@recording
def sanity(
    model: nn.Module | Model,
    images: ImageLike | Batch,
    target: TargetLike = None,
    *,
    methods: MethodsLike = ("gradcam",),
    layer: LayerName | None = None,
    steps: int = 10,
    cascading: bool = True,
    radii: Sequence[float] = RADII,
    seed: int = 0,
    progress: Progress | None = None,
    inputs: Sequence[Any] | Tensor = (),
    keywords: Mapping[str, Any] | None = None,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    task: Task | None = None,
) -> Sanity:
    """Curves of how far explanations change, and a verdict for each method.

        found = foveal.sanity(model, "bird.jpg", methods=["gradcam", "guidedbackprop"])
        print(found); found.figure().save("sanity.png")

    Args:
        target: the decision; it is the same class throughout, also when a random network would choose another.
        methods: names, as in `compare`.
        steps: how many points the curve has at most; layers are made random in as many portions, each with all that it
            computes with.
        cascading: each portion on top of those before; else one portion at a time, alone.
        radii: of stability, in the network's units, in which an image's colors span about 4.
        seed: of the random weights; each layer has its own.

    The other arguments are those of `explain`. The model itself is not changed: a copy is randomized. A step that does
    not change the output of its layers is left out, and a method whose maps are constant has no verdict;
    the result says so. Raises FovealError as `compare` does, and ModelError for networks whose weights cannot be
    observed.
    """
    started = time.perf_counter()
    if steps < 1:
        raise MethodError(f"steps={steps}: give at least 1")
    context = prepare(
        model, images, target, inputs=inputs, keywords=keywords, preprocessing=preprocessing, labels=labels, task=task
    )
    check_pictures(context.batch, "sanity checks")
    verdict = decided(context).verdict
    assert verdict is not None
    if not verdict.per_image:
        raise TargetError(
            "the sanity check needs a target that a randomized network has, too: pass a class, a margin or a similarity"
        )
    pinned = replace(context, target=FixedTarget(verdict))
    asked = _Asked(pinned, context.target, verdict, find_methods(methods), optional(methods), cast("str | None", layer))
    before = asked.maps(context.subject)
    course = _Course.of(context, steps, cascading, seed)
    curves: dict[str, list[dict[str, float]]] = {name: [] for name in before}
    for number, random in enumerate(course.forgetting(), 1):
        after = asked.tried(random)
        for method, maps in before.items():
            curves[method].append(_likeness(maps, after.get(method)))
        if progress:
            progress("randomizing layers", number, len(course.portions))
    null = [asked.tried(course.random(seed + k)) for k in (1, 2)]
    again = repeatable(pinned, methods, layer)
    checked = {
        method: Checked(
            curve=tuple(curves[method]),
            null=_likeness(null[0].get(method), null[1].get(method)),
            classes=asked.of_other_class(method, maps),
            stability=tuple(_moved(again[method], pinned, verdict, maps, radius, seed) for radius in radii),
            changed=tuple(course.changed),
            blank=not any(_tells(map) for map in maps),
        )
        for method, maps in before.items()
    }
    notes = (*course.notes(), *asked.refused, *_left_out(before))
    seconds = time.perf_counter() - started
    n, name = len(context.photos), context.subject.name
    return Sanity(checked, course.names, tuple(radii), name, n, cascading, notes, seconds, versions())


@dataclass(frozen=True)
class _Asked:
    """The same question to several networks.

    Attributes:
        context: of the network itself; its target is the one that was found, whatever another network would choose.
        chosen: the target before it was found.
        methods, leave_out: what is tried, and what may be left out where it does not apply.
        refused: why random networks have no maps, each reason once.
    """

    context: Context
    chosen: Target | None
    verdict: TargetScore
    methods: Mapping[str, Method]
    leave_out: frozenset[str]
    layer: str | None
    refused: dict[str, None] = field(default_factory=dict)

    def maps(
        self, subject: Model, target: Target | None = None, methods: Mapping[str, Method] | None = None
    ) -> dict[str, Tensor]:
        """Of the network itself, or of another."""
        context = replace(self.context, subject=subject, target=target or self.context.target)
        whys = explanations(context, methods or self.methods, self.layer, leave_out=self.leave_out)
        return {why.method: why.map.detach().float().cpu() for why in whys}

    def tried(self, subject: Model) -> dict[str, Tensor]:
        """The maps of a random network, as far as it has some."""
        try:
            return self.maps(subject)
        except FovealError as error:
            if len(self.methods) == 1:
                self.refused[f"a random network has no map: {error}"] = None
                return {}
        drawn: dict[str, Tensor] = {}
        for name, method in self.methods.items():
            drawn |= replace(self, methods={name: method}).tried(subject)
        return drawn

    def of_other_class(self, method: str, maps: Float[Tensor, "n h w"]) -> float | None:
        """How alike the maps of the explained class and of the least likely other are; None where there is none."""
        decision, context = self.chosen, self.context
        if not isinstance(decision, Class):
            return None
        try:
            first = first_head(context.model, context.task, context.x, context.arguments, context.labels)
            scores = class_head(context.model, context.task, context.x, first.ending, context.arguments).scores
            if scores.shape[1] < 2:  # the other of two classes that share one number has the same map, negated
                return None
            own = torch.tensor(self.verdict.spec["index"], device=scores.device)
            least = scores.float().scatter(1, own[:, None], torch.inf).argmin(1).tolist()
            other = self.maps(self.context.subject, Class(least, decision.of), {method: self.methods[method]})[method]
        except FovealError:
            return None
        likeness = _likeness(maps, other)["spearman"]
        return None if np.isnan(likeness) else likeness


@dataclass
class _Course:
    """The way on which a network forgets.

    Attributes:
        way: of the images, as far as the decision looks.
        network: with its layers on it, the last to run first.
        portions: numbers of the layers that forget at each step.
        differs: by the number of a layer, how far what it gives changed when it forgot.
        changed: of each step so far, whether any of its layers gave something else afterwards.
    """

    context: Context
    way: Way
    network: Observed
    portions: list[list[int]]
    cascading: bool
    seed: int
    differs: dict[int, float] = field(default_factory=dict)
    changed: list[bool] = field(default_factory=list)

    @classmethod
    def of(cls, context: Context, steps: int, cascading: bool, seed: int) -> _Course:
        ends = context.target.layers if context.target else ()
        way = Way(context.x, context.arguments, context.tracing().last_calls(context.model, ends) if ends else {})
        network = observed(unwrap(context.model), way)
        count = len(network.layers.each)
        if not count:
            raise MethodError("this network has no weights to randomize")
        portions = [part.tolist() for part in np.array_split(np.arange(count), min(steps, count))]
        return cls(context, way, network, portions, cascading, seed)

    @property
    def names(self) -> tuple[str, ...]:
        """The last layer of each portion."""
        return tuple(self.network.layers.each[portion[-1]].name for portion in self.portions)

    def forgetting(self) -> Iterator[Model]:
        """The network after each portion."""
        start = before = Forgetful(self.network, ())
        drawn: list[Mapping[Weight, Tensor]] = []
        for portion in self.portions:
            drawn = [*(drawn if self.cascading else ()), *self._drawn(portion, self.seed)]
            network = Forgetful(self.network, drawn)
            changes = differences(network, before, portion, self.way)
            self.differs |= changes
            self.changed.append(any(change > SAME for change in changes.values()))
            before = network if self.cascading else start
            yield replace(self.context.subject, module=network.module)

    def random(self, seed: int) -> Model:
        """A network that forgot everything."""
        drawn = self._drawn(range(len(self.network.layers.each)), seed)
        return replace(self.context.subject, module=Forgetful(self.network, drawn).module)

    def _drawn(self, numbers: Iterable[int], seed: int) -> list[Mapping[Weight, Tensor]]:
        """New weights for these layers, while no other thread writes into the old ones or sets random states."""
        with untouched(self.network.model):
            return [fresh(self.network.layers, number, seed) for number in numbers]

    def notes(self) -> Iterator[str]:
        same = [self.network.layers.each[number].name for number, change in self.differs.items() if change <= SAME]
        if same:
            yield f"randomizing {counted(same)} did not change the output of these layers for these images"
        if not all(self.changed):
            steps = [name for name, changed in zip(self.names, self.changed, strict=True) if not changed]
            yield f"steps that changed nothing are left out of the verdict: {counted(steps)}"
        if self.network.unmet:
            yield f"no operation was seen to use {counted(self.network.unmet)}: these weights were not randomized"


def _moved(
    source: RepeatableMap,
    context: Context,
    verdict: TargetScore,
    maps: Float[Tensor, "n h w"],
    radius: float,
    seed: int,
) -> float:
    """The mean over images of how far the map moves within this radius; NaN where no image has a map."""
    distances = []
    for i, decision in enumerate(verdict.per_image):
        if not _tells(maps[i]):
            continue
        x = context.x[i : i + 1]
        again = partial(source.again, i, decision)
        try:
            distances.append(sensitivity(again, x, radius=radius, samples=NEIGHBORS, seed=seed, map=maps[i]))
        except FovealError:  # a neighbor has no map
            continue
    known = [value for value in distances if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _likeness(maps: Float[Tensor, "n h w"] | None, others: Float[Tensor, "n h w"] | None) -> dict[str, float]:
    """The mean over images; what is the same everywhere, or no number, has no likeness to anything."""
    pairs = [] if maps is None or others is None else [*zip(maps, others, strict=True)]
    pairs = [(a, b) for a, b in pairs if _tells(a) and _tells(b)]
    likeness = {}
    for name, measure in LIKENESS.items():
        known = [value for a, b in pairs if (value := measure(a, b)) == value]
        likeness[name] = float(np.mean(known)) if known else float("nan")
    return likeness


def _tells(map: Float[Tensor, "h w"]) -> bool:
    """Whether places differ in it, by more than rounding."""
    return bool(torch.isfinite(map).all()) and float(map.amax() - map.amin()) > SAME * float(map.abs().amax())


def _left_out(before: Mapping[str, Float[Tensor, "n h w"]]) -> Iterator[str]:
    for method, maps in before.items():
        blank = [i for i, map in enumerate(maps) if not _tells(map)]
        if blank:
            yield (f"{method}: {len(blank)} of {len(maps)} maps are constant, or not numbers, and were left out")
