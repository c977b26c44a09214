"""A network up to its last feature map, in training too, at a finer resolution where wanted.

dilate    strides become dilations: every weight sees what it was trained on, and every `resolution`-th cell is one
          of the network as built, exactly (`foveal.engine.dilation`)
stride    strides become 1 and nothing else, as published: the same weights, another function, to be trained
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from foveal.engine.dilation import Dilated, Grid
from foveal.engine.select import LayerName, named_layers
from foveal.errors import LayerError, ModelError

if TYPE_CHECKING:
    from jaxtyping import Float

ResolutionMode: TypeAlias = Literal["dilate", "stride"]


class Backbone(nn.Module):
    """(n, 3, H, W) to the feature map (n, c, h, w) of a layer; what comes after the layer is thrown away.

    Args:
        network: taken over, and changed: its unused modules become empty.
        layer: a module of the network, or its name.
        example: an input to try it on.
        resolution: how many times finer the map is to be.
        mode: how.
        checkpointing: the stages of the network keep nothing for the backward but what goes into them; in mode
            "stride", or at resolution 1.

    Attributes:
        channels: c.
        grid: how the map of the network as built lies on the input.
        apart: on the example, by how much the cells that both maps have differ, as a share of the largest; 0 up to
            rounding by dilation, unless the network looks at its maps as a whole (squeeze-excite, global response
            norms) or averages on the way (pooled shortcuts); large by strides of 1, before training.

    Raises:
        ModelError, LayerError: where the layer does not run, or the resolution cannot be had in this mode.
    """

    def __init__(
        self, network: nn.Module, layer: LayerName, example: Float[Tensor, "n c h w"], *, resolution: int = 1,
        mode: ResolutionMode = "dilate", checkpointing: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        name: str = named_layers(network, layer)
        if mode not in ("dilate", "stride"):
            raise ModelError(f"a resolution is raised by dilate or stride, not by {mode!r}")
        if checkpointing and resolution > 1 and mode == "dilate":
            raise ModelError(
                "activation checkpointing runs parts of the network again outside of the dilated forward: "
                "use mode 'stride', or leave checkpointing out"
            )
        if name not in dict(network.named_modules()):
            raise LayerError(f"this {type(network).__name__} has no module {name!r} to end at: name one that it has")
        self.network, self.layer, self.mode = network, name, mode
        self.finest: tuple[float, float] | None = None
        F, self.grid = self._tried(example)
        self._prune(example)
        self.channels, self.apart = F.shape[1], 0.0
        if resolution > 1:
            self._raise(example, F, resolution)
        if checkpointing:
            for child in network.children():
                if any(isinstance(inner, nn.Conv2d) for inner in child.modules() if inner is not child):
                    _checkpointed(child)  # a stage; a lone ReLU would write into what the one before it keeps

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        outputs: list[Tensor] = []

        def reached(_module: nn.Module, _inputs: Any, output: Any) -> None:
            outputs.append(output)
            raise _Reached

        handle = self.network.get_submodule(self.layer).register_forward_hook(reached)
        try:
            with Dilated(self.finest) if self.finest else nullcontext():
                self.network(x)
        except _Reached:
            return outputs[0]
        finally:
            handle.remove()
        raise LayerError(f"layer {self.layer!r} did not run: choose one that the network uses")

    def _tried(self, example: Tensor) -> tuple[Tensor, Grid]:
        """The map of the example, and how it lies, without a trace in the network."""
        training = self.network.training
        self.network.eval()
        mode = Dilated(self.finest or (math.inf, math.inf))
        finest, self.finest = self.finest, None
        try:
            with torch.no_grad(), mode:
                F = self(example)
                grid = mode.grid(F)
        finally:
            self.network.train(training)
            self.finest = finest
        if not (isinstance(F, Tensor) and F.ndim == 4):
            raise LayerError(f"layer {self.layer!r} does not return a feature map (n, c, h, w): name another")
        return F, grid

    def _raise(self, example: Tensor, built: Tensor, resolution: int) -> None:
        y, x = self.grid.stride
        finest = (y / resolution, x / resolution)
        if self.mode == "dilate":
            self.finest = finest
        else:
            self._unstride(example, finest)
        try:
            F, _ = self._tried(example)
        except RuntimeError as error:
            raise ModelError(f"the strides before {self.layer} cannot become 1: {error}; use mode 'dilate'") from error
        (h, w), (H, W) = built.shape[2:], F.shape[2:]
        if not (resolution * (h - 1) < H <= resolution * h and resolution * (w - 1) < W <= resolution * w):
            raise ModelError(
                f"the map of {self.layer}, {h} × {w}, became {H} × {W} instead of {resolution} times as fine in mode "
                f"{self.mode}: choose a resolution that divides its stride (2 or 4, mostly)"
            )
        shared = F[:, :, ::resolution, ::resolution]
        self.apart = float((shared - built).abs().amax() / built.abs().amax().clamp(min=1e-30))

    def _unstride(self, example: Tensor, finest: tuple[float, float]) -> None:
        """Stride 1 for every convolution and pooling whose result would be coarser than `finest`."""
        mode = Dilated()
        kinds = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
        late: list[nn.Module] = []

        def seen(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            before = mode.grid(inputs[0]).stride
            stride = _pair(module.stride)
            if max(stride) > 1 and any(j * s > fine for j, s, fine in zip(before, stride, finest, strict=True)):
                late.append(module)

        windows = [m for m in self.network.modules() if isinstance(m, kinds)]
        handles = [m.register_forward_pre_hook(seen) for m in windows]
        training = self.network.training
        self.network.eval()
        try:
            with torch.no_grad(), mode:
                self(example)
        finally:
            self.network.train(training)
            for handle in handles:
                handle.remove()
        for module in late:
            module.stride = (1, 1) if isinstance(module, nn.Conv2d) else 1  # type: ignore[assignment]

    def _prune(self, example: Tensor) -> None:
        """Leaves that do not run before the layer become empty, so that every weight there is takes part."""
        used: set[nn.Module] = set()
        handles = [m.register_forward_pre_hook(lambda m, _inputs: used.add(m)) for m in self.network.modules()]
        try:
            self._tried(example)
        finally:
            for handle in handles:
                handle.remove()
        for name, module in list(self.network.named_modules()):
            if name and module not in used and not any(True for _ in module.children()):
                self.network.set_submodule(name, nn.Identity())

    def extra_repr(self) -> str:
        return f"layer={self.layer!r}, finest={self.finest}"


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _checkpointed(module: nn.Module) -> None:
    from torch.utils.checkpoint import checkpoint

    forward = module.forward

    def again(*inputs: Any) -> Any:
        return checkpoint(forward, *inputs, use_reentrant=False) if torch.is_grad_enabled() else forward(*inputs)

    module.forward = again


class _Reached(BaseException):
    """The layer was seen. Not an Exception, so no network swallows it."""
