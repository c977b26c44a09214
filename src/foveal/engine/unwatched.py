"""Operations of foveal's own, which those who watch what a network does need not see."""

from __future__ import annotations

import torch

unwatched = torch._C.DisableTorchFunction
"""A context in which no function mode and no subclass of Tensor is told of operations.

Such as `foveal.engine.weights` watches for writes while a model is explained: each operation, and each look at the
shape of a tensor, would be a call of Python.
"""
