"""Images made for a layer: facets of a set, objectives that add like numbers, and the way to an image."""

from foveal.featurevis.channels import informative
from foveal.featurevis.facet_objectives import ObjectiveWeights
from foveal.featurevis.facets import find_facets, weights_of
from foveal.featurevis.objectives import (
    Objective,
    Seen,
    aligned,
    apart,
    decided,
    diverse,
    excite,
    inverted,
    near,
    pale,
    smooth,
    sparse,
    typical,
)  # fmt: skip
from foveal.featurevis.optimization import Optimization
from foveal.featurevis.parametrization import Fourier, Phase, Pixels
from foveal.featurevis.schedule import Best, FeatureTask, Octave, Schedule, ScheduleStep
from foveal.featurevis.transforms import STILL, Views
from foveal.featurevis.unit_objectives import units_of
from foveal.results.facet import Facet
from foveal.similarity.plane import places

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
    "decided",
    "diverse",
    "excite",
    "find_facets",
    "informative",
    "inverted",
    "near",
    "pale",
    "places",
    "smooth",
    "sparse",
    "typical",
    "units_of",
    "weights_of",
]  # fmt: skip
