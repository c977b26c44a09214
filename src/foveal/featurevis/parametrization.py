"""Parametrizations of an image: what is easy to change influences the result.

    pixel      each value is the sigmoid of a parameter
    fourier    parameters are waves, low frequencies weigh more, colors are decorrelated: no preferred frequency
    phase      the amplitude of each wave is that of photos, only its phase is free

(Fourier and colors: Olah et al., Distill 2017. Phase: Fel et al., NeurIPS 2023, arXiv:2306.06805.)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from foveal.errors import UnknownMethod

if TYPE_CHECKING:
    from jaxtyping import Float

Kind: TypeAlias = "Literal['fourier', 'pixel', 'phase']"
KINDS: tuple[Kind, ...] = ("fourier", "pixel", "phase")

# Rows: red, green, blue; columns: brightness and two color differences, as strong as in photos.
COLORS = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]])
EDGE = 1e-3  # photos reach 0 and 1, sigmoids do not


class Parametrization(Protocol):
    """Parameters (k, …) <-> images (k, c, h, w) in 0..1."""

    rate: float

    def noise(self, generator: torch.Generator) -> Tensor:
        """Parameters (…) of an image of noise."""
        ...

    def image(self, parameters: Tensor) -> Float[Tensor, "k c h w"]:
        """The images (k, c, h, w) in 0..1 of parameters (k, …)."""
        ...

    def parameters(self, image: Float[Tensor, "k c h w"]) -> Tensor:
        """The parameters of this image, as far as it has any."""
        ...


class Pixels:
    """One parameter per value."""

    rate = 0.015

    def __init__(self, shape: tuple[int, int, int], dtype: torch.dtype = torch.float32) -> None:
        self.shape, self.dtype = shape, dtype

    def noise(self, generator: torch.Generator) -> Tensor:
        """Parameters of a start image of noise."""
        return 0.1 * torch.randn(self.shape, generator=generator, dtype=self.dtype)

    def image(self, parameters: Tensor) -> Float[Tensor, "k c h w"]:
        """The images of these parameters."""
        return parameters.sigmoid()

    def parameters(self, image: Float[Tensor, "k c h w"]) -> Tensor:
        """The parameters of these images."""
        return image.clamp(EDGE, 1 - EDGE).logit()


class Fourier:
    """Coefficients of the real 2-D Fourier transform, (c, h, w/2 + 1, 2), of decorrelated colors."""

    rate = 0.015

    def __init__(
        self,
        shape: tuple[int, int, int],
        dtype: torch.dtype = torch.float32,
        *,
        decay: float = 1.0,
        noise: float = 0.01,
    ) -> None:
        self.shape, self.dtype, self.deviation = shape, dtype, noise
        frequency = frequencies(shape[1], shape[2], dtype)
        self.scale = (frequency.clamp(min=1 / max(shape[1:])) ** -decay / 4)[..., None].repeat(1, 1, 2)
        self.mix = color_matrix(shape[0], dtype)

    def noise(self, generator: torch.Generator) -> Tensor:
        """Parameters of a start image of noise."""
        c, h, w = self.shape
        return self.deviation * torch.randn((c, h, w // 2 + 1, 2), generator=generator, dtype=self.dtype)

    def image(self, parameters: Tensor) -> Float[Tensor, "k c h w"]:
        """The images of these parameters."""
        self.scale, self.mix = self.scale.to(parameters), self.mix.to(parameters)  # once: the device stays the same
        waves = torch.view_as_complex(parameters * self.scale)
        planes = torch.fft.irfft2(waves, s=self.shape[1:], norm="ortho")
        return mixed(self.mix, planes).sigmoid()

    def parameters(self, image: Float[Tensor, "k c h w"]) -> Tensor:
        """The parameters of these images."""
        planes = mixed(self.mix.inverse(), image.clamp(EDGE, 1 - EDGE).logit())
        waves = torch.view_as_real(torch.fft.rfft2(planes, norm="ortho"))
        return waves / self.scale.to(image)


class Phase:
    """Angles of the waves, (c, h, w/2 + 1); their amplitudes are fixed."""

    rate = 0.03

    def __init__(self, strength: Float[Tensor, "c h w2"], shape: tuple[int, int, int]) -> None:
        self.shape, self.strength = shape, strength
        self.mix = color_matrix(shape[0], strength.dtype)

    @classmethod
    def of(cls, photos: Float[Tensor, "m c h w"], weights: Float[Tensor, " m"]) -> Phase:
        """With the mean amplitudes of these photos."""
        shape = (photos.shape[1], photos.shape[2], photos.shape[3])
        mix = color_matrix(shape[0], photos.dtype)
        planes = mixed(mix.inverse(), photos.clamp(0.02, 0.98).logit())
        strength = torch.fft.rfft2(planes, norm="ortho").abs()
        return cls(torch.einsum("m,mchw->chw", weights.to(photos), strength), shape)

    def noise(self, generator: torch.Generator) -> Tensor:
        """Parameters of a start image of noise."""
        c, h, w = self.shape
        return 2 * math.pi * torch.rand((c, h, w // 2 + 1), generator=generator, dtype=self.strength.dtype)

    def image(self, parameters: Tensor) -> Float[Tensor, "k c h w"]:
        """The images of these parameters."""
        waves = torch.polar(self.strength.to(parameters).expand_as(parameters), parameters)
        planes = torch.fft.irfft2(waves, s=self.shape[1:], norm="ortho")
        return mixed(self.mix, planes).sigmoid()

    def parameters(self, image: Float[Tensor, "k c h w"]) -> Tensor:
        """The parameters of these images."""
        planes = mixed(self.mix.inverse(), image.clamp(EDGE, 1 - EDGE).logit())
        angles: Tensor = torch.fft.rfft2(planes, norm="ortho").angle()
        return angles


def parametrization_of(kind: Kind, shape: tuple[int, int, int], dtype: torch.dtype = torch.float32) -> Parametrization:
    """The parametrization of (c, h, w) images of a kind; "phase" needs photos, see `Phase.of`.

    Raises:
        MethodError: for an unknown kind.
    """
    if kind == "pixel":
        return Pixels(shape, dtype)
    if kind == "fourier":
        return Fourier(shape, dtype)
    raise UnknownMethod(f"there is no parametrization {kind!r}: choose {', '.join(KINDS)}")


def frequencies(h: int, w: int, dtype: torch.dtype = torch.float32) -> Float[Tensor, "h w2"]:
    """Cycles per pixel of each wave of the real transform."""
    y, x = torch.fft.fftfreq(h, dtype=dtype), torch.fft.rfftfreq(w, dtype=dtype)
    length: Tensor = (y[:, None].square() + x[None].square()).sqrt()
    return length


def color_matrix(channels: int, dtype: torch.dtype = torch.float32) -> Float[Tensor, "c c"]:
    """From decorrelated to real colors, no column longer than 1; the identity if there are not three colors."""
    if channels != 3:
        return torch.eye(channels, dtype=dtype)
    scaled: Tensor = COLORS / COLORS.norm(dim=0).max()
    return scaled.to(dtype)


def mixed(matrix: Float[Tensor, "d c"], planes: Float[Tensor, "k c h w"]) -> Float[Tensor, "k d h w"]:
    """Colors through a matrix."""
    colors: Tensor = torch.einsum("dc,kchw->kdhw", matrix.to(planes), planes)
    return colors


def at_size(images: Float[Tensor, "k c h w"], size: tuple[int, int]) -> Float[Tensor, "k c h2 w2"]:
    """Images in another size."""
    if tuple(images.shape[2:]) == tuple(size):
        return images
    return functional.interpolate(images, size, mode="bicubic", antialias=True).clamp(0, 1)
