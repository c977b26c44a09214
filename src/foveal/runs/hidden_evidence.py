"""What the images of a group lose when the evidence they share is hidden, and what others of their class lose.

Hidden is, in each image, the least area that holds most of the evidence of the group's channels. There the image gets
the pixels that other images of the class, outside of the group, have at that place: whatever most images of the class
show stays, and what only the group shows goes. The same is done to the other images, with their own evidence of the
same channels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from foveal.attribution.channel_sums import channel_sums
from foveal.attribution.passes import decided
from foveal.attribution.prepare import prepare
from foveal.errors import ImageError
from foveal.images.place import Place, laid
from foveal.metrics.curves import ranks
from foveal.targets import Class

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from numpy.typing import NDArray

    from foveal.attribution.context import Context
    from foveal.models.model import Model
    from foveal.runs.result import Run

HOLDS = 0.97
"""The share of the evidence that is hidden."""
LEAST, MOST = 0.02, 0.99
"""The hidden area is no smaller and no larger a share of the image."""
DONORS = 2
BATCH = 8
NUMBER = re.compile(r".*\((\d+)\)|class (\d+)", re.DOTALL)


@dataclass(frozen=True)
class HiddenEffect:
    """The outcome; the fields are those of `ReasonGroup`, and p is not corrected yet."""

    area: float
    effect: float
    chance: float
    spread: float
    beats: float
    p: float


@dataclass(frozen=True)
class EvidenceTest:
    """Tests groups of a run.

    Attributes:
        subject: the network of the run.
        layer: of whose channels the contributions are.
        pictures: how many images of a group, and of others, are tested at most.
        draws: random groups that an effect is compared with.
    """

    subject: Model
    run: Run
    layer: str
    pictures: int
    draws: int
    seed: int

    def __call__(
        self, members: Int[NDArray[np.intp], " k"], others: Int[NDArray[np.intp], " m"], channels: Sequence[int],
        tick: Callable[[], None] = lambda: None,
    ) -> HiddenEffect:  # fmt: skip
        """The effect of hiding the evidence of `channels` in the rows `members`, beside that in `others`.

        Args:
            tick: is called before every few images, and may raise.

        Raises:
            ImageError: where photos cannot be read any more, or have several sizes.
        """
        random = np.random.default_rng([self.seed, *members[:1].tolist(), len(members)])
        some = [np.sort(random.permutation(rows)[: self.pictures]) for rows in (members, others)]
        batches = self._looked_at(np.concatenate(some), channels, tick)
        x = torch.cat([context.x for context, _, _ in batches])
        where, area = _hidden_area(torch.cat([evidence for _, evidence, _ in batches]))
        before = torch.cat([score for _, _, score in batches])
        inside, count = len(some[0]), len(x)
        lost = torch.zeros(count, dtype=torch.float64)
        for _ in range(DONORS):
            donors = torch.tensor([_donor(i, inside, count, random) for i in range(count)])
            altered, done = torch.where(where[:, None], x[donors], x), 0
            for context, _, _ in batches:
                tick()
                here = slice(done, done + len(context.x))
                verdict = decided(replace(context, x=altered[here])).verdict
                assert verdict is not None
                lost[here] += (before[here] - verdict.score.detach().cpu()).double() / DONORS
                done = here.stop
        return _compared(lost.numpy(), inside, area, self.draws, random)

    def _looked_at(
        self, rows: NDArray[np.intp], channels: Sequence[int], tick: Callable[[], None]
    ) -> list[tuple[Context, Tensor, Tensor]]:
        """A few images at a time: prepared, with the channels' evidence on the input and the score."""
        batches = []
        place = self.run.record.places.get(self.layer)
        for start in range(0, len(rows), BATCH):
            tick()
            few = rows[start : start + BATCH]
            target = Class([class_number(self.run["target"][row]) for row in few])
            context = prepare(self.subject, [self.run.picture(row) for row in few], target)
            sums = channel_sums(context, self.layer)
            assert sums.G is not None and sums.verdict is not None
            evidence = (sums.G * sums.A)[:, list(channels)].sum(1).detach().float().cpu()
            batches.append((context, _grown(evidence, context.x.shape[2:], place), sums.verdict.score.detach().cpu()))
        if len({tuple(context.x.shape[1:]) for context, _, _ in batches}) > 1:
            raise ImageError("the images have several sizes as the network takes them, so none can stand in another")
        return batches


def class_number(target: str | None) -> int:
    """The class in the words of a target, "jay (17)" or "class 17"; -1 for another kind of target."""
    match = NUMBER.fullmatch(target or "")
    return int(match[1] or match[2]) if match else -1


def permuted(lost: Float[NDArray[np.float64], " n"], inside: int, draws: int, random: np.random.Generator) -> float:
    """How often the first `inside` numbers exceed the others by as much when numbers are dealt out at random."""
    whole = lost.sum()

    def excess(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(sums / inside - (whole - sums) / (len(lost) - inside))

    dealt = np.array([random.permutation(lost)[:inside].sum() for _ in range(draws)])
    return float((np.sum(excess(dealt) >= excess(lost[:inside].sum()) - 1e-12) + 1) / (draws + 1))


def _compared(
    lost: NDArray[np.float64], inside: int, area: float, draws: int, random: np.random.Generator
) -> HiddenEffect:
    effect, others = float(lost[:inside].mean()), lost[inside:]
    means = np.array([random.choice(others, inside).mean() for _ in range(draws)])
    p = permuted(lost, inside, draws, random)
    return HiddenEffect(area, effect, float(means.mean()), float(means.std()), float((means < effect).mean()), p)


def _donor(i: int, inside: int, count: int, random: np.random.Generator) -> int:
    """An image outside of the group, and another one than the image itself."""
    choices = [k for k in range(inside, count) if k != i]
    return int(random.choice(choices))


def _grown(evidence: Float[Tensor, "n h w"], size: Sequence[int], place: Place | None) -> Float[Tensor, "n H W"]:
    return laid(evidence.clamp(min=0), size, place)


def _hidden_area(evidence: Float[Tensor, "n h w"]) -> tuple[Tensor, float]:
    """In each image where most evidence lies, as large an area in all (n, h, w), and its share of the image."""
    flat = evidence.flatten(1).double()
    held = flat.sort(1, descending=True).values.cumsum(1) / flat.sum(1, keepdim=True).clamp(min=1e-12)
    least = (held < HOLDS).double().mean(1)
    share = float(least[flat.sum(1) > 0].median().clamp(LEAST, MOST)) if bool((flat > 0).any()) else LEAST
    count = max(1, round(share * flat.shape[1]))
    where = torch.stack([ranks(map, seed=0) < count for map in evidence])
    return where, count / flat.shape[1]
