"""True importance by intervention: how much a decision changes when a part of the scene is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from foveal.synthetic.backgrounds import BACKGROUNDS
from foveal.synthetic.classes import CLASS_NAMES, creature_of
from foveal.synthetic.drawing import render
from foveal.synthetic.scene import PARTS, REMOVABLE, Look, Scene

Score = Callable[[NDArray[np.uint8]], NDArray[np.floating]]  # images (n, h, w, 3) -> scores (n,)
Change = tuple[str, ...]  # what was changed: (), (part,), (part, part), ("background",)
Item = TypeVar("Item")
COLUMNS = (*PARTS, "mark")


@dataclass(frozen=True, eq=False)
class Effects:
    """The effect of each change on the score, per scene; NaN where a scene has nothing to change.

    Positive: the part is evidence for the decision. `single[i, p]` is d(x) − d(x without p), for body and head
    d(x) − mean of d over other looks; `pair[i, p, q]` is the same for two parts removed together;
    `background[i]` is d(x) − mean of d with other backgrounds.
    """

    parts: tuple[str, ...]  # k columns
    score: NDArray[np.float64]  # (n,)
    single: NDArray[np.float64]  # (n, k)
    background: NDArray[np.float64]  # (n,)
    pair: NDArray[np.float64] | None  # (n, k, k), symmetric, the diagonal is `single`

    def row(self, index: int) -> dict[str, float]:
        """The effects in one scene, by part, and of the background; without parts that the scene does not have."""
        named = dict(zip(self.parts, self.single[index].tolist(), strict=True))
        return {name: effect for name, effect in named.items() if effect == effect} | {
            "background": float(self.background[index])
        }

    def interaction(self) -> NDArray[np.float64]:
        """(n, k, k): the effect of two parts together minus the sum of their single effects."""
        if self.pair is None:
            raise ValueError("no interaction without pairwise effects: call effects(..., pairs=True)")
        beyond = self.pair - self.single[:, :, None] - self.single[:, None, :]
        beyond[:, np.arange(len(self.parts)), np.arange(len(self.parts))] = 0
        return beyond

    def __str__(self) -> str:
        head = "scene     score " + " ".join(f"{part:>8}" for part in (*self.parts, "backgr."))
        body = np.concatenate([self.score[:, None], self.single, self.background[:, None]], 1)
        return "\n".join([head, *(f"{i:5d} " + " ".join(f"{v:9.3f}"[-9:] for v in row) for i, row in enumerate(body))])


def effects(
    scenes: Sequence[Scene],
    score: Score,
    *,
    pairs: bool = False,
    alternatives: int = 4,
    batch: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> Effects:
    """The effect of every part, and of the background, on the score of every scene.

    `score` maps images (n, h, w, 3) uint8 to n numbers; for a decision that differs between scenes, such as a
    margin to the sibling, call once per decision. Images are drawn, scored and dropped `batch` at a time;
    `progress` is called with the number of scenes started and the total.
    """
    (alone,) = effects_of_each(
        scenes,
        lambda pictures: np.asarray(score(pictures))[:, None],
        pairs=pairs,
        alternatives=alternatives,
        batch=batch,
        progress=progress,
    )
    return alone


def effects_of_each(
    scenes: Sequence[Scene],
    scores: Score,
    *,
    pairs: bool = False,
    alternatives: int = 4,
    batch: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Effects, ...]:
    """The same for d decisions on the same images: `scores` maps them to (n, d) numbers; one `Effects` each."""
    by_change: list[dict[Change, list[list[float]]]] = [{} for _ in scenes]
    jobs = ((i, change, scene) for i, own in enumerate(scenes) for change, scene in changes(own, pairs, alternatives))
    decisions = 0
    for chunk in _chunks(jobs, batch):
        values = np.asarray(scores(np.stack([render(scene)[0] for _, _, scene in chunk])), np.float64)
        decisions = values.shape[1]
        for (i, change, _), row in zip(chunk, values.tolist(), strict=True):
            by_change[i].setdefault(change, []).append(row)
        if progress is not None:
            progress(chunk[-1][0] + 1, len(scenes))
    return tuple(
        _assembled(
            [{change: [row[d] for row in rows] for change, rows in answers.items()} for answers in by_change], pairs
        )
        for d in range(decisions)
    )


def changes(scene: Scene, pairs: bool = False, alternatives: int = 4) -> Iterator[tuple[Change, Scene]]:
    """Every intervention on one scene, the scene itself first; a change may come in several versions."""
    yield (), scene
    present = [part for part in REMOVABLE if scene.creature[part] is not None]
    removable = [*present, "mark"] if scene.individual_marks else present
    for part in removable:
        yield (part,), scene.without(part)
    for part in PARTS:
        if part not in REMOVABLE:
            yield from (((part,), scene.with_look(part, look)) for look in other_looks(scene, part)[:alternatives])
    kinds = [kind for kind in BACKGROUNDS if kind != scene.backdrop.kind]
    yield from ((("background",), scene.with_background(kind)) for kind in kinds)
    if pairs:
        yield from (
            ((first, second), scene.without(first).without(second)) for first, second in combinations(removable, 2)
        )


def other_looks(scene: Scene, part: str) -> list[Look]:
    """Other species' looks of a part, evenly spread: they replace a part that cannot be removed."""
    looks = list(dict.fromkeys(look for name in CLASS_NAMES if (look := creature_of(name)[part]) is not None))
    others = [look for look in looks if look != scene.creature[part]]
    return others[::3] + others[1::3] + others[2::3]


def _assembled(per_scene: list[dict[Change, list[float]]], pairs: bool) -> Effects:
    has_individual_marks = any(("mark",) in changed for changed in per_scene)
    parts = COLUMNS if has_individual_marks else PARTS
    n, k = len(per_scene), len(parts)
    score, background, pair = np.empty(n), np.empty(n), np.full((n, k, k), np.nan)
    for i, changed in enumerate(per_scene):
        score[i] = changed[()][0]
        for change, values in changed.items():
            effect = score[i] - float(np.mean(values))
            if change == ("background",):
                background[i] = effect
            elif change:
                p, q = parts.index(change[0]), parts.index(change[-1])
                pair[i, p, q] = pair[i, q, p] = effect
    single = np.diagonal(pair, axis1=1, axis2=2).copy()
    return Effects(parts, score, single, background, pair if pairs else None)


def _chunks(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while chunk := list(islice(items, size)):
        yield chunk
