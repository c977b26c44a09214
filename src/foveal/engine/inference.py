"""Forward passes in less time: batch norms are folded, and the channels of a pixel lie side by side.

That changes what the network returns by rounding alone, if it runs so at all: tried with the first image of each size,
beside a plain pass. It is meant for altered copies, and for their gradients; where layers are looked at, a pass is the
network's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.modules import module as every
from torch.overrides import _get_current_function_mode_stack as function_modes
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack as dispatch_modes

from foveal.engine.folding import Convolution, FilterAndBias, FoldedPass, NormSurvey, Strayed
from foveal.engine.guard import every_module, only_reads
from foveal.engine.model_errors import out_of_memory
from foveal.engine.overwritten import handed_over
from foveal.engine.precision import channels_last
from foveal.engine.uses import tensors_of

PIXELS = 96 * 96
"""Smaller images gain too little."""
ROUNDING = 1e-4
"""Outputs differ by less than this share of the largest of them."""

Run: TypeAlias = Callable[[Tensor], Any]
"""Inputs (k, c, h, w) to what the network returns."""


@dataclass(frozen=True, eq=False)
class FoldedWay:
    """How a network runs.

    Attributes:
        calls: its convolutions.
        last: whether channels lie last in memory.
    """

    calls: Sequence[Convolution]
    last: bool


_ways: WeakKeyDictionary[nn.Module, dict[Any, FoldedWay | None]] = WeakKeyDictionary()
"""By network and kind of image; None where it runs in its own way only."""


def way_of(model: nn.Module, x: Tensor) -> FoldedWay | None:
    """How a network runs on images like these; None where it runs in its own way, or never ran."""
    return _ways.get(model, {}).get(_kind(x))


def _kind(x: Tensor) -> Any:
    return tuple(x.shape[1:]), x.device


class InferenceForward:
    """Runs one network, as long as its weights are what they are.

    Args:
        model: in evaluation mode.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._ways = _ways.setdefault(model, {})
        self._weights: dict[tuple[Convolution, bool], FilterAndBias] = {}
        self._strayed = False

    def __call__(self, x: Tensor, run: Run) -> Any:
        """What `run(x)` returns, but for rounding.

        Args:
            x: (k, c, h, w).
            run: runs the network.
        """
        way = self._way(x, run)
        if way is None:
            return run(x)
        try:
            return self._run(x, run, way)
        except Strayed:  # it has other weights than then, most likely
            self._ways[_kind(x)] = None if self._strayed else self._learned(x[:1], run)
            self._strayed = True
        except Exception as error:
            if out_of_memory(error):
                raise
            self._ways[_kind(x)] = None
        return self(x, run)

    def differs(self, x: Tensor, run: Run) -> bool:
        """Whether what it returns differs by rounding from what `run(x)` does, so that numbers of both do not mix."""
        return self._way(x, run) is not None

    def _way(self, x: Tensor, run: Run) -> FoldedWay | None:
        if not self._may_be_faster(x):
            return None
        kind = _kind(x)
        if kind not in self._ways:
            self._ways[kind] = self._learned(x[:1], run)
        return self._ways[kind]

    def _may_be_faster(self, x: Tensor) -> bool:
        """Whether nobody else looks at what happens on the way, and nothing else changes it."""
        if x.ndim != 4 or x.shape[2] * x.shape[3] < PIXELS or x.dtype != torch.float32:
            return False
        if torch.is_autocast_enabled(x.device.type) or (torch.is_grad_enabled() and not self._images_alone(x)):
            return False
        if any(not getattr(mode, "only_watches", False) for mode in (*function_modes(), *dispatch_modes())):
            return False
        if not only_reads(self._model) or every._global_forward_hooks or every._global_forward_pre_hooks:
            return False
        return not any(
            module._forward_hooks or module._forward_pre_hooks or isinstance(module, torch.jit.ScriptModule)
            for module in every_module(self._model)
        )

    def _images_alone(self, x: Tensor) -> bool:
        """Whether a gradient goes back to the images, and to no weight."""
        wanted = any(
            p.requires_grad for m in every_module(self._model) for p in m._parameters.values() if p is not None
        )
        return x.requires_grad and not wanted and not handed_over()

    @torch.no_grad()
    def _learned(self, x: Tensor, run: Run) -> FoldedWay | None:
        """The fastest way in which the network gives what it gives in its own, but for rounding."""
        with (survey := NormSurvey()):
            plain = run(x.clone())
        calls = survey.noted(plain)
        ways = []
        if calls and x.device.type == "cpu":
            ways.append(FoldedWay(calls, last=True))
        if any(call.norm for call in calls):
            ways.append(FoldedWay(calls, last=False))
        return next((way for way in ways if self._agrees(plain, x, run, way)), None)

    def _agrees(self, plain: Any, x: Tensor, run: Run, way: FoldedWay) -> bool:
        try:
            return _same(plain, self._run(x, run, way))
        except Strayed:
            return False
        except Exception as error:
            if out_of_memory(error):
                raise
            return False

    def _run(self, x: Tensor, run: Run, way: FoldedWay) -> Any:
        # A copy, because the network may write into it, and may have to run again.
        x = x.clone(memory_format=torch.channels_last if way.last else torch.contiguous_format)
        with FoldedPass(way.calls, [self._weights_for(call, way.last) for call in way.calls]) as folded:
            output = run(x)
        folded.end(output)
        return output

    def _weights_for(self, call: Convolution, last: bool) -> FilterAndBias:
        if (call, last) not in self._weights:
            # Whoever weighs a pass does not weigh what stays.
            with torch._C._DisableTorchDispatch(), torch.no_grad():
                W, b = call.norm.folded(call.weight, call.bias) if call.norm else (call.weight, call.bias)
                self._weights[call, last] = (channels_last(W) if last else W), b
        return self._weights[call, last]


def _same(plain: Any, other: Any) -> bool:
    """Whether two outputs differ by rounding only; not where nothing is seen of them."""
    ours, theirs = tensors_of(plain), tensors_of(other)
    return len(ours) == len(theirs) > 0 and all(map(_close, ours, theirs))


def _close(a: Tensor, b: Tensor) -> bool:
    if a.shape != b.shape or not a.is_floating_point():
        return a.shape == b.shape and torch.equal(a, b)
    allowed = ROUNDING * float(a.nan_to_num(0, 0, 0).abs().amax()) if a.numel() else 0.0
    return torch.allclose(a, b.to(a), rtol=0, atol=allowed, equal_nan=True)
