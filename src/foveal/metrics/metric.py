"""The metrics there are, and what accumulates them. Adding one: a line here, its formula, its test, its docs.

    tally = Tally(["deletion", "insertion"])
    for x, maps, ask in images:
        tally.update(ask, x, maps)
    tally.compute()["deletion"]         # mean, 95 % interval, how many are undefined

Metrics of one tally share their forward passes. A tally of another process is added with `merge`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch
from torch import Tensor

from foveal.errors import MethodError, UnknownMethod, shown
from foveal.metrics import placement, shape
from foveal.metrics.asking import Ask
from foveal.metrics.evaluation import Evaluation, EvaluationSettings, ExperimentName
from foveal.metrics.sensitivity import Explainer
from foveal.metrics.statistics import Summary, summary

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

Needs: TypeAlias = "Literal['map', 'network', 'object', 'boxes', 'explainer']"


@dataclass(frozen=True)
class Metric:
    """One number about one map.

    Attributes:
        name: what `metrics=` and `--metric` take.
        title: in print, with the symbol papers use.
        better: which direction is good; None for a property that is no merit.
        needs: the "map" alone, the "network" to ask, the "object"'s mask, its "boxes", or an "explainer" to ask again.
        limits: what values lie between.
        about: one line.
        source: where it is from.
        read: the value, from an evaluation; NaN where it is undefined.
        experiment: what the value is read from, where the network is asked about altered copies.
    """

    name: str
    title: str
    better: Literal["lower", "higher"] | None
    needs: Needs
    limits: tuple[float, float]
    about: str
    source: str
    read: Callable[[Evaluation], float]
    experiment: ExperimentName | None = None

    def __call__(self, evaluation: Evaluation) -> float:
        return float(self.read(evaluation))


ONE, SIGNED, ANY = (0.0, 1.0), (-1.0, 1.0), (0.0, float("inf"))

_ALL = (
    Metric("deletion", "deletion (DAUC)", "lower", "network", ONE,
           "area under the score while the most important positions are removed first",
           "arXiv:1806.07421", lambda t: t.deletion.area, "deletion"),
    Metric("insertion", "insertion (IAUC)", "higher", "network", ONE,
           "area under the score while the most important positions are added first to a blurred image",
           "arXiv:1806.07421", lambda t: t.insertion.area, "insertion"),
    Metric("deletion_correlation", "deletion correlation (DC)", "higher", "network", SIGNED,
           "correlation of the map's values with the drops of the score in deletion",
           "arXiv:2201.13291", lambda t: t.deletion.correlation, "deletion"),
    Metric("insertion_correlation", "insertion correlation (IC)", "higher", "network", SIGNED,
           "correlation of the map's values with the rises of the score in insertion",
           "arXiv:2201.13291", lambda t: t.insertion.correlation, "insertion"),
    Metric("deletion_rank_correlation", "deletion rank correlation", "higher", "network", SIGNED,
           "Spearman correlation of the map's values with the drops of the score in deletion",
           "ours", lambda t: t.deletion.rank_correlation, "deletion"),
    Metric("validity", "validity rate", "higher", "network", ONE,
           "share of the steps of deletion in which the score falls",
           "arXiv:2311.17876", lambda t: t.deletion.validity, "deletion"),
    Metric("drop", "Average Drop (AD)", "lower", "network", ONE,
           "share of the score lost when the image is multiplied by the map",
           "arXiv:1710.11063", lambda t: float(t.masked.drop[0]), "masked"),
    Metric("increase", "Average Increase (AI, IIC)", "higher", "network", ONE,
           "share of images whose score rises when the image is multiplied by the map",
           "arXiv:1710.11063", lambda t: float(t.masked.increase[0]), "masked"),
    Metric("gain", "Average Gain (AG)", "higher", "network", ONE,
           "rise of the score when the image is multiplied by the map, over the largest possible rise",
           "arXiv:2301.07002", lambda t: float(t.masked.gain[0]), "masked"),
    Metric("drop_in_deletion", "Average Drop in Deletion (ADD)", "higher", "network", (-float("inf"), 1.0),
           "share of the score lost when the image is multiplied by one minus the map",
           "arXiv:2102.05228", lambda t: float(t.masked.drop_in_deletion[0]), "masked"),
    Metric("road", "ROAD", "higher", "network", (-0.5, 0.5),
           "half of: score without the least important pixels minus score without the most important ones",
           "arXiv:2202.00449", lambda t: t.road.combined, "road"),
    Metric("road_most", "ROAD, most important first", "lower", "network", ONE,
           "score without the most important pixels", "arXiv:2202.00449", lambda t: t.road.most_first, "road"),
    Metric("road_least", "ROAD, least important first", "higher", "network", ONE,
           "score without the least important pixels", "arXiv:2202.00449", lambda t: t.road.least_first, "road"),
    Metric("infidelity", "infidelity (INFD)", "lower", "network", ANY,
           "mean squared error of the score drops that the map predicts for hidden squares, at its best scale",
           "arXiv:1901.09392", lambda t: t.infidelity.value, "infidelity"),
    Metric("faithfulness", "faithfulness correlation", "higher", "network", SIGNED,
           "correlation of predicted and measured score drops for hidden squares",
           "IJCAI 2020", lambda t: t.infidelity.correlation, "infidelity"),
    Metric("sensitivity", "max-sensitivity (SENS)", "lower", "explainer", ANY,
           "largest relative change of the map under small changes of the image",
           "arXiv:1901.09392", lambda t: t.sensitivity),
    Metric("coherency", "coherency", "higher", "explainer", ONE,
           "correlation of the map with the map of the image multiplied by it",
           "arXiv:2104.10252", lambda t: t.coherency),
    Metric("adcc", "ADCC", "higher", "explainer", ONE,
           "harmonic mean of coherency, 1 − complexity and 1 − drop", "arXiv:2104.10252", lambda t: t.adcc, "masked"),
    Metric("complexity", "complexity", None, "map", ONE,
           "mean of the map scaled to 0 … 1", "arXiv:2104.10252", lambda t: shape.complexity(t.map)),
    Metric("sparsity", "sparsity (Sp)", None, "map", (1.0, float("inf")),
           "largest value over the mean value", "arXiv:2201.13291", lambda t: shape.sparsity(t.map)),
    Metric("log_sparsity", "log sparsity", None, "map", ONE,
           "logarithm of sparsity over the logarithm of the number of positions",
           "ours", lambda t: shape.log_sparsity(t.map)),
    Metric("gini", "Gini index", None, "map", ONE,
           "how unevenly the positive evidence is spread, 0 for evenly",
           "Chalasani et al., 2020", lambda t: shape.gini(t.map)),
    Metric("half_area", "area of half the evidence", None, "map", ONE,
           "smallest share of the positions that holds half of the positive evidence",
           "ours", lambda t: shape.area_holding(t.map)),
    Metric("pointing", "pointing game (PG)", "higher", "object", ONE,
           "share of images whose highest position lies on the object",
           "Zhang et al., IJCV 126, 2018", lambda t: placement.pointing(t.grown, t.mask)),
    Metric("energy", "energy on the object (EBPG)", "higher", "object", ONE,
           "share of the positive evidence that lies on the object",
           "arXiv:1910.01279", lambda t: placement.energy(t.grown, t.mask)),
    Metric("lift", "lift over the area", "higher", "object", ANY,
           "energy on the object over the object's share of the image",
           "ours", lambda t: placement.lift(t.grown, t.mask)),
    Metric("rank_accuracy", "relevance rank accuracy (RRA)", "higher", "object", ONE,
           "share of the k highest positions that lie on the object, which has k positions",
           "Arras et al., 2022", lambda t: placement.rank_accuracy(t.grown, t.mask)),
    Metric("roc_area", "ROC area", "higher", "object", ONE,
           "probability that a position on the object is higher than one outside",
           "standard", lambda t: placement.roc_area(t.grown, t.mask)),
    Metric("average_precision", "average precision (PxAP)", "higher", "object", ONE,
           "average precision of the map as a classifier of the object's positions",
           "arXiv:2001.07437", lambda t: placement.average_precision(t.grown, t.mask)),
    Metric("box_overlap", "overlap of boxes (IoU)", "higher", "boxes", ONE,
           "intersection over union of the object's box and the box around the map above a fifth of its maximum",
           "arXiv:1512.04150", lambda t: placement.box_overlap(t.grown, t.boxes)),
)  # fmt: skip

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}

DIRECTIONS: dict[str, Literal["lower", "higher"] | None] = {
    **{metric.name: metric.better for metric in _ALL},
    **{name: "higher" for name in ("hit", "share", "rank", "distraction")},  # noqa: C420
}
"""Which way each is better, those against true importance in the drawn world included (`foveal.benchmark.truth`)."""


def sign_of(metric: str) -> int:
    """1 where higher is better, −1 where lower is, 0 where neither."""
    return {"higher": 1, "lower": -1, None: 0}[DIRECTIONS.get(metric)]


USUAL = ("deletion", "insertion", "deletion_correlation", "insertion_correlation", "drop", "increase", "gain",
         "drop_in_deletion", "road", "faithfulness", "half_area")  # fmt: skip
"""For class maps, where nothing but the network is known."""

CLOSE = frozenset(("deletion_rank_correlation", "validity"))
"""Depend on the signs and ranks of the smallest changes of the score, and are not to be measured with rounded ones."""

OBJECT = ("pointing", "energy", "lift", "roc_area")
"""Where the object is known."""

ALIASES = {
    "dauc": "deletion", "iauc": "insertion", "dc": "deletion_correlation", "ic": "insertion_correlation",
    "ad": "drop", "average_drop": "drop", "ai": "increase", "iic": "increase", "average_increase": "increase",
    "ag": "gain", "average_gain": "gain", "add": "drop_in_deletion", "infd": "infidelity", "sens": "sensitivity",
    "sp": "sparsity", "pg": "pointing", "ebpg": "energy", "rra": "rank_accuracy", "iou": "box_overlap",
    "pxap": "average_precision", "morf": "road_most", "lerf": "road_least",
}  # fmt: skip
"""What papers call them. "IC" is insertion correlation here; increase in confidence is "IIC"."""


def find_metrics(names: str | Iterable[str]) -> dict[str, Metric]:
    """Metrics by name, in any case, each once; "usual", "object" and "all" stand for several.

    Raises:
        MethodError: when there is none of that name, with the nearest.
    """
    each: list[Any] = list(names) if isinstance(names, list | tuple) else [names]
    several = {"usual": USUAL, "object": OBJECT, "all": tuple(METRICS)}
    metrics = [
        _named(name)
        for given in each
        for name in (several.get(given, (given,)) if isinstance(given, str) else (given,))
    ]
    return {metric.name: metric for metric in metrics}


def _named(name: str) -> Metric:
    if not isinstance(name, str):
        raise UnknownMethod(f"{shown(name)} is no metric: say {', '.join([*METRICS][:3])} …, or usual")
    plain = name.casefold().replace("-", "_").replace(" ", "_")
    plain = ALIASES.get(plain, plain)
    if plain in METRICS:
        return METRICS[plain]
    near = get_close_matches(plain, [*METRICS, *ALIASES], n=2) or list(METRICS)[:3]
    raise UnknownMethod(f"there is no metric {name!r}: did you mean {' or '.join(near)}?")


class Tally:
    """Metrics of one method, accumulated over images.

    Args:
        metrics: names, see `find_metrics`.
        setting: what the experiments are made with.
    """

    def __init__(self, metrics: str | Iterable[str], setting: EvaluationSettings | None = None) -> None:
        self.metrics = find_metrics(metrics)
        self.setting = setting or EvaluationSettings()
        self.values: dict[str, list[float]] = {name: [] for name in self.metrics}

    def update(
        self,
        ask: Ask | Sequence[Ask] | None,
        x: Float[Tensor, "n c h w"],
        maps: Float[Tensor, "n h2 w2"],
        *,
        inside: Bool[Tensor, "n h w"] | None = None,
        boxes: Sequence[Sequence[placement.Box]] | None = None,
        explain: Explainer | None = None,
    ) -> dict[str, list[float]]:
        """Measure n maps; returns and keeps a value an image.

        Args:
            ask: scores of altered copies, the same for every image, or one an image.
            inside, boxes: where the object is, on the input's grid.
            explain: inputs to maps, for metrics that explain altered images.
        """
        if maps.ndim != 3 or len(maps) != len(x):
            raise MethodError(f"{len(x)} images need as many maps (n, h, w), but got {tuple(maps.shape)}")
        new: dict[str, list[float]] = {name: [] for name in self.metrics}
        for i in range(len(x)):
            evaluation = Evaluation(
                x[i : i + 1],
                maps[i],
                ask[i] if isinstance(ask, Sequence) else ask,
                None if inside is None else inside[i],
                () if boxes is None else boxes[i],
                explain,
                setting=self.setting,
            )
            for name, metric in self.metrics.items():
                new[name].append(metric(evaluation))
        for name, value in new.items():
            self.values[name] += value
        return new

    def compute(self) -> dict[str, Summary]:
        """Mean, interval, how many, how many undefined, of each metric."""
        return {name: summary(values) for name, values in self.values.items()}

    def reset(self) -> None:
        """Forget all values."""
        self.values = {name: [] for name in self.metrics}

    def merge(self, *others: Tally) -> Tally:
        """Add what others, of other processes say, have measured; the order of images is theirs after ours."""
        for other in others:
            if other.metrics.keys() != self.metrics.keys():
                raise MethodError(
                    f"a tally of {', '.join(other.metrics)} cannot be added to one of {', '.join(self.metrics)}"
                )
            for name, values in other.values.items():
                self.values[name] += values
        return self

    def state(self) -> Mapping[str, Tensor]:
        """The values as tensors, to be sent between processes."""
        return {name: torch.tensor(values, dtype=torch.float64) for name, values in self.values.items()}
