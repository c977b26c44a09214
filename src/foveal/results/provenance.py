"""What a result was made with."""

from __future__ import annotations

import platform

import torch

from foveal._version import __version__


def versions() -> dict[str, str]:
    """What a result was made with."""
    return {"foveal": __version__, "torch": torch.__version__, "python": platform.python_version()}
