"""Infidelity: does the map foretell how far the score falls when positions are perturbed at random?

    INFD = E_I [ (β ⟨I, Φ⟩ − (f(x) − f(x − I)))² ],     β = E[⟨I, Φ⟩ Δf] / E[⟨I, Φ⟩²]

(Yeh et al., NeurIPS 2019, arXiv:1901.09392; specification: metrics, section 9.) Maps of the CAM family have no unit,
so β puts them on the score's. A map of one channel counts a C-th for each of C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from foveal.errors import MethodError
from foveal.images.place import Place, laid
from foveal.metrics.asking import AlteredCopies, Answers, Ask, Experiment, whole_score
from foveal.metrics.baselines import Fill, baseline, fill_key
from foveal.metrics.statistics import pearson

if TYPE_CHECKING:
    from jaxtyping import Float

SIDE = 4  # hidden squares are a quarter of the image wide
PRIME = 100_003  # seeds of perturbations lie apart


@dataclass(frozen=True, eq=False)
class Infidelity:
    """k perturbations: what the map says they cost, and what they do cost; (k,) each."""

    expected: Float[Tensor, " k"]
    lost: Float[Tensor, " k"]

    @property
    def scale(self) -> float:
        """β; 0 where the map says nothing."""
        square = float((self.expected**2).mean())
        return float((self.expected * self.lost).mean()) / square if square > 0 else 0.0

    @property
    def value(self) -> float:
        """With the best scale β, in the score's unit squared; lower is better."""
        return float(((self.scale * self.expected - self.lost) ** 2).mean())

    @property
    def unscaled(self) -> float:
        """With the map as it is."""
        return float(((self.expected - self.lost) ** 2).mean())

    @property
    def correlation(self) -> float:
        """Pearson's, of what is said with what is lost, −1 to 1, higher is better (Bhatt et al., IJCAI 2020)."""
        return pearson(self.expected.numpy(), self.lost.numpy())


def infidelity(
    ask: Ask,
    x: Float[Tensor, "1 c h w"],
    map: Float[Tensor, "h2 w2"] | Float[Tensor, "c h w"],
    *,
    by: Literal["hiding", "noise"] = "hiding",
    samples: int = 64,
    noise: float = 0.2,
    fill: Fill = "blur",
    whole: float | None = None,
    chunk: int | None = None,
    seed: int = 0,
    place: Place | None = None,
) -> Infidelity:
    """Random perturbations of one image, and what the map says of them.

    Args:
        map: interpolated to the image's size; or (c, h, w), an attribution of every value.
        by: "hiding", squares are replaced, one to four at once, and a map of contributions says the sum over them;
            "noise", I is normal noise, and a map of derivatives says ⟨I, Φ⟩.
        noise: its deviation, in the network's units.
        fill: what the squares show.
        whole: the score of the image as it is, where it is known.
        place: where the map's cells lie on the image; None is edge to edge.
    """
    experiment = perturbing(x, map, by=by, samples=samples, noise=noise, fill=fill, seed=seed, place=place)
    return Answers(ask, x, whole=whole, chunk=chunk).of(experiment)


def perturbing(
    x: Float[Tensor, "1 c h w"],
    map: Float[Tensor, "h2 w2"] | Float[Tensor, "c h w"],
    *,
    by: Literal["hiding", "noise"] = "hiding",
    samples: int = 64,
    noise: float = 0.2,
    fill: Fill = "blur",
    seed: int = 0,
    place: Place | None = None,
) -> Experiment[Infidelity]:
    """The experiment of `infidelity`; the perturbations do not depend on the map."""
    if len(x) != 1 or map.ndim not in (2, 3) or not bool(torch.isfinite(map).all()):
        raise MethodError(f"infidelity takes one image and a finite map, not {tuple(x.shape)}, {tuple(map.shape)}")
    if samples < 2:
        raise MethodError(f"infidelity is a mean over perturbations: use at least two, not {samples}")
    Phi = spread(map, x, place).double()
    empty = baseline(x, fill, seed=seed)

    def drawn(number: int) -> Tensor:
        # Each perturbation has a seed of its own, so that none depends on how many are asked at once.
        random = torch.Generator().manual_seed(seed * PRIME + number)
        if by == "hiding":
            return squares(x, random)
        return noise * torch.randn(x.shape[1:], generator=random, device="cpu").to(x)[None]

    def perturbed(numbers: Sequence[int]) -> Tensor:
        weights = torch.cat([drawn(number) for number in numbers])
        return torch.where(weights > 0, empty, x) if by == "hiding" else x - weights

    whole = yield from whole_score(x)
    how = (by, fill_key(fill, seed)) if by == "hiding" else (by, noise)
    scores = yield AlteredCopies([(*how, seed, number) for number in range(samples)], perturbed, exact=True)
    expected = torch.stack([(drawn(number).double() * Phi).sum() for number in range(samples)])
    return Infidelity(expected.cpu(), whole - scores)


def spread(
    map: Float[Tensor, "h w"] | Float[Tensor, "c h w"], x: Float[Tensor, "1 c h w"], place: Place | None = None
) -> Float[Tensor, "1 c h w"]:
    """The map in the image's shape; its sum over channels and cells stays the mean evidence of each pixel."""
    planes = map.detach().to(x)[None] if map.ndim == 3 else map.detach().to(x)[None, None]
    grown = laid(planes, x.shape[2:], place)
    return grown / x.shape[1] if map.ndim == 2 else grown


def squares(x: Float[Tensor, "1 c h w"], random: torch.Generator) -> Float[Tensor, "1 c h w"]:
    """1 where one to four squares at random lie, else 0."""
    h, w = x.shape[2:]
    side = max(1, min(h, w) // SIDE)
    made = torch.zeros(1, 1, h, w)
    for _ in range(int(torch.randint(1, 5, (1,), generator=random))):
        top = int(torch.randint(0, h - side + 1, (1,), generator=random))
        left = int(torch.randint(0, w - side + 1, (1,), generator=random))
        made[..., top : top + side, left : left + side] = 1
    return made.to(x).expand_as(x)
