"""Images to learn from, and their order. What an image looks like in an epoch depends on the seed, the epoch and its
number alone, so that a run can go on from anywhere with any number of workers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset, Sampler

from foveal.images import Preprocessing
from foveal.images.decode import decode_file
from foveal.storage.fingerprint import file_fingerprint

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

    from foveal.training.settings import Settings

Key: TypeAlias = "tuple[int, int]"  # epoch, number; epoch -1 is the image as it is
AS_IT_IS = -1
LUMA = (0.2126, 0.7152, 0.0722)


@dataclass(frozen=True)
class Listed:
    """Images in files.

    Attributes:
        files, targets: one each.
        cameras: before which camera each was taken, where that is known; -1 for images of nobody in particular.
    """

    files: tuple[Path, ...]
    targets: tuple[int, ...]
    cameras: tuple[int, ...] = ()


class PictureDataset(Dataset[tuple[Tensor, Tensor]]):
    """(image (3, h, w), as the network wants it; class, or the probabilities of all) by (epoch, number)."""

    def __init__(self, settings: Settings, preprocessing: Preprocessing, targets: Sequence[int] | Tensor) -> None:
        self.settings, self.preprocessing = settings, preprocessing
        self.targets = targets if isinstance(targets, Tensor) else torch.tensor(targets, dtype=torch.long)
        self.mean = torch.tensor(preprocessing.mean)[:, None, None]
        self.std = torch.tensor(preprocessing.std)[:, None, None]

    def __len__(self) -> int:
        return len(self.targets)

    def pixels(self, number: int) -> UInt8[Tensor, "3 H W"]:
        """The image, its short side as long as crops are taken from."""
        raise NotImplementedError

    def contents(self) -> list[Any]:
        """What tells these images from others: their bytes, and what is to be learned of them."""
        raise NotImplementedError

    def __getitem__(self, key: Key) -> tuple[Float[Tensor, "3 h w"], Tensor]:
        epoch, number = key
        pixels = self.pixels(number).float() / 255
        if epoch == AS_IT_IS:
            seen = _center(pixels, self.preprocessing.size)
        else:
            random = np.random.default_rng([self.settings.seed, epoch, number])
            seen = altered(pixels, self.preprocessing.size, self.settings, random)
        return (seen - self.mean) / self.std, self.targets[number]


class Files(PictureDataset):
    """Images on a disk."""

    def __init__(self, listed: Listed, settings: Settings, preprocessing: Preprocessing) -> None:
        super().__init__(settings, preprocessing, listed.targets)
        self.listed = listed

    def contents(self) -> list[Any]:
        return [self.targets, *map(file_fingerprint, self.listed.files)]

    def pixels(self, number: int) -> UInt8[Tensor, "3 H W"]:
        photo = decode_file(self.listed.files[number]).image.convert("RGB")
        short = self.preprocessing.resize_to or min(self.preprocessing.size)
        ratio = short / min(photo.size)
        size = (max(short, int(photo.width * ratio)), max(short, int(photo.height * ratio)))
        return torch.from_numpy(np.array(photo.resize(size, Image.Resampling.BILINEAR))).permute(2, 0, 1)


class Kept(PictureDataset):
    """Images in memory."""

    def __init__(
        self, images: UInt8[Tensor, "m 3 H W"], targets: Tensor, settings: Settings, preprocessing: Preprocessing
    ) -> None:
        super().__init__(settings, preprocessing, targets)
        self.images = images

    def contents(self) -> list[Any]:
        return [self.targets, self.images]

    def pixels(self, number: int) -> UInt8[Tensor, "3 H W"]:
        return self.images[number]


def altered(
    pixels: Float[Tensor, "3 H W"], size: tuple[int, int], settings: Settings, random: np.random.Generator
) -> Float[Tensor, "3 h w"]:
    """A crop at random, mirrored or not, in another light; in 0..1."""
    h, w = size
    if settings.shift:
        pixels = functional.pad(pixels[None], (settings.shift,) * 4, mode="replicate")[0]
    y, x = (int(random.integers(0, room + 1)) for room in (pixels.shape[1] - h, pixels.shape[2] - w))
    seen = pixels[:, y : y + h, x : x + w]
    if random.random() < settings.flip:
        seen = seen.flip(2)
    light, color = (1 + random.uniform(-reach, reach) for reach in (settings.brightness, settings.saturation))
    if light != 1 or color != 1:
        gray = (seen * torch.tensor(LUMA)[:, None, None]).sum(0, keepdim=True)
        seen = ((gray + (seen - gray) * color) * light).clamp(0, 1)
    return seen


def _center(pixels: Float[Tensor, "3 H W"], size: tuple[int, int]) -> Float[Tensor, "3 h w"]:
    y, x = (round((length - kept) / 2) for length, kept in zip(pixels.shape[1:], size, strict=True))
    return pixels[:, y : y + size[0], x : x + size[1]]


class Batches(Sampler[list[Key]]):
    """Keys of one micro-batch after the other, all epochs through, from any of them on; a process's own share.

    Each epoch has an order of its own; what does not fill a step is left out.
    """

    def __init__(
        self, count: int, batch: int, epochs: int, seed: int, *, micro: int, start: int = 0, rank: int = 0,
        world_size: int = 1,
    ) -> None:  # fmt: skip
        self.count, self.batch, self.epochs, self.seed = count, batch, epochs, seed
        self.micro, self.start, self.rank, self.world_size = micro, start, rank, world_size

    def __len__(self) -> int:
        return self.epochs * self.micro - self.start

    def __iter__(self) -> Iterator[list[Key]]:
        for epoch in range(self.start // self.micro, self.epochs):
            order = torch.randperm(self.count, generator=torch.Generator().manual_seed(1000 * self.seed + epoch))
            own = order[self.rank :: self.world_size].tolist()
            first = self.start % self.micro if epoch == self.start // self.micro else 0
            for number in range(first, self.micro):
                yield [(epoch, i) for i in own[number * self.batch : (number + 1) * self.batch]]


class InOrder(Sampler[list[Key]]):
    """All images as they are, a batch after the other; a process's own share."""

    def __init__(self, count: int, batch: int, *, rank: int = 0, world_size: int = 1) -> None:
        self.numbers, self.batch = list(range(rank, count, world_size)), batch

    def __len__(self) -> int:
        return -(-len(self.numbers) // self.batch)

    def __iter__(self) -> Iterator[list[Key]]:
        for start in range(0, len(self.numbers), self.batch):
            yield [(AS_IT_IS, i) for i in self.numbers[start : start + self.batch]]
