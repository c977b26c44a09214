"""Feature visualization: facets of an image set, objectives that add like numbers, and their optimization."""

from foveal.featurevis.channels import informative
from foveal.featurevis.facets import find_facets, places, weights_of
from foveal.featurevis.image_objectives import low_saturation, smooth
from foveal.featurevis.objective import Objective
from foveal.featurevis.objective_weights import ObjectiveWeights
from foveal.featurevis.objectives import (
    aligned,
    apart,
    diverse,
    excite,
    inverted,
    near,
    sparse,
    target_score,
    typical,
)
from foveal.featurevis.optimization import Optimization
from foveal.featurevis.parametrization import Fourier, Phase, Pixels
from foveal.featurevis.schedule import Best, FeatureTask, Octave, Schedule, ScheduleStep
from foveal.featurevis.seen import Seen
from foveal.featurevis.transforms import STILL, Views
from foveal.featurevis.unit_objectives import units_of
from foveal.results.facet import Facet

__all__ = [
    "STILL",
    "Best",
    "Facet",
    "FeatureTask",
    "Fourier",
    "Objective",
    "ObjectiveWeights",
    "Octave",
    "Optimization",
    "Phase",
    "Pixels",
    "Schedule",
    "ScheduleStep",
    "Seen",
    "Views",
    "aligned",
    "apart",
    "diverse",
    "excite",
    "find_facets",
    "informative",
    "inverted",
    "low_saturation",
    "near",
    "places",
    "smooth",
    "sparse",
    "target_score",
    "typical",
    "units_of",
    "weights_of",
]  # fmt: skip
