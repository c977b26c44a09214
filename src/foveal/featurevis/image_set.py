"""A set of images as the network sees it, and what its facets begin with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch
from torch import Tensor

from foveal.errors import MethodError, UnknownMethod
from foveal.featurevis.network import FeatureNetwork
from foveal.featurevis.parametrization import KINDS, Kind, Parametrization, Phase, at_size, parametrization_of
from foveal.featurevis.schedule import Size
from foveal.featurevis.seen import moments
from foveal.results.facet import Facet

if TYPE_CHECKING:
    from jaxtyping import Float


Start: TypeAlias = "Literal['mean', 'photo', 'noise'] | float"


@dataclass(eq=False)
class ImageSet:
    """A set of images as the network sees it, with everything about them that objectives need, computed once.

    Attributes:
        network: the network.
        images: (n, c, h, w) in 0..1.
        features: layer -> (n, c), pooled.
        background: layer -> (m, c), pooled features of other images to compare with.
    """

    network: FeatureNetwork
    images: Float[Tensor, "n c h w"]
    features: dict[str, Float[Tensor, "n c"]]
    background: dict[str, Float[Tensor, "m c"]] = field(default_factory=dict)
    _moments: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    _strength: dict[str, Tensor] = field(default_factory=dict)

    def moments(self, layer: str) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n c"]]:
        """Mean and deviation of each channel of a layer over places, image by image."""
        if layer not in self._moments:
            each = self.network.looks(self.images, (layer,), lambda seen: moments(seen.maps[layer]))
            means, spreads = zip(*each, strict=True)
            self._moments[layer] = torch.cat(means).detach(), torch.cat(spreads).detach()
        return self._moments[layer]

    def strength(self, layer: str) -> Float[Tensor, " n"]:
        """Mean absolute value of a layer, image by image."""
        if layer not in self._strength:
            self._strength[layer] = self.network.strength(self.images, layer).detach()
        return self._strength[layer]

    def map(self, layer: str, facet: Facet) -> Float[Tensor, "c h w"]:
        """The weighted mean map of a facet's members.

        Raises:
            MethodError: for a layer without a map.
        """
        maps = self.network.look(self.images[list(facet.members)], (layer,), gradient=False).maps[layer].detach()
        if maps.ndim != 4:
            raise MethodError(f"layer {layer!r} has no map, so spatial does not apply: leave it out")
        return torch.einsum("m,mchw->chw", facet.weights.to(maps), maps)


def start_image(image_set: ImageSet, facet: Facet, start: Start) -> Float[Tensor, "c h w"] | None:
    """What the image of a facet begins with: "mean" of its photos, its most typical "photo", or a gray value.

    Returns:
        (c, h, w) in 0..1; None for "noise".

    Raises:
        MethodError: for any other start.
    """
    if start == "noise":
        return None
    if start == "mean":
        return facet.mean(image_set.images)
    if start == "photo":
        return image_set.images[facet.members[0]]
    if isinstance(start, int | float) and 0 <= start <= 1:
        return torch.full_like(image_set.images[0], float(start))
    raise UnknownMethod(f"start={start!r} is unknown: give mean, photo, noise, or a gray value from 0 to 1")


def parametrizations(
    kind: Kind, image_set: ImageSet | None, facet: Facet | None, network: FeatureNetwork
) -> Callable[[Size], Parametrization]:
    """What makes a parametrization of a kind for images of a size.

    Args:
        kind: "fourier", "pixel" or "phase".
        image_set: for "phase", whose photos give the strengths.
        facet: the same, which photos.
        network: for the number of channels and the type of numbers.

    Raises:
        MethodError: for an unknown kind, or "phase" without photos.
    """
    channels = network.normalization.channels
    if kind not in KINDS:
        raise UnknownMethod(f"parametrization={kind!r} is unknown: give {', '.join(KINDS)}")
    if kind != "phase":
        return lambda size: parametrization_of(kind, (channels, *size), network.dtype)
    if image_set is None or facet is None:
        raise MethodError("parametrization='phase' takes the spectrum of photos: give images, or choose fourier")
    members = image_set.images[list(facet.members)]
    return lambda size: Phase.of(at_size(members, size), facet.weights.to(members))
