"""Between images, RGB or gray in 0..1, and what the network takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.errors import ImageError

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.images import Preprocessing


@dataclass(frozen=True, eq=False)
class Normalization:
    """input = (image − mean) / std, with the channels in the network's order.

    Attributes:
        size: (h, w) the network is usually given.
        mean, std: (c,), in the network's order.
        reverse: the network takes blue first.
    """

    size: tuple[int, int]
    mean: Float[Tensor, " c"]
    std: Float[Tensor, " c"]
    reverse: bool = False

    @classmethod
    def of(cls, preprocessing: Preprocessing | None, x: Float[Tensor, "n c h w"] | None) -> Normalization:
        """As photos are prepared; without preprocessing, 0 and 1 are the least and greatest of each channel of x.

        Raises:
            ImageError: when neither is known.
        """
        if preprocessing is not None:
            mean, std = torch.tensor(preprocessing.mean), torch.tensor(preprocessing.std)
            size = preprocessing.size if x is None else (x.shape[2], x.shape[3])
            return cls(size, mean, std, preprocessing.channels == "BGR")
        if x is None:
            raise ImageError(
                "Cannot make images for a network whose preprocessing is not known: pass "
                "preprocessing=foveal.Preprocessing(…), a model from foveal.load_model, or example inputs."
            )
        low, high = x.detach().amin((0, 2, 3)).cpu(), x.detach().amax((0, 2, 3)).cpu()
        return cls((x.shape[2], x.shape[3]), low, torch.where(high > low, high - low, 1.0))

    @property
    def channels(self) -> int:
        """How many channels images have."""
        return len(self.mean)

    def to_input(self, images: Float[Tensor, "k c h w"]) -> Float[Tensor, "k c h w"]:
        """What the network takes."""
        ordered = images.flip(1) if self.reverse else images
        return (ordered - self._of(self.mean, images)) / self._of(self.std, images)

    def from_input(self, x: Float[Tensor, "k c h w"]) -> Float[Tensor, "k c h w"]:
        """The images that these inputs show."""
        ordered = (x * self._of(self.std, x) + self._of(self.mean, x)).clamp(0, 1)
        return ordered.flip(1) if self.reverse else ordered

    def _of(self, numbers: Tensor, like: Tensor) -> Tensor:
        return numbers.to(like).view(1, -1, 1, 1)
