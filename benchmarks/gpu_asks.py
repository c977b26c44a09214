"""What `benchmarks.gpu` asks of a network on two devices: every verb, and of `explain` one method of each family.

A question has a tolerance: the largest difference between the answers, as a share of the range of the first. Rounding
differs between devices; where a rectifier or a pooling is close to a tie, the gradient at single positions is another.
So what goes back to early layers is allowed a tenth (between two kinds of convolution of a processor it was 0.03), what
stays at a late layer a thousandth; similarities, whose range is small between images of noise, and images after three
steps a fiftieth. Of all, 1 − the cosine is `TURNED` at most. Methods that draw noise on the device may draw other noise
there: of these the cosine alone is compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

import foveal
from benchmarks.golden import numbers
from foveal.featurevis import Octave, Schedule, units_of
from foveal.metrics import EvaluationSettings

Numbers = Mapping[str, Tensor]
SAME, LATE, ALIKE, BACK, DRAWN = 1e-4, 1e-3, 0.02, 0.1, 0.1
TURNED = 0.01
CLASSES: dict[str, Any] = {"labels": None, "task": "classes"}
FEW = EvaluationSettings(steps=6, grid=(7, 7), shares=(0.3, 0.7), samples=6, neighbors=2)
KINDS = ["a", "b"]


@dataclass(frozen=True, eq=False)
class Asked:
    """A network on a device, an embedding that shares its weights, and images (n, 3, h, w) there."""

    model: nn.Module
    embedding: nn.Module
    x: Tensor

    def few(self, n: int) -> Asked:
        """The same with the first n images."""
        return Asked(self.model, self.embedding, self.x[:n])


@dataclass(frozen=True, eq=False)
class Question:
    """A verb as it is called.

    Attributes:
        ask: the answer.
        told: the numbers of the answer.
        tolerance: the largest difference, as a share of the range; of noise, 1 − the smallest cosine.
        images: how many it is asked about for agreement.
        drawn: whether noise is drawn on the device.
        any_batch: whether it is timed with many images, too.
    """

    ask: Callable[[Asked], Any]
    told: Callable[[Any], Numbers]
    tolerance: float
    images: int = 1
    drawn: bool = False
    any_batch: bool = False


def map_of(answer: Any) -> Numbers:
    """Of one explanation; of several, all maps."""
    return {"map": answer.map} if hasattr(answer, "map") else {str(k): each.map for k, each in enumerate(answer)}


def floats(answer: Any) -> Numbers:
    """Every number of an answer that is no whole number, those of one name together."""
    together: dict[str, list[Tensor]] = {}
    for path, value in numbers(answer):
        if value.dtype.kind == "f":
            together.setdefault(re.sub(r"\[\d+\]", "", path), []).append(torch.as_tensor(value).double().flatten())
    return {path: torch.cat(values) for path, values in together.items()}


def explaining(method: str, layer: str | None = None) -> Callable[[Asked], Any]:
    """`foveal.explain` with one method."""
    return lambda on: foveal.explain(on.model, on.x, 1, method=method, layer=layer, **CLASSES)


def grown(**options: Any) -> Callable[[Asked], Numbers]:
    """Two levels of a tree: the contribution of each feature."""

    def ask(on: Asked) -> Numbers:
        tree = foveal.decompose(on.model, on.x, 1, **options, **CLASSES).grow(2)
        return {str(key): torch.tensor(share) for key, share in tree.flow().items()}

    return ask


def units(on: Asked) -> Any:
    """Feature images of what a tree has found."""
    tree = foveal.decompose(on.model, on.x, 1, **CLASSES).grow(1)
    steps = Schedule((Octave(1.0, 3),), patience=0)
    size = (on.x.shape[2], on.x.shape[3])
    return foveal.visualize(
        on.model, target=units_of(tree)[:2], schedule=steps, preprocessing=foveal.Preprocessing(size=size)
    )


def channels(on: Asked) -> Any:
    """Files of images, in which channels are strongest."""
    size = (on.x.shape[2], on.x.shape[3])
    with TemporaryDirectory() as folder:
        files = []
        for number, image in enumerate(on.x.float().cpu()):
            pixels = (64 * image + 128).clamp(0, 255).byte().permute(1, 2, 0).numpy()
            Image.fromarray(pixels).save(Path(folder) / f"{number}.png")
            files.append(Path(folder) / f"{number}.png")
        return foveal.channels(on.model, files, cache=None, preprocessing=foveal.Preprocessing(size=size))


def strongest(answer: Any) -> Numbers:
    """Of channels."""
    return dict(answer.values)


def matched(answer: Any) -> Numbers:
    """The similarities, and where they come from."""
    return {"similarity": answer.similarity, "query": answer.query_maps, "references": answer.reference_maps}


def audited(answer: Any) -> Numbers:
    """The scores of all tests; a map that is nowhere positive has none."""
    tests = [[test.whole, *test.others, *([] if test.marked is None else [test.marked])] for test in answer]
    return {str(number): torch.tensor(scores) for number, scores in enumerate(tests)}


QUESTIONS: dict[str, Question] = {
    "explain, gradcam": Question(explaining("gradcam"), map_of, LATE, 2, any_batch=True),
    "explain, eigencam": Question(explaining("eigencam"), map_of, LATE, 2, any_batch=True),
    "explain, hirescam at all stages": Question(explaining("hirescam", "all"), floats, BACK, 2, any_batch=True),
    "explain, guidedbackprop": Question(explaining("guidedbackprop"), map_of, BACK, 2, any_batch=True),
    "explain, lrp-epsilon": Question(explaining("lrp-epsilon"), map_of, BACK, 2, any_batch=True),
    "explain, lrp-gamma": Question(explaining("lrp-gamma"), map_of, BACK, 2, any_batch=True),
    "explain, excitationbp": Question(explaining("excitationbp"), map_of, LATE, 2, any_batch=True),
    "explain, deeplift": Question(explaining("deeplift"), map_of, BACK),
    "explain, integratedgradients": Question(explaining("integratedgradients:steps=8"), map_of, BACK),
    "explain, smoothgrad": Question(explaining("smoothgrad:samples=8"), map_of, DRAWN, drawn=True),
    "explain, occlusion": Question(explaining("occlusion:window=32,stride=32"), map_of, LATE, 2, any_batch=True),
    "explain, rise": Question(explaining("rise:count=64"), map_of, DRAWN, drawn=True),
    "explain, scorecam": Question(explaining("scorecam:clusters=8"), map_of, LATE),
    "explain, ablationcam": Question(explaining("ablationcam"), map_of, LATE),
    "explain, opticam": Question(explaining("opticam:steps=3"), map_of, DRAWN, drawn=True),
    "explain, similar": Question(
        lambda on: foveal.explain(on.embedding, on.x[:1], foveal.Similar(on.x[1:2])), map_of, ALIKE, 2
    ),
    "compare, fast": Question(
        lambda on: foveal.compare(on.model, on.x, 1, methods="fast", **CLASSES), map_of, BACK, 2, any_batch=True
    ),
    "stages": Question(
        lambda on: foveal.stages(on.model, on.x), lambda stages: {stage.name: torch.ones(1) for stage in stages}, SAME
    ),
    "match": Question(lambda on: foveal.match(on.embedding, on.x[:1], on.x[1:]), matched, ALIKE, 3),
    "retrieve": Question(
        lambda on: foveal.retrieve(on.embedding, on.x[:2], on.x[2:], query_labels=KINDS, reference_labels=KINDS),
        lambda answer: {"similarity": answer.similarity}, ALIKE, 4,
    ),
    "episode": Question(
        lambda on: foveal.episode(on.embedding, on.x[:1], on.x[1:3], KINDS), lambda e: {"chances": e.chances}, ALIKE, 3
    ),
    "parts": Question(lambda on: foveal.parts(on.model, on.x, 1, **CLASSES), map_of, LATE),
    "flow": Question(lambda on: foveal.flow(on.model, on.x, 1, **CLASSES), lambda flow: flow.maps, BACK),
    "decompose, neurons": Question(grown(), dict, BACK),
    "decompose, parts": Question(grown(nodes="parts"), dict, BACK),
    "class_tree": Question(
        lambda on: foveal.class_tree(on.model, on.x, 1, depth=1, **CLASSES), lambda tree: {}, SAME, 2
    ),
    "visualize, images": Question(
        lambda on: foveal.visualize(on.model, on.x, layer=-1, facets=1, schedule=Schedule((Octave(1.0, 3),))),
        lambda made: {"image": made.images[0].image}, ALIKE, 2,
    ),
    "visualize, units of a tree": Question(units, lambda made: {"image": made.images[0].image}, ALIKE),
    "channels": Question(channels, strongest, LATE, 2),
    "measure": Question(
        lambda on: foveal.measure(on.model, on.x, 1, explanations="gradcam", setting=FEW),
        lambda scores: {"whole": torch.tensor(scores.whole)}, LATE,
    ),
    "audit": Question(
        lambda on: foveal.audit(on.model, on.x, 1, explanations="gradcam", draws=3), audited, LATE
    ),
    "sanity": Question(
        lambda on: foveal.sanity(on.model, on.x, 1, steps=2, **CLASSES), floats, DRAWN, drawn=True
    ),
    "shortcuts": Question(
        lambda on: foveal.shortcuts(on.model, on.x.repeat(2, 1, 1, 1), [0, 1] * len(on.x), **CLASSES),
        lambda answer: {"maps": answer.maps}, LATE, 4,
    ),
}  # fmt: skip


def difference(first: Numbers, second: Numbers, *, drawn: bool = False) -> float:
    """The largest, as a share of the range of the first; of noise, 1 − the smallest cosine. What is missing is zero."""
    worst = 0.0
    for name in {*first, *second}:
        known = [torch.as_tensor(each[name]).detach().cpu().double() for each in (first, second) if name in each]
        a, b = known if len(known) == 2 else (known[0], known[0] * 0)
        if a.shape != b.shape or not bool((a.isfinite() == b.isfinite()).all()):
            return float("inf")
        a, b = a[a.isfinite()], b[b.isfinite()]
        if not a.numel():
            continue
        if drawn:
            apart = 1 - float(torch.cosine_similarity(a, b, 0, eps=1e-300))
        else:
            scale = float(a.max() - a.min()) or float(a.abs().max()) or 1.0
            apart = float((a - b).abs().max()) / scale
        worst = max(worst, apart)
    return worst
