"""A deletion test in a sentence: what hiding the marked area does to the score, and hiding as much at random.

foveal.audit(model, "bird.jpg", explanations=why)
"hiding what this map marks lowers the probability of jay (17) by 62 %;
hiding an equal area at random, by 8 ± 3 %"
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from foveal.api.map_sources import MapSource, by_name, collect_maps, target_of, words_of
from foveal.attribution.perturbation import Progress
from foveal.attribution.perturbed_score import SAID, Of, perturbed_scores
from foveal.attribution.prepare import prepare
from foveal.engine.chunks import WHOLE, chunked
from foveal.engine.keywords import checked
from foveal.engine.select import LayerName
from foveal.errors import MethodError
from foveal.images.place import Place, laid
from foveal.metrics.baselines import Fill, hidden
from foveal.metrics.curves import ranks
from foveal.metrics.shape import area_holding
from foveal.models.black_box import Scorer
from foveal.models.model import Model
from foveal.results.deletion_test import DeletionTest, DeletionTests
from foveal.results.provenance import versions
from foveal.targets import TargetLike, Task

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from foveal.images import Batch, ImageLike, Preprocessing

LEAST, MOST = 0.05, 0.3
"""The area that is hidden holds half of the evidence, but no less and no more of the image than this."""

TRIES = 20  # to find a place that has little in common with another


@checked
def audit(
    model: nn.Module | Model | Scorer,
    images: ImageLike | Batch,
    target: TargetLike = None,
    *,
    explanations: MapSource | Sequence[MapSource] | Mapping[str, MapSource],
    area: float | None = None,
    draws: int = 12,
    fill: Fill = "impute",
    layer: LayerName | None = None,
    of: Of = "auto",
    seed: int = 0,
    progress: Progress | None = None,
    inputs: Sequence[Any] | Tensor = (),
    keywords: Mapping[str, Any] | None = None,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    task: Task | None = None,
) -> DeletionTests:
    """How the score changes when the area that a map marks is hidden, and when the same area elsewhere is.

    The other areas have the same shape: mirrored or not, and moved, across the image's edges to the other side. Hidden
    pixels are filled from their surroundings, so that no edge shows.

        print(foveal.audit(model, "bird.jpg", explanations=why))

    Args:
        explanations: as in `foveal.measure`; results of any verb, names of methods, maps.
        area: the share of the image to hide; None for the least that holds half of the positive evidence, within 5
            and 30 %.
        draws: how many other areas are tried. With 19 or more, a map that beats all of them would do so by chance in at
            most one case of 20.
        fill: what is put there, see `foveal.metrics.baseline`.

    The other arguments and the errors are those of `measure`. A map without positive evidence marks nothing, and its
    result says so.
    """
    began = time.perf_counter()
    if draws < 2:
        raise MethodError(f"draws={draws}: give at least 2 random areas to compare with")
    many = by_name(explanations)
    of_results = target is None
    target = target_of(many.values()) if of_results else target
    context = prepare(
        model, images, target, inputs=inputs, keywords=keywords, preprocessing=preprocessing, labels=labels, task=task
    )
    maps = collect_maps(context, many, cast("str | None", layer))
    n, done, tests = len(context.photos), 0, []
    words = words_of(many.values(), context) if of_results else ()
    with perturbed_scores(context, of, words=words) as asked:
        for name, entry in maps.items():
            for i, question in enumerate(asked):
                x = context.x[i : i + 1]
                where = marked(entry.maps[i], x.shape[2:], area, seed, entry.place)
                share = 0.0 if where is None else float(where.double().mean())
                scores = [] if where is None else _asked(question, x, where, draws, fill, seed)
                said = question.label, SAID[question.of], question.whole
                tests.append(DeletionTest(
                    name, context.photos[i].source, *said, share, scores[0] if scores else None,
                                    tuple(scores[1:])))  # fmt: skip
                done += 1
                if progress:
                    progress("auditing maps", done, n * len(maps))
        notes = dict.fromkeys([*context.notes, *(note for question in asked for note in question.notes)])
    return DeletionTests(tuple(tests), tuple(notes), time.perf_counter() - began, versions())


def marked(
    map: Float[Tensor, "h w"], size: Sequence[int], area: float | None, seed: int = 0, place: Place | None = None
) -> Bool[Tensor, "h2 w2"] | None:
    """The most important pixels of a map whose cells lie at `place`; None where it marks nothing."""
    if not bool(torch.isfinite(map).all()) or not bool((map > 0).any()):
        return None
    grown = laid(map.detach().float().cpu(), size, place)
    if not bool((grown > 0).any()):  # what little there was is gone between the cells
        return None
    share = min(max(area_holding(grown), LEAST), MOST) if area is None else area
    if not 0 < share < 1:
        raise MethodError(f"area={share:.4g}: give the share of the image to hide, above 0 and below 1")
    count = min(max(1, round(share * grown.numel())), grown.numel() - 1)
    return ranks(grown, seed=seed) < count


def elsewhere(where: Bool[Tensor, "h w"], draws: int, seed: int = 0, *, shared: float = 1.0) -> Bool[Tensor, "k h w"]:
    """The same shape in other places, mirrored or not; as large to the pixel.

    Args:
        shared: the largest share of the shape that another place may have in common with it; where none of several
            tries has so little, the one that has least is taken.
    """
    random = np.random.default_rng(seed)
    size = max(int(where.sum()), 1)

    def draw() -> tuple[float, Tensor]:
        flips = [dim for dim in range(where.ndim) if random.random() < 0.5]
        shape = where.flip(flips).roll([int(random.integers(side)) for side in where.shape], [*range(where.ndim)])
        return float((shape & where).sum()) / size, shape

    shapes = []
    for _ in range(draws):
        best = draw()
        for _ in range(TRIES):
            if best[0] <= shared:
                break
            best = min(best, draw(), key=lambda drawn: drawn[0])
        shapes.append(best[1])
    return torch.stack(shapes) if shapes else where.new_empty((0, *where.shape))


def _asked(
    question: Any, x: Float[Tensor, "1 c h w"], where: Bool[Tensor, "h w"], draws: int, fill: Fill, seed: int
) -> list[float]:
    """The score without these places, then without others."""
    every = torch.cat([where[None], elsewhere(where, draws, seed)])[:, None].to(x.device)

    def score(start: int, stop: int) -> Tensor:
        values: Tensor = question(hidden(x, every[start:stop], fill, seed=seed))
        return values.detach().float().cpu()

    return chunked(None, x, WHOLE, question.load)(score, len(every), lambda done, total: None).tolist()
