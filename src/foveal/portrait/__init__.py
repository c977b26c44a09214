"""Images made for a layer: facets of a set, objectives that add like numbers, and the way to an image."""

from foveal.portrait.channels import informative
from foveal.portrait.facets import Facet, find_facets, places, weights_of
from foveal.portrait.image import Fourier, Phase, Pixels
from foveal.portrait.objectives import (
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
from foveal.portrait.plan import Best, Octave, Plan, Step, Task
from foveal.portrait.sitting import Sitting
from foveal.portrait.subjects import Wishes
from foveal.portrait.transforms import STILL, Views
from foveal.portrait.units import units_of

__all__ = [
    "STILL", "Best", "Facet", "Fourier", "Objective", "Octave", "Phase", "Pixels", "Plan", "Seen", "Sitting", "Step",
    "Task", "Views", "Wishes", "aligned", "apart", "decided", "diverse", "excite", "find_facets", "informative",
    "inverted", "near", "pale", "places", "smooth", "sparse", "typical", "units_of", "weights_of",
]  # fmt: skip
