"""`foveal.tiles`: an image much larger than the network's input, explained by overlapping tiles."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch

from foveal.attribution.attribute import Attributions, MethodRequest
from foveal.attribution.prepare import prepare, read
from foveal.attribution.resolution import attribute_at
from foveal.attribution.tiling import POOLINGS, PooledMap, StitchedMap, TileGrid, TilePooling, pooled_scores
from foveal.engine.address import INPUT
from foveal.engine.graph import recording
from foveal.engine.keywords import checked
from foveal.errors import ImageError, MethodError, TargetError
from foveal.images import Batch
from foveal.images.load import one_by_one
from foveal.images.place import Place
from foveal.images.tile_source import TileSource
from foveal.methods import find_methods
from foveal.models.model import as_model
from foveal.results.provenance import versions
from foveal.results.tiled import TiledExplanation, TileScore
from foveal.targets import Class
from foveal.targets.class_scores import class_head, first_head
from foveal.targets.target import PER_IMAGE

if TYPE_CHECKING:
    from torch import Tensor, nn

    from foveal.attribution.context import Context
    from foveal.attribution.perturbation import Progress
    from foveal.attribution.tiling import Corner
    from foveal.engine.select import LayerSpec
    from foveal.images import ImageLike, Preprocessing
    from foveal.methods import MethodLike
    from foveal.models.model import Model
    from foveal.targets import TargetLike, Task

NOTES = 6  # of single tiles, that are kept
PREDICTED = {
    "max": "score in any tile",
    "mean": "mean score of all tiles",
    "logsumexp": "log Σ exp of the scores of all tiles",
}


@recording
@checked
def tiles(
    model: nn.Module | Model,
    images: ImageLike,
    target: TargetLike = None,
    *,
    method: MethodLike = "gradcam",
    layer: LayerSpec = None,
    side: int | None = None,
    overlap: float = 0.25,
    pooling: TilePooling | None = None,
    batch: int = 8,
    progress: Progress | None = None,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    task: Task | None = None,
) -> TiledExplanation:
    """What mattered in an image much larger than the network's input: overlapping tiles, and one map without seams.

        slide = foveal.tiles(model, "slide.tif", foveal.Class("tumor"))     # each tile decides for itself
        slide.tiles[slide.ranked()[0]]                                       # the tile of the highest score
        foveal.tiles(model, "slide.tif", foveal.Class("tumor"), pooling="mean").score    # one decision in all

    Tiles are cut and explained a few at a time; in memory are the image as it was read and one map of all cells. A
    tile begins a whole number of the map's cells after the one before. The last ones of a row or column may
    reach less than a cell beyond the image, where its edge goes on.

    Args:
        model, target, method, layer, progress, preprocessing, labels, task: as in `foveal.explain`; one layer. With
            target None it is the class with the largest pooled score (without pooling, the largest score in any tile).
        images: one: a path, a PIL image, an array, or a float tensor (c, h, w).
        side: of a tile in pixels of the image; the network's own input size if left out. Tiles of another side are
            resized to that.
        overlap: of neighboring tiles, as a share of their side, 0 to 0.9. It is rounded to cells of the map, up
            where unpadded convolutions would leave gaps.
        pooling: None: each tile decides for itself, and where tiles overlap their maps are averaged with weights that
            sum to one. "mean", "max" or "logsumexp" of the tiles' scores: one decision in all, and each tile's map
            counts as much as its score does (the derivative); positions in several tiles count several times.
        batch: how many tiles at a time.

    Raises:
        FovealError: as `foveal.explain`, and for more than one image or layer, or a target that is another in each
            tile.
    """
    started = time.perf_counter()
    _check(overlap, pooling, batch, side)
    ((name, chosen),) = find_methods([method]).items()
    subject = as_model(model, preprocessing, labels, task)
    source = TileSource.of(_only(images), subject.preprocessing)
    lengths = _side(source, subject, side)
    source.check_side(lengths)
    first = read(subject, Batch(source.tile(0, 0, lengths)[None], ()))
    blind = target is None and chosen.needs == "activations"
    context = prepare(subject, first, target, blind=blind)
    layers = (INPUT,) if layer is None and chosen.place == "input" else context.layers(layer)
    if len(layers) != 1:
        raise MethodError(f"tiles are explained at one layer, and {len(layers)} were named: name one")
    work = _Tiles(context, MethodRequest(name, chosen, layers), source, lengths, batch, progress)
    grid, place = work.grid(overlap)
    notes: Counter[str] = Counter()
    if target is None and not blind:
        context = prepare(subject, first, work.predicted(grid, pooling or "max"))
        work = replace(work, context=context)
        notes[f"the class is the one with the largest {PREDICTED[pooling or 'max']}"] = len(grid)
    whole = PooledMap(grid, pooling) if pooling else StitchedMap(grid)
    scores: list[TileScore] = []
    best: tuple[str, Mapping[str, Any]] = "no decision", {"kind": "none"}
    labels_seen: set[str] = set()
    for corners, evidence in work.explained(grid):
        notes.update({*evidence.notes, *evidence.cautions[name]})
        for k, corner in enumerate(corners):
            score = _score(evidence, k, grid, corner)
            whole.add(evidence.maps[name][layers[0]][k].detach().cpu(), corner, score.score or 0.0)
            if evidence.verdict and (not scores or (score.score or 0.0) > max(tile.score or 0.0 for tile in scores)):
                best = evidence.verdict.label[k], _row_of(evidence.verdict.spec, k)
            scores.append(score)
        labels_seen |= {*(evidence.verdict.label if evidence.verdict else ())}
        _check_same(labels_seen)
    if pooling and scores[0].score is None:
        raise MethodError(f"{name} looks at no target, so there are no scores to pool: leave out pooling, or name one")
    pooled, probability = _pooled(scores, pooling)
    return TiledExplanation(
        maps={layers[0]: whole.map().float()[None]},
        photos=(source.photo(),),
        score=pooled,
        probability=probability,
        target=(best[0],),
        target_spec=best[1],
        method=name,
        parameters={**chosen.options, **_settings(grid, pooling)},
        model=subject.name,
        notes=(*context.remarks(), _decision_note(len(scores), pooling), *_told(notes, scores)),
        seconds=time.perf_counter() - started,
        versions=versions(),
        where={layers[0]: place},
        tiles=tuple(scores),
    )


@dataclass(frozen=True)
class _Tiles:
    """How tiles are cut and explained."""

    context: Context
    request: MethodRequest
    source: TileSource
    side: Corner
    batch: int
    progress: Progress | None

    def grid(self, overlap: float) -> tuple[TileGrid, Place]:
        """Where the tiles lie, by the map of the first; and where the cells of all lie on the image."""
        evidence = self._attributions(self.context.x)
        layer = self.request.layers[0]
        map = evidence.maps[self.request.name][layer]
        if map.ndim != 3:
            raise MethodError(f"tiles are of images (h, w), and the map of {layer} is {tuple(map.shape[1:])}")
        cells, size = (map.shape[1], map.shape[2]), (self.context.x.shape[2], self.context.x.shape[3])
        inside = evidence.where.get(layer) or Place.covering(cells, size)
        if inside.turned or min(inside.step) < 0:
            raise MethodError(
                f"tiles cannot be put together by the map of {layer}, which is turned or mirrored: name another"
            )
        place = inside.scaled((self.side[0] / size[0], self.side[1] / size[1]))
        return TileGrid.over(self.source.size, self.side, cells, (place.step[0], place.step[1]), overlap), place

    def explained(self, grid: TileGrid) -> Iterator[tuple[list[Corner], Attributions]]:
        """A few tiles at a time: the first cells of each, and what was found."""
        for corners, x in self._batches(grid, "explaining tiles"):
            yield corners, self._attributions(x)

    def predicted(self, grid: TileGrid, pooling: TilePooling) -> Class | None:
        """The class of the largest pooled score; None where the network gives one number."""
        subject = self.context.subject
        head = first_head(subject.module, subject.task, self.context.x, labels=subject.labels)
        scores = [
            class_head(subject.module, subject.task, x, head.ending).scores.detach().cpu().double()
            for _, x in self._batches(grid, "scoring tiles")
        ]
        if head.scores.shape[1] == 1:
            return None
        return Class(int(pooled_scores(torch.cat(scores), pooling).argmax()))

    def _batches(self, grid: TileGrid, doing: str) -> Iterator[tuple[list[Corner], Tensor]]:
        corners, done = grid.corners(), 0
        while some := list(islice(corners, self.batch)):
            tiles = [self.source.tile(*grid.pixel(corner), self.side) for corner in some]
            yield some, torch.stack(tiles).to(self.context.x.device, self.context.x.dtype)
            done += len(some)
            if self.progress:
                self.progress(doing, done, len(grid))

    def _attributions(self, x: Tensor) -> Attributions:
        evidence = attribute_at(replace(self.context, x=x), [self.request])
        for error in evidence.refused.values():
            raise error
        return evidence


def _check(overlap: float, pooling: str | None, batch: int, side: int | None) -> None:
    if not 0 <= overlap <= 0.9:
        raise MethodError(f"tiles cannot overlap by {overlap}: give a share of their side from 0 to 0.9")
    if pooling is not None and pooling not in POOLINGS:
        raise MethodError(f"cannot pool tiles by {pooling!r}: the rules are {', '.join(POOLINGS)}, or None")
    if batch < 1 or (side is not None and side < 1):
        raise MethodError("tiles need a side and a batch of at least 1")


def _only(images: ImageLike) -> Any:
    several = list(islice(one_by_one(images, 2), 2))
    if len(several) != 1:
        raise ImageError("tiles are of one image: pass one at a time")
    return several[0]


def _side(source: TileSource, subject: Model, side: int | None) -> Corner:
    """(h, w) of a tile on the image."""
    if side is not None:
        return side, side
    if subject.preprocessing is None:
        raise ImageError(f"the input size of {subject.name} is not known: pass side=, the side of a tile in pixels")
    return subject.preprocessing.size


def _score(evidence: Attributions, k: int, grid: TileGrid, corner: Corner) -> TileScore:
    (top, left), verdict = grid.pixel(corner), evidence.verdict
    box = left, top, left + grid.side[1], top + grid.side[0]
    if verdict is None:
        return TileScore(*box, None)
    chance = verdict.probability
    return TileScore(*box, float(verdict.score[k].detach()), None if chance is None else float(chance[k]))


def _row_of(spec: Mapping[str, Any], k: int) -> dict[str, Any]:
    """A target's description of one image."""
    each = PER_IMAGE.get(str(spec.get("kind")), ())
    return {
        key: [value[k]] if key in each and isinstance(value, list | tuple) else value for key, value in spec.items()
    }


def _check_same(labels: set[str]) -> None:
    """The target is one in all tiles."""
    if len(labels) > 1:
        shown = " and ".join(sorted(labels)[:2])
        raise TargetError(f"the target is another one in each tile ({shown}): name one that is the same in all")


def _pooled(scores: Sequence[TileScore], pooling: TilePooling | None) -> tuple[Tensor | None, Tensor | None]:
    """The score of the image, and its probability where it is that of one tile."""
    if scores[0].score is None:
        return None, None
    each = torch.tensor([tile.score for tile in scores], dtype=torch.float64)
    best = scores[int(each.argmax())].probability
    single = pooling in (None, "max") and best is not None
    return pooled_scores(each, pooling or "max").float()[None], torch.tensor([best]) if single else None


def _settings(grid: TileGrid, pooling: TilePooling | None) -> dict[str, Any]:
    shares = [1 - stride * step / side for stride, step, side in zip(grid.stride, grid.step, grid.side, strict=True)]
    return {"side": list(grid.side), "overlap": [max(0.0, round(share, 6)) for share in shares], "pooling": pooling}


def _decision_note(count: int, pooling: TilePooling | None) -> str:
    if pooling is None:
        return f"each of the {count} tiles decides for itself; the score is the largest of theirs"
    rule = {"mean": "the mean", "max": "the largest", "logsumexp": "log Σ exp"}[pooling]
    return (
        f"one decision in all: the score is {rule} of the scores of {count} tiles, and what several tiles see counts "
        "several times"
    )


def _told(notes: Counter[str], scores: Sequence[TileScore]) -> list[str]:
    """The notes of all tiles, those of most of them first."""
    said = [words for words, _ in notes.most_common()]
    scored = [tile.score for tile in scores if tile.score is not None]
    if not all(map(math.isfinite, scored)):
        said.insert(0, "the scores of some tiles are not finite")
    left_out = len(said) - NOTES
    return [*said[:NOTES], *([f"{left_out} more notes of single tiles were left out"] if left_out > 0 else [])]
