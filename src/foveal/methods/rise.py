"""RISE: the mean score of the image behind random masks that show a pixel."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from foveal.attribution.method import Method
from foveal.errors import MethodError
from foveal.images.place import LINEAR
from foveal.methods.masks import single

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.attribution.perturbation import PerturbationScorer
    from foveal.engine.precision import Precision


def rise(
    probe: PerturbationScorer,
    *,
    count: int = 1000,
    cells: int = 7,
    probability: float = 0.5,
    centered: bool = True,
    seed: int = 0,
    precision: Precision = "float32",
    chunk: int | None = None,
) -> Float[Tensor, "*space"]:
    """1/(p N) Σ_i f(x ⊙ M_i) M_i(λ) over N random masks   (equation 6): the mean of f where λ is shown.

    A grid of `cells` × `cells`, each lit with probability p, is upsampled and shifted by part of a cell. That mean is
    mostly the mean over all masks, the same at every pixel; `centered` subtracts it, so that 0 is a pixel of no
    consequence, and with it the noise of how often chance shows a pixel.
    """
    if not 0 < probability < 1 or count < 2 or cells < 1:
        raise MethodError(f"cannot draw {count} masks of {cells}×{cells} cells lit with probability {probability}")
    A = probe.A
    masks = RandomMasks(tuple(A.shape[2:]), cells, probability, seed)

    def masked(start: int, stop: int) -> Tensor:
        return A * masks(start, stop).to(A)

    f = probe.resumed(masked, count, chunk=chunk, precision=precision).cpu().double()
    # Of centered scores, masks less their mean have the same sum; and these are the terms that vary.
    middle, f = (probability, f - f.mean()) if centered else (0, f)
    total, squares = (torch.zeros(A.shape[2:], dtype=torch.float64, device="cpu") for _ in range(2))
    for i, y in enumerate(f):
        term = y * (masks(i, i + 1)[0, 0] - middle) / probability
        total, squares = total + term, squares + term**2
    mean = total / count
    _tell(probe, mean, error=((squares / count - mean**2).clamp(min=0) / (count - 1)).sqrt())
    return mean.to(single(A))


def _tell(probe: PerturbationScorer, mean: Float[Tensor, "*space"], error: Float[Tensor, "*space"]) -> None:
    """How sure the estimate is: its standard error, and the same as a share of how much the map varies."""
    noise, spread = float(error.square().mean().sqrt()), float(mean.std(correction=0))
    probe.measured["standard error"] = noise
    probe.measured["standard error of spread"] = noise / spread if spread > 0 else 0.0
    if noise > spread / 2:
        probe.cautions.append(
            f"much of this map is chance: its standard error is {noise:.2g} and its variation {spread:.2g}; "
            "use a higher count"
        )


class RandomMasks:
    """Random masks, each a function of the seed and its number."""

    def __init__(self, size: tuple[int, ...], cells: int, probability: float, seed: int) -> None:
        if len(size) not in LINEAR:
            raise MethodError(f"RISE masks inputs of one to three axes behind the channels, and these have {len(size)}")
        self._size, self._cells, self._probability, self._seed = size, cells, probability, seed
        self._cell = tuple(ceil(side / cells) for side in size)

    def __call__(self, start: int, stop: int) -> Float[Tensor, "k 1 *space"]:
        return torch.stack([self._mask(i) for i in range(start, stop)])

    def _mask(self, number: int) -> Tensor:
        seed = torch.Generator().manual_seed(2**20 * self._seed + number)
        corners = [self._cells + 1] * len(self._size)
        grid = torch.rand(1, 1, *corners, generator=seed, device="cpu") < self._probability
        shift = [int(torch.randint(cell, (), generator=seed, device="cpu")) for cell in self._cell]
        whole = [(self._cells + 1) * cell for cell in self._cell]
        large = interpolate(grid.float(), whole, mode=LINEAR[len(whole)], align_corners=False)
        shown = tuple(slice(at, at + side) for at, side in zip(shift, self._size, strict=True))
        return large[0][(slice(None), *shown)]


FAMILY = (
    Method(
        "rise", "RISE", rise, "forwards",
        "the score when random masks show a pixel; minus its mean, an estimate with a standard error",
        "Petsiuk et al., BMVC 2018, arXiv:1806.07421",
        place="input",
        options={
            "count": 1000, "cells": 7, "probability": 0.5, "centered": True, "seed": 0, "precision": "float32",
            "chunk": None,
        },
        cost="1000",
    ),
)  # fmt: skip
