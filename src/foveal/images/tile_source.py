"""A picture of any size, of which a tile at a time becomes network input."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from foveal.errors import ImageError
from foveal.images.coordinates import coarser
from foveal.images.geometry import Geometry
from foveal.images.load import Photo, _decoded, _is_input, _photo_of_input
from foveal.images.selection import TO_LOOK_AT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jaxtyping import Float
    from numpy.typing import NDArray

    from foveal.images.load import OneImage
    from foveal.images.preprocessing import Preprocessing

DRAWN = 2048  # pixels of the long side of what is drawn


@dataclass(frozen=True, eq=False)
class TileSource:
    """One picture as it was read: 8 bits a channel, or real numbers where the file has more, or a network's input.

    Attributes:
        pixels: a PIL image, an array (H, W, c) in 0..1, or a tensor (c, H, W) that is network input as it is.
        preprocessing: how a tile becomes input; None for tensors.
        source: where it is from.
        notes: what had to be decided to read it.
        shown: the picture to look at, small enough to draw; None of tensors.
        origin: where its pixels lie in space, as its file says.
    """

    pixels: Image.Image | NDArray[np.float32] | torch.Tensor
    preprocessing: Preprocessing | None
    source: str
    notes: tuple[str, ...] = ()
    shown: Image.Image | None = None
    origin: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, image: OneImage, preprocessing: Preprocessing | None) -> TileSource:
        """The picture, read.

        Raises:
            ImageError: where it cannot be read, or nothing is known of how a tile becomes input.
        """
        if _is_input(image):
            pixels = image[0] if image.ndim == 4 and len(image) == 1 else image
            if pixels.ndim != 3:
                raise ImageError(f"tiles are of one image (c, h, w), not of a tensor {tuple(image.shape)}")
            return cls(pixels, preprocessing, "tensor")
        decoded, source = _decoded(image, preprocessing.selection if preprocessing else TO_LOOK_AT)
        if preprocessing is None:
            raise ImageError(
                f"Cannot make network input from tiles of {source!r}: the preprocessing of the network is not known; "
                "pass preprocessing=foveal.Preprocessing(size=(h, w), …)."
            )
        small = decoded.image.reduce(_factor(decoded.image.size))
        notes = (*decoded.notes, *preprocessing.notes(decoded.source))
        exact = replace(preprocessing, resize="exact", resize_to=None)
        return cls(decoded.source, exact, source, notes, small, decoded.origin)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        if isinstance(self.pixels, Image.Image):
            return self.pixels.height, self.pixels.width
        shape = self.pixels.shape
        return (shape[1], shape[2]) if isinstance(self.pixels, torch.Tensor) else (shape[0], shape[1])

    def tile(self, top: int, left: int, side: tuple[int, int]) -> Float[torch.Tensor, "c h w"]:
        """The tile (h, w) from this pixel on, as the network's input; the edge goes on where it reaches beyond."""
        rows, columns = (
            (at, min(at + length, whole), max(0, at + length - whole))
            for at, length, whole in zip((top, left), side, self.size, strict=True)
        )
        beyond = (0, rows[2]), (0, columns[2])
        if isinstance(self.pixels, torch.Tensor):
            inside = self.pixels[:, rows[0] : rows[1], columns[0] : columns[1]]
            below, right = inside[:, -1:].expand(-1, rows[2], -1), columns[2]
            inside = torch.cat((inside, below), 1)
            return torch.cat((inside, inside[:, :, -1:].expand(-1, -1, right)), 2)
        assert self.preprocessing is not None
        if isinstance(self.pixels, Image.Image):
            crop = np.asarray(self.pixels.crop((columns[0], rows[0], columns[1], rows[1])))
            return torch.from_numpy(self.preprocessing.apply(Image.fromarray(_edged(crop, beyond))))
        deep = self.pixels[rows[0] : rows[1], columns[0] : columns[1]]
        return torch.from_numpy(self.preprocessing.apply(_edged(deep, beyond)))

    def check_side(self, side: tuple[int, int]) -> None:
        """Refuse tiles (h, w) of which the network would not be shown all.

        Raises:
            ImageError: where a transform crops or pads them.
        """
        if self.preprocessing is None or not self.preprocessing.transform:
            return
        h, w = side
        x0, y0, x1, y1 = self.preprocessing.geometry(side).boxes_to_photo([0, 0, *self.preprocessing.size[::-1]])
        if max(abs(x0), abs(y0), abs(x1 - w), abs(y1 - h)) > 0.5:
            raise ImageError(
                f"Cannot cut tiles of {w}×{h}: the transform crops or pads them; choose another side, or declare size, "
                "mean and std instead of it."
            )

    def photo(self) -> Photo:
        """What explanations are drawn on: the picture, each side a whole number of times smaller where it is large."""
        h, w = self.size
        factor = self.factor
        if isinstance(self.pixels, torch.Tensor):
            thin = self.pixels[:, ::factor, ::factor]
            shown = _photo_of_input(thin, self.preprocessing, 2)
            pixels, notes = shown.pixels, shown.notes
        else:
            pixels, notes = np.array(self.shown), self.notes
        if factor > 1:
            notes = (*notes, f"drawn {factor} times smaller than its {w}×{h} pixels")
        drawn = pixels.shape[0], pixels.shape[1]
        geometry = Geometry(drawn, (h, w), (h / drawn[0], w / drawn[1]), (0.0, 0.0))
        return Photo(pixels, geometry, self.source, notes, coarser(self.origin, geometry.scale))

    @property
    def factor(self) -> int:
        """How many times smaller the picture is drawn."""
        return _factor(self.size)


def _factor(sides: tuple[int, int]) -> int:
    return max(1, -(-max(sides) // DRAWN))


def _edged(pixels: NDArray[Any], beyond: tuple[tuple[int, int], tuple[int, int]]) -> NDArray[Any]:
    return np.pad(pixels, (*beyond, *[(0, 0)] * (pixels.ndim - 2)), mode="edge")
