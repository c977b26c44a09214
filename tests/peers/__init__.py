"""foveal's numbers against those of the packages people use today, as released.

Where they agree, to what; where they do not, the reason, re-derived. docs/peers.md has it in words.
"""

from foveal.models.extras import import_torchvision

# Every peer imports torchvision, whose compiled part may not fit the torch that is installed.
import_torchvision()
