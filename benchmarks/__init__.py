"""Our cost, measured beside what it is a ratio of, in one run."""

from foveal.models.extras import import_torchvision

# Every peer imports torchvision, whose compiled part may not fit the torch that is installed.
import_torchvision()
