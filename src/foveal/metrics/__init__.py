"""Whether an explanation is true: what the score does when that which a map marks is hidden or shown."""

from foveal.metrics.baselines import BASELINES, baseline
from foveal.metrics.curves import Curve, deletion, insertion
from foveal.metrics.masked import Masked, masked

__all__ = ["BASELINES", "Curve", "Masked", "baseline", "deletion", "insertion", "masked"]
