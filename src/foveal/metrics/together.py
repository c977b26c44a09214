"""Several maps of one image, put to the test together: their copies fill whole chunks, and none is asked twice.

First come the curves of all maps, so that those whose areas are too close to tell which is larger can go on until they
are told apart; then, map by map, everything else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import combinations

import torch

from foveal.metrics.asking import Answers
from foveal.metrics.curves import Curve
from foveal.metrics.evaluation import CURVES, CurveName, Evaluation, EvaluationSettings, ExperimentName

FEW: tuple[ExperimentName, ...] = ("masked",)
"""Experiments that take two copies a map."""


def evaluated_together(
    answers: Answers, maps: Sequence[Evaluation], names: Collection[ExperimentName], own: int | None = None
) -> Iterator[int]:
    """Makes these experiments of all maps; the number of each map that is done, in order.

    Args:
        own: so many maps, the first ones, are of methods, and their areas are told apart from all others; those of
            baseline maps are not told apart among themselves. None for all.
    """
    kinds = [kind for kind in CURVES if kind in names]
    _made(answers.together([each.experiment(kind) for each in maps for kind in kinds]))
    for kind in kinds:
        _tell_apart(answers, maps, kind, len(maps) if own is None else own)
    others = [name for name in names if name not in kinds]
    asked = [(number, name) for number, each in enumerate(maps) for name in others if not each.has_made(name)]
    left, done = Counter(number for number, _ in asked), 0
    ended = answers.together([maps[number].experiment(name) for number, name in asked])
    while done < len(maps):
        if left[done] == 0:
            yield done
            done += 1
        else:
            place, _ = next(ended)
            left[asked[place][0]] -= 1


def evaluated_first(answers: Answers, maps: Sequence[Evaluation], names: Collection[ExperimentName]) -> None:
    """Makes those of the experiments that take few copies a map; whoever goes on with all asks none of these again."""
    _made(answers.together([each.experiment(name) for each in maps for name in FEW if name in names]))


def least_copies(setting: EvaluationSettings, names: Collection[ExperimentName], maps: int) -> int:
    """About how many copies are asked, as far as that does not depend on the scores."""
    curve = setting.steps if setting.tolerance is None else setting.steps // 2
    each = {"deletion": curve, "insertion": curve, "masked": 2, "road": 2 * len(setting.shares), "infidelity": 0}
    return maps * sum(each[name] for name in names) + setting.samples * ("infidelity" in names)


def _tell_apart(answers: Answers, maps: Sequence[Evaluation], kind: CurveName, own: int) -> None:
    """Halves the error of curves whose areas are closer than their errors, until none are or all steps are asked."""
    while True:
        curves = {k: each.deletion if kind == "deletion" else each.insertion for k, each in enumerate(maps)}
        pairs = [(i, j) for i, j in combinations(curves, 2) if i < own and _unsure(curves[i], curves[j])]
        unsure = sorted({number for pair in pairs for number in pair if curves[number].error > 0})
        if not unsure:
            return
        _made(answers.together([maps[k].experiment(kind, curves[k].error / 2) for k in unsure]))


def _unsure(one: Curve, other: Curve) -> bool:
    """Whether it is open which area is larger. Maps in the same order have the same curve."""
    return abs(one.area - other.area) < one.error + other.error and not torch.equal(one.scores, other.scores)


def _made(experiments: Iterable[object]) -> None:
    """Runs them all; their results are where they leave them."""
    for _ in experiments:
        pass
