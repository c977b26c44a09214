"""Whether an explanation is true: what the score does when that which a map marks is hidden or shown."""

from foveal.metrics.asking import Ask
from foveal.metrics.baseline_maps import BASELINE_MAPS
from foveal.metrics.baselines import BASELINES, Fill, baseline, black, hidden
from foveal.metrics.curves import Curve, deletion, insertion, regrid
from foveal.metrics.evaluation import Evaluation, EvaluationSettings
from foveal.metrics.imputing import impute
from foveal.metrics.infidelity import Infidelity, infidelity
from foveal.metrics.masked import Masked, adcc, coherency, masked
from foveal.metrics.metric import METRICS, Metric, Tally, find_metrics
from foveal.metrics.parts import coverage, falling, overlap, part_drops
from foveal.metrics.road import Road, road
from foveal.metrics.sensitivity import sensitivity
from foveal.metrics.statistics import Summary, agreement, holm, kendall, summary

__all__ = [
    "BASELINES",
    "BASELINE_MAPS",
    "METRICS",
    "Ask",
    "Curve",
    "Evaluation",
    "EvaluationSettings",
    "Fill",
    "Infidelity",
    "Masked",
    "Metric",
    "Road",
    "Summary",
    "Tally",
    "adcc",
    "agreement",
    "baseline",
    "black",
    "coherency",
    "coverage",
    "deletion",
    "falling",
    "find_metrics",
    "hidden",
    "holm",
    "impute",
    "infidelity",
    "insertion",
    "kendall",
    "masked",
    "overlap",
    "part_drops",
    "regrid",
    "road",
    "sensitivity",
    "summary",
]  # fmt: skip
