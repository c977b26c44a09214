"""The verb: the decisions of each class grouped by why, and odd groups tested on their images."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import torch
from torch import nn

from foveal.attribution.perturbation import Progress
from foveal.engine.keywords import checked
from foveal.errors import FovealError, MethodError, ModelError, ResultError, counted
from foveal.metrics import holm
from foveal.models.load import load_model
from foveal.models.model import Model, as_model
from foveal.results.provenance import versions
from foveal.runs import grouping as groups_of
from foveal.runs.group_effect import GroupEffect
from foveal.runs.group_tests import GroupTests, class_number
from foveal.runs.minority import clear_minorities
from foveal.runs.reasons import TESTS, ReasonGroup, Reasons
from foveal.runs.result import Run
from foveal.storage.fingerprint import fingerprint

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from numpy.typing import NDArray

    from foveal.images import Preprocessing

By: TypeAlias = Literal["predicted", "label", "target"]
COLUMNS: tuple[By, ...] = ("predicted", "label", "target")
GROUPINGS = ("mixture", "spectral")
FEWEST = 12
"""Decisions of a class that are grouped; fewer are one group."""
GROUPS = 6
SHARED = 0.5
"""The channels of a group make up this share of what is contributed more in it."""
FINE = 100
"""Draws for each test, at least, so that the smallest p there is stays small when it is corrected for all tests."""


@checked
def reasons(
    run: Run,
    model: nn.Module | Model | str | None = None,
    *,
    by: str = "predicted",
    grouping: str = "mixture",
    effects: bool = True,
    most: int = GROUPS,
    pictures: int = 24,
    draws: int = 999,
    seed: int = 0,
    progress: Progress | None = None,
    preprocessing: Preprocessing | None = None,
) -> Reasons:
    """Group the decisions of each class by why they were made, and test small groups that lie apart.

    A group is odd if it is a minority of its class and lies clearly apart from the rest along a direction of what
    channels contribute, over all positions and at the strongest one. Odd groups are looked for first. In the rest, two
    decisions are alike where the same channels contribute in the same proportions, and evidence lies at the same
    places. Odd groups are tested in two ways: the evidence that sets them apart is hidden, and their images get the
    colors and texture of others of the class. A group that loses more by one of these than others do is flagged.

        run = foveal.run("demo", "photos/", out="run/", contributions=True)
        found = foveal.reasons(run)
        print(found); found.figure().save("reasons.png")

    Args:
        run: made with `contributions=True`; rows with an error are left out.
        model: the network of the run, for the test; None loads it by the name that the run has.
        by: the column that classes are of: "predicted", "label" or "target".
        grouping: of what is not odd: "mixture": Gaussian, its components counted by the Bayesian information
            criterion; "spectral": clusters of a spectral embedding, counted by its largest eigengap.
        effects: whether odd groups are tested; nothing is flagged otherwise.
        most: groups of a class, at most.
        pictures: images of a group, and of the rest of its class, that are tested at most; each takes four forward
            passes and a backward pass.
        draws: random groups that an effect is compared with, at least; more where many groups are tested.
        seed: of grouping and draws.
        progress: hears (what, done, total), often enough to stop by raising.
        preprocessing: as in `foveal.explain`, where the run was made with one.

    Raises:
        ResultError: where the run has no contributions, maps of several sizes, or numbers that are not finite.
        ModelError: where the network is not that of the run, or cannot be loaded by its name.
        MethodError: for settings there are not.
        MissingExtra: where scikit-learn is not installed.
    """
    began = time.perf_counter()
    _check(by, grouping, most, pictures, draws)
    if run.record.contributions is None:
        run.contributions()  # says why there are none
    rows = np.flatnonzero(
        [error is None and name is not None for error, name in zip(run["error"], run[by], strict=True)]
    )
    if not len(rows):
        raise ResultError(f"No decision can be grouped: no explained row of this run has a value in the column {by!r}.")
    tell = progress or (lambda what, done, total: None)
    tell("reading contributions", 0, len(rows))
    chosen: Run = run[rows]
    evidence = _Evidence(chosen.contributions(), chosen.contributions("max"), chosen.maps().numpy())
    if evidence.maps.ndim != 3:
        raise ResultError(f"Reasons are grouped for maps of images (h, w), and these are {evidence.maps.shape[1:]}.")
    if endless := int((~evidence.finite).sum()):
        raise ResultError(
            f"Contributions or maps are not finite numbers in {counted(endless, 'decision')}: leave these rows out, "
            f"the first is {chosen['uri'][int(np.argmin(evidence.finite))]}."
        )
    notes: list[str] = []
    names, classes = sorted(set(chosen[by])), list[_GroupedClass]()
    for name in names:
        tick = partial(tell, "grouping decisions", sum(len(entry.rows) for entry in classes), len(rows))
        own = chosen[by] == name
        classes.append(_grouped(name, rows[own], evidence.of(own), grouping, most, seed, tick))
    few = [entry.name for entry in classes if len(entry.rows) < FEWEST]
    if few:
        notes.append(f"{counted(len(few), 'class', 'classes')} with fewer than {FEWEST} decisions were not grouped")
    groups = [group for entry in classes for group in entry.groups]
    if effects and any(group.odd for group in groups):
        groups = _tested(run, model, preprocessing, groups, pictures, draws, seed, notes, tell)
    number = np.zeros(len(rows), np.intp)
    at = {int(row): i for i, row in enumerate(rows)}
    for k, group in enumerate(groups):
        number[[at[int(row)] for row in group.rows]] = k
    typical = np.zeros(len(rows), np.float32)
    for entry in classes:
        typical[[at[int(row)] for row in entry.rows]] = entry.typical
    return Reasons(
        run, rows, _places(evidence.brings, evidence.maps), number, typical, tuple(groups), by, grouping, tuple(notes),
        time.perf_counter() - began, versions(),
    )  # fmt: skip


@dataclass(frozen=True)
class _Evidence:
    """What decided n times.

    Attributes:
        brings: (n, c), what each channel contributes; `largest`, (n, c), at the position where that is largest.
        maps: (n, h, w).
    """

    brings: NDArray[np.float32]
    largest: NDArray[np.float32]
    maps: NDArray[np.float32]

    @property
    def finite(self) -> NDArray[np.bool_]:
        """(n,), whether all numbers of a decision are."""
        each = (self.brings, self.largest, self.maps.reshape(len(self.maps), -1))
        return np.asarray(np.logical_and.reduce([np.isfinite(numbers).all(1) for numbers in each]))

    def of(self, own: NDArray[np.bool_]) -> _Evidence:
        """Of some decisions."""
        return _Evidence(self.brings[own], self.largest[own], self.maps[own])


@dataclass(frozen=True)
class _GroupedClass:
    name: str
    rows: Int[NDArray[np.intp], " n"]
    groups: list[ReasonGroup]
    typical: Float[NDArray[np.float32], " n"]


def _grouped(
    name: str, rows: NDArray[np.intp], evidence: _Evidence, grouping: str, most: int, seed: int,
    tick: Callable[[], None],
) -> _GroupedClass:  # fmt: skip
    """The decisions of one class, the largest group first."""
    points = groups_of.components(groups_of.described(evidence.brings, evidence.maps))
    if len(rows) < FEWEST:
        most = 1
    tick()
    odd, rest = clear_minorities(evidence.brings, evidence.largest, most=most - 1)
    usual, likelihood = groups_of.mixture(points, most=most, seed=seed, tick=tick)
    if odd:
        usual, _ = groups_of.mixture(points[rest], most=most - len(odd), seed=seed, tick=tick)
    if grouping == "spectral" and most > 1:
        usual = groups_of.spectral(points[rest], most=most - len(odd), seed=seed)
    groups = [(members, True) for members in odd] + [(rest[usual == k], False) for k in np.unique(usual)]
    groups.sort(key=lambda group: -len(group[0]))
    return _GroupedClass(name, rows, [
        ReasonGroup(
            name, rows[members], _mean_map(evidence.maps[members]),
            () if len(groups) == 1 else distinctive(evidence.brings, np.isin(np.arange(len(rows)), members)),
            odd=is_odd,
        )
        for members, is_odd in groups
    ], _ranked(likelihood))  # fmt: skip


def distinctive(brings: NDArray[np.float32], own: NDArray[np.bool_]) -> tuple[int, ...]:
    """The channels that contribute a larger share in some decisions than in the others, as few as make up the most."""
    shares = brings / np.maximum(np.abs(brings).sum(1, keepdims=True, dtype=np.float64), 1e-12)
    more = np.maximum(shares[own].mean(0) - shares[~own].mean(0), 0)
    order = np.argsort(-more, kind="stable")
    enough = int(np.searchsorted(np.cumsum(more[order]), SHARED * more.sum())) + 1
    return tuple(int(channel) for channel in order[:enough] if more[channel] > 0)


def _tested(
    run: Run, model: nn.Module | Model | str | None, preprocessing: Preprocessing | None, groups: list[ReasonGroup],
    pictures: int, draws: int, seed: int, notes: list[str], tell: Progress,
) -> list[ReasonGroup]:  # fmt: skip
    """The groups with what their tests found, corrected for the number of all tests."""
    odd = [k for k, group in enumerate(groups) if group.odd]
    known = [k for k in odd if min(class_number(run["target"][row]) for row in groups[k].rows) >= 0]
    if len(known) < len(odd):
        notes.append("groups whose target is not a class were not tested, so none of them is flagged")
    if not known:
        return groups
    layer = run.record.contributions
    assert layer is not None
    draws = max(draws, FINE * len(TESTS) * len(known))
    test = GroupTests(_same_network(run, model, preprocessing), run, layer, pictures, draws, seed)
    outcomes: dict[tuple[int, str], GroupEffect] = {}
    for done, k in enumerate(known):
        tick = partial(tell, "testing groups", done, len(known))
        rest = [group.rows for i, group in enumerate(groups) if i != k and group.class_name == groups[k].class_name]
        others = np.concatenate(rest)
        found = test(groups[k].rows, others, groups[k].channels, tick)
        outcomes |= {(k, name): effect for name, effect in found.items()}
    tell("testing groups", len(known), len(known))
    p = holm({key: effect.p for key, effect in outcomes.items()})
    sure = {key: replace(effect, p=p[key]) for key, effect in outcomes.items()}
    return [
        replace(group, hiding=sure.get((k, "hiding")), appearance=sure.get((k, "appearance")))
        for k, group in enumerate(groups)
    ]


def _same_network(run: Run, model: nn.Module | Model | str | None, preprocessing: Preprocessing | None) -> Model:
    """The network that the run is of.

    Raises:
        ModelError: where it is another, or is not to be had by its name.
    """
    settings = run.record.settings
    name = settings["model"] if model is None else model
    try:
        subject = load_model(name) if isinstance(name, str) else as_model(name)
    except FovealError as error:
        if model is not None:
            raise
        raise ModelError(
            f"cannot load the network of the run, {name!r}, by its name, to test groups: pass the network "
            f"(in Python also effects=False, to group without a test): {error}"
        ) from error
    if preprocessing is not None:
        subject = replace(subject, preprocessing=preprocessing)
    elif subject.preprocessing is None and (known := run.record.preprocessing) is not None:
        from foveal.images import Preprocessing as Known

        subject = replace(subject, preprocessing=Known.from_dict(known))
    if fingerprint(weights=subject.module) != settings["weights"]:
        raise ModelError(
            f"{subject.name} has other weights than the network of the run in {str(run.folder)!r}: pass the same one"
        )
    known = run.record.preprocessing
    if known is not None and (subject.preprocessing is None or subject.preprocessing.to_dict() != known):
        raise ModelError(
            f"{subject.name} has another preprocessing than in the run in {str(run.folder)!r}: pass the same "
            "preprocessing=…"
        )
    return subject


def _places(brings: NDArray[np.float32], maps: NDArray[np.float32]) -> Float[NDArray[np.float32], "n 2"]:
    """All decisions in the plane of their first two principal components, 0 to 1 along both."""
    points = groups_of.components(groups_of.described(brings, maps), most=2)
    points = np.concatenate([points, np.zeros((len(points), 2))], 1)[:, :2]
    low, high = points.min(0), points.max(0)
    return np.asarray((points - low) / np.where(high > low, high - low, 1), np.float32)


def _mean_map(maps: NDArray[np.float32]) -> torch.Tensor:
    positive = np.maximum(maps, 0).astype(np.float64)
    each = positive / np.maximum(positive.sum((1, 2), keepdims=True), 1e-12)
    return torch.from_numpy(each.mean(0).astype(np.float32))


def _ranked(likelihood: NDArray[np.float64]) -> Float[NDArray[np.float32], " n"]:
    """The share of the others that are less likely, 0 to 1; equals count half."""
    less = (likelihood[None] < likelihood[:, None]).sum(1) + 0.5 * (
        (likelihood[None] == likelihood[:, None]).sum(1) - 1
    )
    return np.asarray(less / max(len(likelihood) - 1, 1), np.float32)


def _check(by: str, grouping: str, most: int, pictures: int, draws: int) -> None:
    for name, value, choices in (("by", by, COLUMNS), ("grouping", grouping, GROUPINGS)):
        if value not in choices:
            raise MethodError(f"reasons cannot take {name}={value!r}: give {' or '.join(choices)}")
    for name, number, least in (("most", most, 1), ("pictures", pictures, 2), ("draws", draws, 99)):
        if number < least:
            raise MethodError(f"reasons cannot take {name}={number}: give a whole number from {least} up")
