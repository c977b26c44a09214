"""Ranked groups of similar positions, without parameters: the attention of BR-NPA.

    σ¹_p = n_p = |f_p|                                                          activity of position p
    for k = 1 … N
        π_k  = argmax_p σᵏ_p                                                    the most active position left (1)
        sᵏ_p = cos(f_p, f_πₖ)                                                   similarity to it              (2)
        aᵏ_p = sᵏ_p / Σ_q sᵏ_q                                                  map k                         (3)
        v_k  = Σ_p aᵏ_p f_p                                                     vector k                      (4)
        σᵏ⁺¹_p = (1 − sᵏ_p) σᵏ_p                                                residual activity             (5)

(Gomez, Ling, Fréour, Mouchère: Pattern Recognition, 2022, arXiv:2106.02566.) All images and all positions are computed
at once; only the recurrence over k is a loop. Similarities are clamped to 0..1. After a ReLU this changes nothing; with
signed features it keeps the maps distributions. Everything is computed in single precision or higher, because a seed
can depend on the last digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch
from torch import Tensor

from foveal.errors import MethodError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

Seeds: TypeAlias = "Literal['activity', 'random'] | Tensor"
Choice: TypeAlias = Literal["hard", "soft", "straight_through"]
TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Groups:
    """The groups of n feature maps; shapes are for maps of h × w positions, other numbers of axes work in the same way.

    Attributes:
        vectors: (n, k, c), v; in the features' own precision.
        maps: (n, k, h, w), a; each at least 0 with sum 1.
        alike: (n, k, h, w), s, in 0..1: how much each position belongs to the group.
        norm: (n, h, w), the activity of each position.
        seeds: (n, k), π, as indices into the h·w positions.
        scores: (n, k), σᵏ at the seed: never higher than for the slot before.
        gaps: (n, k), how far σ at the seed is above the next position, as a share of the largest σ¹: if this is
            below the rounding error, several positions are equally good seeds.
        sizes: (n, k), Σ_p s: how many positions the group has.
        used: (n, k), false for empty slots; their map and vector are zero.
    """

    vectors: Float[Tensor, "n k c"]
    maps: Float[Tensor, "n k h w"]
    alike: Float[Tensor, "n k h w"]
    norm: Float[Tensor, "n h w"]
    seeds: Int[Tensor, "n k"]
    scores: Float[Tensor, "n k"]
    gaps: Float[Tensor, "n k"]
    sizes: Float[Tensor, "n k"]
    used: Bool[Tensor, "n k"]

    @property
    def display(self) -> Float[Tensor, "n k h w"]:
        """a ⊙ n, the maps to draw: the share of each position in its group times its activity; a itself is flat."""
        return self.maps * self.norm[:, None]

    @property
    def unseen(self) -> Float[Tensor, "n h w"]:
        """1 − max_k s: positions that are similar to no seed."""
        return 1 - self.alike.clamp(0, 1).amax(1)

    @property
    def shares(self) -> Float[Tensor, "n k+1 h w"]:
        """Each position divided among the slots in their order, and the rest; sums to 1 over k.

        Slot k takes sᵏ of what slots 1 … k − 1 left, so that the rest is Π_k (1 − sᵏ) = σᴺ⁺¹ / n.
        """
        s = self.alike.clamp(0, 1) * self.used.to(self.alike).view(*self.used.shape, *[1] * (self.alike.ndim - 2))
        left = (1 - s).cumprod(1)
        before = torch.cat([torch.ones_like(left[:, :1]), left[:, :-1]], 1)
        return torch.cat([before * s, left[:, -1:]], 1)


@dataclass(frozen=True)
class Grouping:
    """Finds groups; the defaults are the published ones.

        groups = Grouping(count=3)(torch.rand(8, 512, 14, 14))
        groups.vectors.shape, groups.maps.shape            # (8, 3, 512), (8, 3, 14, 14)

    Attributes:
        count: N, the number of groups.
        refine: the vector is the mean over the group (4); if not, the seed's own, f_πₖ.
        power: the exponent of s in (3) and (5); above 1, groups are tighter.
        sharpness: c; the map is softmax_p(c sᵏ_p) instead of (3). None for (3).
        allow_negative: similarities are not clamped, as in the authors' program. Maps of signed features can then
            be negative or zero.
        choice: "hard" as published; "soft", the seed is a mean over positions with the weights softmax(σ / (τ max σ));
            "straight_through", hard with the gradient of soft.
        temperature: τ.
        threshold: a slot stays empty if its largest σ is at most this share of the first slot's: if all positions
            of a map are alike, only rounding errors are left.
        epsilon: added to n, in (1) and (2): 1e-5 in the authors' program.
    """

    count: int = 3
    refine: bool = True
    power: float = 1.0
    sharpness: float | None = None
    allow_negative: bool = False
    choice: Choice = "hard"
    temperature: float = 0.01
    threshold: float = 1e-5
    epsilon: float = 0.0

    def __post_init__(self) -> None:
        if self.count < 1 or self.power <= 0 or self.temperature <= 0 or not 0 <= self.threshold < 1:
            raise MethodError(
                "Grouping needs count >= 1, power > 0, temperature > 0 and 0 <= threshold < 1, but got "
                f"count={self.count}, power={self.power}, temperature={self.temperature}, threshold={self.threshold}"
            )
        if self.choice not in ("hard", "soft", "straight_through"):
            raise MethodError(f"choice={self.choice!r} is unknown: give 'hard', 'soft' or 'straight_through'")

    def __call__(
        self, F: Float[Tensor, "n c h w"], *, seeds: Seeds = "activity", generator: torch.Generator | None = None
    ) -> Groups:
        """The groups of n feature maps, of two axes or any other number.

        Args:
            seeds: "activity" as above; "random" positions, by `generator`; or (n, count) indices of positions.

        Raises:
            MethodError: for input that is not a feature map, or indices that do not fit.
        """
        if F.ndim < 3 or 0 in F.shape or not F.is_floating_point():
            raise MethodError(f"Grouping needs feature maps (n, c, h, w), but got {F.dtype} {tuple(F.shape)}")
        given = _given(seeds, (len(F), self.count), F[0, 0].numel(), generator)
        with torch.autocast(F.device.type, enabled=False):
            f = (F.float() if F.dtype.itemsize < 4 else F).flatten(2)
            n = _length(f)
            # σ matters for the choice alone, which has no derivative where it is hard: seeds first, then all at once.
            with torch.set_grad_enabled(torch.is_grad_enabled() and self.choice != "hard"):
                steps = list(self._steps(f, n + self.epsilon, given))
            s, π, σ, gap, used = (torch.stack(each, 1) for each in zip(*steps, strict=True))
            hard = _at(f, π)
            if self.choice == "hard" and torch.is_grad_enabled() and f.requires_grad:
                s = self._similarities(f, n + self.epsilon, hard) * used[..., None]
            a = self._attention(s) * used[..., None]
            v = torch.bmm(a, f.mT) if self.refine else hard * used[..., None]
            v = torch.where((s != 0).any(2, keepdim=True), v, 0)
        cells = (len(F), self.count, *F.shape[2:])
        norm = n.view(len(F), *F.shape[2:])
        return Groups(v.to(F.dtype), a.view(cells), s.view(cells), norm, π, σ, gap, s.sum(2), used)

    def _steps(
        self, f: Float[Tensor, "n c p"], n: Float[Tensor, "n p"], given: Tensor | None
    ) -> Iterator[tuple[Tensor, ...]]:
        """(s, π, σ at π, gap, used) of one slot after the other; nothing waits for the device."""
        activity, first = n, n.detach().amax(1)
        for k in range(self.count):
            most = activity.detach().topk(min(2, activity.shape[1]), dim=1).values
            seed = activity.detach().argmax(1) if given is None else given[:, k].to(f.device)
            reached = activity.detach().gather(1, seed[:, None])[:, 0]
            used = most[:, 0] > self.threshold * first if k else torch.ones_like(first, dtype=torch.bool)
            s = self._similarities(f, n, self._chosen(f, n, activity, seed[:, None]))[:, 0] * used[:, None]
            yield s, seed, reached, (most[:, 0] - most[:, -1]) / first.clamp(min=TINY), used
            activity = (1 - s) * activity

    def _chosen(
        self, f: Float[Tensor, "n c p"], n: Float[Tensor, "n p"], activity: Float[Tensor, "n p"], seed: Tensor
    ) -> Float[Tensor, "n 1 c"]:
        """What places are compared with: the seed's features, or the soft choice."""
        hard = _at(f, seed)
        if self.choice == "hard":
            return hard
        weights = (activity / (self.temperature * activity.amax(1, keepdim=True).clamp(min=TINY))).softmax(1)
        soft = torch.bmm((weights * _inverse(n))[:, None], f.mT)
        if self.choice == "soft":
            return soft
        of_length_one = [v * _inverse(torch.linalg.vector_norm(v, dim=2, keepdim=True)) for v in (hard, soft)]
        return of_length_one[1] + (of_length_one[0] - of_length_one[1]).detach()

    def _similarities(
        self, f: Float[Tensor, "n c p"], n: Float[Tensor, "n p"], chosen: Float[Tensor, "n k c"]
    ) -> Float[Tensor, "n k p"]:
        """s (2), of all places with each choice."""
        direction = chosen * _inverse(_length(chosen.mT) + self.epsilon)[..., None]
        s = torch.bmm(direction, f) * _inverse(n)[:, None]
        s = s if self.allow_negative else s.clamp(0, 1)
        return s if self.power == 1 else s.sign() * s.abs().pow(self.power)

    def _attention(self, s: Float[Tensor, "n k p"]) -> Float[Tensor, "n k p"]:
        """a (3); the same everywhere where nothing is like the seed, which is a map of zeros."""
        if self.sharpness is not None:
            return (self.sharpness * s).softmax(2)
        total = s.sum(2, keepdim=True)
        empty = total.abs() <= TINY
        return torch.where(empty, 1 / s.shape[2], s / torch.where(empty, 1, total))


def _length(f: Float[Tensor, "n c p"]) -> Float[Tensor, "n p"]:
    """|f_p|, whose gradient at 0 is 0 rather than no number; a sum of squares takes half the time of torch's norm."""
    squares = f.square().sum(1)
    alive = squares > 0
    return torch.where(alive, torch.where(alive, squares, 1).sqrt(), 0)


def _inverse(n: Tensor) -> Tensor:
    """1 / n, and 0 where n is: a place without activity resembles nothing and takes no gradient."""
    return torch.where(n > TINY, 1 / n.clamp(min=TINY), 0)


def _at(f: Float[Tensor, "n c p"], places: Int[Tensor, "n k"]) -> Float[Tensor, "n k c"]:
    return f.gather(2, places[:, None].expand(-1, f.shape[1], -1)).mT


def _given(seeds: Seeds, shape: tuple[int, int], places: int, generator: torch.Generator | None) -> Tensor | None:
    """Indices of places; None where they are to be found by activity."""
    if isinstance(seeds, str):
        if seeds == "random":
            return torch.randint(places, shape, generator=generator)
        if seeds == "activity":
            return None
        raise MethodError(f"seeds={seeds!r} is unknown: give 'activity', 'random' or a tensor of indices")
    fits = seeds.shape == shape and not seeds.is_floating_point() and bool(((seeds >= 0) & (seeds < places)).all())
    if not fits:
        raise MethodError(
            f"seeds for {shape[0]} maps must be {shape} indices below {places}, the number of positions, but got "
            f"{seeds.dtype} {tuple(seeds.shape)}"
        )
    return seeds
