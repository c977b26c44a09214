"""Splits as torch data sets: normalized tensors, drawn in as many worker processes as the loader has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.utils.data import Dataset

from foveal.images import Preprocessing
from foveal.synthetic.splits import Split

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
PREPROCESSING = Preprocessing((160, 160), resize="short", mean=MEAN, std=STD)
"""What all networks of the drawn world expect."""
LICENSE = "MIT, as foveal; trained on drawn images only"


class SplitDataset(Dataset[tuple[Tensor, int]]):
    """(image (3, h, w) uint8, target) for each scene of a split."""

    def __init__(self, split: Split) -> None:
        self.split = split

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[UInt8[Tensor, "3 h w"], int]:
        example = self.split[index]
        return torch.from_numpy(example.image).permute(2, 0, 1).contiguous(), example.target


def normalized(images: UInt8[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    """Images normalized as the demo networks need them: (pixel / 255 − mean) / std."""
    mean = torch.tensor(MEAN, device=images.device)[:, None, None]
    std = torch.tensor(STD, device=images.device)[:, None, None]
    return (images.float() / 255 - mean) / std
