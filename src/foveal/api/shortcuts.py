"""Does the network look at the object, or at its surroundings? `foveal.shortcuts`, over images of classes.

Two questions are tested for each class, and its maps are grouped for people to look at.

    do the surroundings tell?    around the same middles, of any images: how often the class scores higher with the
                                 outer eighth of its own images than with that of other classes' (0.5: chance)
    does the score use them?     the share of the class's probability that is lost when an image of it gets the
                                 surroundings of another class's image

Both must hold for a class to be called suspicious. Groups are clusters of its maps by where evidence lies, how widely,
and on what colors and edges, as spectral relevance analysis does it (Lapuschkin et al., Nature Communications, 2019).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from foveal.api.explain import explanations
from foveal.attribution.perturbation import Progress
from foveal.attribution.prepare import check_pictures, prepare
from foveal.engine.chunks import WHOLE, chunked
from foveal.engine.guard import untouched, unwrap
from foveal.engine.keywords import checked
from foveal.engine.memory import load_of
from foveal.engine.select import LayerName
from foveal.errors import ImageError, MethodError
from foveal.images import Batch
from foveal.images.place import Place, laid
from foveal.methods import MethodLike, find_methods
from foveal.metrics import holm, regrid
from foveal.metrics.baseline_maps import edge_map
from foveal.metrics.placement import energy, lift
from foveal.metrics.shape import area_holding
from foveal.models.model import Model
from foveal.results.provenance import versions
from foveal.results.shortcuts import ClassGroup, Shortcuts, Suspect
from foveal.similarity.clusters import best_k_means
from foveal.targets import Class, Task
from foveal.targets.class_names import class_index, class_words
from foveal.targets.class_scores import class_head, first_head
from foveal.targets.heads import Ending

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from foveal.images import ImageLike, Preprocessing

RING = 1 / 8  # of each side
TELLS, LISTENS, SURE = 0.75, 0.1, 0.01
"""From what chance, what loss and what p-value on surroundings are suspicious."""
FEWEST = 4  # images of a class
GROUPS = 3  # of a class, at most
APART = 0.25  # silhouette from which groups are kept apart


@checked
def shortcuts(
    model: nn.Module | Model,
    images: ImageLike | Batch,
    classes: Sequence[str | int] | None = None,
    *,
    method: MethodLike = "hirescam",
    layer: LayerName | None = None,
    ring: float = RING,
    hosts: int = 4,
    seed: int = 0,
    progress: Progress | None = None,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    task: Task | None = None,
) -> Shortcuts:
    """Whether the surroundings reveal a class, whether the network uses them, and clusters of its maps.

        found = foveal.shortcuts(model, photos, classes)
        print(found.summary); found.suspects; found.figure().save("groups.png")

    Args:
        images: images of two classes at least, four or more of each class to test.
        classes: the class of each, by name or number; None is what the network predicts.
        method, layer: of the maps that are grouped.
        ring: how much of each side counts as surroundings; objects should lie within.
        hosts: how many other surroundings each image is given, and around how many middles each is put.
        progress: hears (what, done, total).

    Needs scikit-learn (the extra "heads") to group maps. Raises FovealError: ImageError for too few images.
    """
    began = time.perf_counter()
    if not 0 < ring < 0.5 or hosts < 2:
        raise MethodError(f"ring={ring}, hosts={hosts}: give a ring above 0 and below 0.5, and at least 2 hosts")
    context = prepare(model, images, None, preprocessing=preprocessing, labels=labels, task=task)
    check_pictures(context.batch, "shortcuts")
    subject, x, tick = context.subject, context.x, progress or (lambda what, done, total: None)
    first = first_head(subject.module, subject.task, x, labels=subject.labels)
    if first.probabilities is None:
        raise MethodError(
            f"shortcuts are defined for classes, and what this network gives is {first.meaning}: pass task='classes' "
            "if its outputs are class scores"
        )
    subject = subject.with_task(first.task, first.source)
    names, ending = first.names(subject.labels), first.ending
    with untouched(subject.module), torch.no_grad():
        scores = _log_chances(subject, x, ending, tick, "looking")
        t = _targets(names, classes, scores)
        each = [c for c in t.unique().tolist() if int((t == c).sum()) >= FEWEST]
        if not each or len(t.unique()) < 2:
            raise ImageError(
                f"too few images per class ({len(t)} in {len(t.unique())} classes): give at least two classes, and at "
                f"least {FEWEST} images of one of them"
            )
        middle = _middle(x, ring)
        around = _around(subject, x, ending, middle, hosts, seed, tick)
        own = scores.exp().gather(1, t[:, None])[:, 0]
        others = [_others(t, seed + k) for k in range(hosts)]
        swapped = [torch.where(middle, x, x[other]) for other in others]
        kept = [
            _log_chances(subject, pictures, ending, tick, "surroundings swapped").exp().gather(1, t[:, None])[:, 0]
            for pictures in swapped
        ]
    lost = 1 - torch.stack(kept).mean(0) / own.clamp(min=1e-6)
    p = holm({c: _chance(around[:, c], t == c, seed) for c in each})
    (why,) = explanations(replace(context, target=Class(t.tolist())), find_methods([method]), layer)
    maps = why.map.detach().float().cpu()
    suspects = []
    for number, c in enumerate(each, 1):
        mine = (t == c).nonzero()[:, 0].tolist()
        tells, loss = _above(around[:, c], t == c), float((lost * own)[mine].sum() / own[mine].sum())
        groups = _groups(maps[mine], x[mine], mine, ~middle[0, 0].cpu(), seed, why.where.get(why.layer))
        name = class_words(c, names)
        flagged = tells >= TELLS and loss >= LISTENS and p[c] < SURE
        suspects.append(Suspect(name, c, len(mine), tells, p[c], loss, flagged, groups))
        tick("searching classes", number, len(each))
    suspects.sort(key=lambda suspect: (not suspect.flagged, -suspect.tells))
    return Shortcuts(
        tuple(suspects), context.photos, maps, ring, why.method, subject.name, why.notes, time.perf_counter() - began,
        versions(),
    )  # fmt: skip


def _log_chances(
    subject: Model, x: Float[Tensor, "n c h w"], ending: Ending, tick: Progress, what: str
) -> Float[Tensor, "n classes"]:
    """Log-probabilities, a few images at a time."""

    def chances(start: int, stop: int) -> Tensor:
        log_probabilities = class_head(subject.module, subject.task, x[start:stop], ending).log_probabilities
        assert log_probabilities is not None
        return log_probabilities.float().cpu()

    chunks = chunked(None, x[:1], WHOLE, load_of(unwrap(subject.module), x[:1]))
    chunks.weigh(chances, len(x))
    return chunks(chances, len(x), partial(tick, what))


def _around(
    subject: Model,
    x: Float[Tensor, "n c h w"],
    ending: Ending,
    middle: Bool[Tensor, "1 1 h w"],
    hosts: int,
    seed: int,
    tick: Progress,
) -> Float[Tensor, "n k"]:
    """Log-probabilities of all images' surroundings around the middles of a few, the mean over these.

    The middles are the same for all, so nothing of what stands there tells one image from another.
    """
    chosen = np.random.default_rng(seed).choice(len(x), min(hosts, len(x)), replace=False).tolist()
    chances = []
    for j in chosen:
        said = _log_chances(subject, torch.where(middle, x[j : j + 1], x), ending, tick, "testing surroundings")
        said[j] = torch.nan  # an image around its own middle is itself
        chances.append(said)
    return torch.stack(chances).nanmean(0)


def _targets(
    names: Sequence[str] | None, classes: Sequence[str | int] | None, scores: Float[Tensor, "n k"]
) -> Int[Tensor, " n"]:
    if classes is None:
        return scores.argmax(1)
    if len(classes) != len(scores):
        raise ImageError(f"{len(classes)} classes for {len(scores)} images: give one class for each image")
    return torch.tensor([class_index(name, names, scores.shape[1]) for name in classes])


def _middle(x: Float[Tensor, "n c h w"], ring: float) -> Bool[Tensor, "1 1 h w"]:
    inside = torch.ones(1, 1, *x.shape[2:], dtype=torch.bool, device=x.device)
    for dim in (2, 3):
        size = x.shape[dim]
        edge = max(1, round(ring * size))
        inside.narrow(dim, 0, edge).fill_(False)
        inside.narrow(dim, size - edge, edge).fill_(False)
    return inside


def _others(t: Int[Tensor, " n"], seed: int) -> Int[Tensor, " n"]:
    """For each image one of another class."""
    random = np.random.default_rng(seed)
    return torch.tensor([int(random.choice((t != c).nonzero()[:, 0].numpy())) for c in t.tolist()])


def _above(score: Float[Tensor, " n"], own: Bool[Tensor, " n"]) -> float:
    """How often one of the own scores higher than one of the others, equals counting half."""
    a, b = score[own], score[~own]
    return float((a[:, None] > b).double().mean() + 0.5 * (a[:, None] == b).double().mean())


def _chance(score: Float[Tensor, " n"], own: Bool[Tensor, " n"], seed: int, draws: int = 5000) -> float:
    """How often as much comes about when classes are dealt out at random (one-sided)."""
    rank = score.double().argsort().argsort().double().numpy()
    random, n = np.random.default_rng(seed), int(own.sum())
    observed = rank[own.numpy()].sum()
    dealt = [rank[random.choice(len(rank), n, replace=False)].sum() for _ in range(draws)]
    return float((np.sum(np.array(dealt) >= observed) + 1) / (draws + 1))


# --- groups of maps ---


def _groups(
    maps: Float[Tensor, "k h w"], x: Float[Tensor, "k c h w"], pictures: list[int], frame: Bool[Tensor, "h w"],
    seed: int, place: Place | None = None,
) -> tuple[ClassGroup, ...]:  # fmt: skip
    """Clusters of a class's maps, the largest first."""
    grown = laid(maps.clamp(min=0), frame.shape, place)
    seen = torch.stack([_looked_at(map, picture.cpu().float()) for map, picture in zip(grown, x, strict=True)])
    # As many groups as lie clearly apart.
    which = best_k_means(seen.double().numpy(), most=min(GROUPS, len(seen) - 2), least=APART, starts=5, seed=seed)
    groups = []
    for k in sorted(set(which.tolist()), key=lambda k: -int((which == k).sum())):
        own = [i for i, group in enumerate(which) if group == k]
        outside = [energy(grown[i], frame) for i in own]
        lifts = [lift(grown[i], frame) for i in own]
        groups.append(
            ClassGroup(
                pictures=tuple(pictures[i] for i in own),
                mean=torch.stack([grown[i] / grown[i].sum().clamp(min=1e-12) for i in own]).mean(0),
                outside=_mean(outside),
                lift=_mean(lifts),
                area=_mean([area_holding(grown[i]) for i in own]),
            )
        )
    return tuple(groups)


def _looked_at(map: Float[Tensor, "h w"], x: Float[Tensor, "c h w"]) -> Float[Tensor, " d"]:
    """Where evidence lies (36 places), how widely, on what colors and edges."""
    weight = map / map.sum().clamp(min=1e-12)
    place = regrid(map, (6, 6)).flatten()
    color = (x * weight).sum((1, 2)) - x.mean((1, 2))
    edges = edge_map(x[None])[0]
    texture = (edges * weight).sum() / edges.mean().clamp(min=1e-6)
    spread = torch.tensor(area_holding(map)).nan_to_num(1.0)
    shares = place / place.sum().clamp(min=1e-12)
    return torch.cat([6 * shares, color, texture[None].float(), 4 * spread[None].float()])


def _mean(values: list[float]) -> float:
    known = [value for value in values if value == value]
    return float(np.mean(known)) if known else float("nan")
