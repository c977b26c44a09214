"""The network as feature visualization needs it: forwards that end at the deepest layer looked at, and gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from foveal.engine.arguments import Arguments
from foveal.engine.capture import capture
from foveal.engine.chunks import Chunks
from foveal.engine.guard import unwrap
from foveal.engine.memory import load_of
from foveal.engine.rules.colors import ImageConvolutions
from foveal.engine.stages import Structure, describe
from foveal.featurevis.leaky_relu import LeakyReLUGrad
from foveal.featurevis.normalization import Normalization
from foveal.featurevis.seen import Seen

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.targets import Task

T = TypeVar("T")
Precision: TypeAlias = "Literal['float32', 'bfloat16']"


@dataclass(frozen=True, eq=False)
class FeatureNetwork:
    """A network, and how it is shown images.

    Attributes:
        model: unchanged by anything done here, and as it was found between any two looks.
        normalization: from images in 0..1 to its input.
        weight: one of its parameters, for device and type; None where it has none.
        labels: class names, if known.
        precision: "bfloat16" runs the network under autocast.
        arguments: what it takes beside the image.
        task: what the output means, if known.
    """

    model: nn.Module
    normalization: Normalization
    weight: Tensor | None = None
    labels: Sequence[str] | None = None
    precision: Precision = "float32"
    arguments: Arguments = field(default_factory=Arguments)
    task: Task | None = None
    _last: dict[str, int] = field(default_factory=dict, repr=False)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.weight.device if self.weight is not None else torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """Of images and parameters: single, or double where the network is."""
        return torch.float64 if self.weight is not None and self.weight.dtype == torch.float64 else torch.float32

    @cached_property
    def structure(self) -> Structure:
        """From one traced forward of the whole network, the only one there is."""
        gray = torch.full(
            (1, self.normalization.channels, *self.normalization.size), 0.5, device=self.device, dtype=self.dtype
        )
        return describe(self.model, self._input(gray), self.arguments)

    def look(
        self,
        views: Float[Tensor, "k c h w"],
        layers: Iterable[str],
        *,
        images: Float[Tensor, "k c h w"] | None = None,
        whole: bool = False,
        gradient: bool = True,
        relu_leak: bool = False,
    ) -> Seen:
        """What the layers make of views of images.

        Args:
            images: of which these are views; None is the views themselves.
            whole: go on to the output.
            gradient: record the graph back to the views.
            relu_leak: let gradients through rectifiers that are off.
        """
        names = tuple(layers)
        with (
            capture(
                self.model, names, gradient=gradient, differentiable=gradient, freeze=True,
                last_calls=self._calls(names),
            ) as run,
            torch.set_grad_enabled(gradient),
        ):  # fmt: skip
            x = self._input(views)
            output = run.forward(x, self.arguments, stop=not whole, mode=self._modes(relu_leak))
            maps = {at: self.structure.channels_first(at, A, views.shape[2:]) for at, A in run.activations.items()}
        return Seen(views if images is None else images, maps, output if whole else None, self.labels, self.task)

    def features(
        self, images: Float[Tensor, "n c h w"], layers: Iterable[str], *, chunk: int = 16
    ) -> dict[str, Float[Tensor, "n c"]]:
        """Pooled features of many images."""
        names = tuple(layers)

        def features(seen: Seen) -> list[Tensor]:
            return [seen.features(layer).detach() for layer in names]

        parts = self.looks(images, names, features, chunk=chunk)
        return {layer: torch.cat(each) for layer, each in zip(names, zip(*parts, strict=True), strict=True)}

    def strength(self, images: Float[Tensor, "n c h w"], layer: str, *, chunk: int = 16) -> Float[Tensor, " n"]:
        """mean|p| of a layer, image by image."""
        few = self.looks(images, (layer,), lambda seen: seen.maps[layer].detach(), chunk=chunk)
        return torch.cat([maps.abs().flatten(1).mean(1).to(self.dtype) for maps in few])

    def looks(
        self, images: Float[Tensor, "n c h w"], layers: tuple[str, ...], of: Callable[[Seen], T], *, chunk: int = 16
    ) -> Iterator[T]:
        """Something of what the layers make of many images, `chunk` at once at most."""

        def few(start: int, stop: int) -> T:
            return of(self.look(images[start:stop], layers, gradient=False))

        chunks = Chunks(chunk, load_of(self.model, images[:1], "look", layers, self.precision))
        chunks.weigh(few, len(images))
        return chunks.parts(few, len(images))

    def penalty_layer(self, layer: str) -> str:
        """What goes into the last convolution before a layer; the layer itself where there is none."""
        module = unwrap(self.model)
        names = list(self.structure.shapes)
        unit = layer.split("[")[0].split("#")[0].removesuffix(".input")
        if unit not in names:
            return layer
        before = names[: names.index(unit) + 1]
        convolutions = (name for name in reversed(before) if name and isinstance(_part(module, name), nn.Conv2d))
        name = next(convolutions, None)
        return f"{name}.input" if name else layer

    def _input(self, images: Tensor) -> Tensor:
        x = self.normalization.to_input(images)
        return x if self.weight is None or self.precision != "float32" else x.to(self.weight)

    def _calls(self, layers: tuple[str, ...]) -> dict[str, int]:
        """Which call of each module is the last, so that the forward may end there."""
        if any(layer not in self._last for layer in layers):
            self._last.update(self.structure.last_calls(self.model, layers))
        return self._last

    @contextmanager
    def _modes(self, relu_leak: bool) -> Iterator[None]:
        half = self.precision == "bfloat16"
        with (
            torch.autocast(self.device.type, torch.bfloat16, enabled=half),
            LeakyReLUGrad() if relu_leak else nullcontext(),
            ImageConvolutions(),
        ):
            yield


def _part(module: nn.Module, name: str) -> nn.Module | None:
    try:
        return module.get_submodule(name)
    except AttributeError:
        return None
