"""Score-CAM's masks: the channels of an activation, laid over the input."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from foveal.engine.precision import PRECISIONS
from foveal.errors import MethodError
from foveal.images.place import LINEAR, laid
from foveal.methods.axes import behind_first

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from foveal.attribution.perturbation import PerturbationScorer
    from foveal.engine.precision import Precision

SAMPLE = 16
"""On so many masks an approximation is held against the exact score."""

Alter = Callable[[Tensor, Tensor], Tensor]
"""Masks (k, 1, *space) and their numbers (k,) -> the masks that are used instead."""


class MaskSet:
    """One image behind masks of values 0 … 1, each made of an activation when its turn comes.

    Attributes:
        A: (c, *space), the activation, in single precision at least.
        channels: numbers of those that differ from place to place; a constant one masks nothing, and has no scale.
    """

    def __init__(
        self, probe: PerturbationScorer, scaling: str, align_corners: bool, precision: Precision, chunk: int | None
    ) -> None:
        """
        Args:
            scaling: to 0 … 1 "after" upsampling to the input, so that the mask reaches both, or "before" it.
            align_corners: whether the centers of the corner cells lie on those of the corner pixels.
            precision: of the forwards; if it is "bfloat16", the scores of a sample are compared.
        """
        if scaling not in ("before", "after"):
            raise MethodError(f"cannot scale masks {scaling!r} upsampling: say scaling=after or scaling=before")
        if precision not in PRECISIONS:
            raise MethodError(f"cannot run forward passes in {precision!r}: say float32, bfloat16 or auto")
        self.A = A = single(probe.A[0])
        self.channels: Int[Tensor, " v"] = (A.flatten(1).amax(1) > A.flatten(1).amin(1)).nonzero()[:, 0]
        self._probe, self._chunk, self._precision = probe, chunk, precision
        self._scaling, self._align_corners = scaling, align_corners
        self._place = None if align_corners else probe.place
        if self._place:
            probe.cautions.append(
                "masks cover the cells at their exact position; masks from edge to edge, as published, miss them"
            )

    def scores(
        self, planes: Float[Tensor, " m *space"], alter: Alter | None = None, times: int = 1
    ) -> Float[Tensor, " m"]:
        """The score of the image behind the mask that each plane makes, averaged over `times` alterations of it."""

        def copies(start: int, stop: int) -> Tensor:
            numbers = torch.arange(start, stop, device=planes.device)
            masks = self.of(planes[numbers // times])
            return self._probe.x * (alter(masks, numbers % times) if alter else masks).to(self._probe.x.dtype)

        count = len(planes) * times
        scores = self._probe.scores(copies, count, chunk=self._chunk, precision=self._precision)
        if self._precision == "bfloat16":
            chosen = sample(count)
            again = torch.cat([copies(i, i + 1) for i in chosen])
            exact = self._probe.scores(lambda a, b: again[a:b], len(chosen), shown=False)
            measure(self._probe, self._precision, scores[chosen], exact)
        return scores.to(self.A).view(-1, times).mean(1)

    def of(self, planes: Float[Tensor, " k *space"]) -> Float[Tensor, "k 1 *space"]:
        """The masks that planes make."""
        M = planes[:, None]
        return self._upsampled(scaled(M)) if self._scaling == "before" else scaled(self._upsampled(M))

    def _upsampled(self, M: Float[Tensor, "k 1 *space"]) -> Float[Tensor, "k 1 *space"]:
        if self._align_corners:
            return interpolate(M, self._probe.x.shape[2:], mode=LINEAR[self._probe.x.ndim - 2], align_corners=True)
        return laid(M, self._probe.x.shape[2:], self._place, beyond=True)


def scaled(M: Float[Tensor, " m *space"]) -> Float[Tensor, " m *space"]:
    """From 0 to 1, each map by itself; zero where it is constant."""
    low, high = M.amin(behind_first(M), keepdim=True), M.amax(behind_first(M), keepdim=True)
    return (M - low) / (high - low).where(high > low, 1)


def single(tensor: Tensor) -> Tensor:
    """In single precision at least."""
    return tensor.float() if tensor.dtype.itemsize < 4 else tensor


def sample(count: int) -> list[int]:
    """A few of `count` numbers, spread evenly."""
    return [int(i) for i in torch.linspace(0, count - 1, min(count, SAMPLE))]


def measure(probe: PerturbationScorer, what: str, estimated: Float[Tensor, " s"], exact: Float[Tensor, " s"]) -> None:
    """How far scores that were found in a cheaper way are from exact ones, on a sample.

    The error of a score as a share of the scores' spread, and that of the weights, softmax over the sample, as the
    share of weight that ends up on another channel.
    """
    estimated, exact = estimated.cpu().double(), exact.cpu().double()
    error = (estimated - exact - (estimated - exact).mean()).square().mean().sqrt()
    spread = (exact - exact.mean()).square().mean().sqrt()
    misplaced = (estimated.softmax(0) - exact.softmax(0)).abs().sum() / 2
    probe.measured[f"{what} score error"] = float(error / spread) if spread > 0 else 0.0
    probe.measured[f"{what} weight misplaced"] = float(misplaced)
