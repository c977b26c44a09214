"""The tests of a group: its images, and others of their class, are altered in two ways, and their scores compared.

In the first the evidence that its images share is hidden (`foveal.runs.hidden_evidence`): what lies at some places of
an image. In the second they get the colors and texture of others (`foveal.runs.appearance`): what an image looks like
as a whole. Hiding does not test that: with a color cast in only a part of it, an image is unlike any other of its
class, and its score may even rise.
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
from foveal.images.place import laid
from foveal.runs.appearance import with_appearance_of_others
from foveal.runs.group_effect import GroupEffect, compared
from foveal.runs.hidden_evidence import without_evidence
from foveal.targets import Class

if TYPE_CHECKING:
    from jaxtyping import Float, Float64, Int
    from numpy.typing import NDArray

    from foveal.attribution.context import Context
    from foveal.models.model import Model
    from foveal.runs.result import Run

BATCH = 8
NUMBER = re.compile(r".*\((\d+)\)|class (\d+)", re.DOTALL)


@dataclass(frozen=True)
class GroupTests:
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
    ) -> dict[str, GroupEffect]:  # fmt: skip
        """The outcomes by the names of the tests, p not corrected.

        Args:
            members: rows of the group; `others`, of the rest of its class.
            channels: whose evidence is hidden.
            tick: is called before every few images, and may raise.

        Raises:
            ImageError: where photos cannot be read any more, or have several sizes.
            TargetError: where the score of an altered image is not a finite number.
        """
        random = np.random.default_rng([self.seed, *members[:1].tolist(), len(members)])
        some = [np.sort(random.permutation(rows)[: self.pictures]) for rows in (members, others)]
        inside = len(some[0])
        images = self._looked_at(np.concatenate(some), channels, tick)
        copies, area = without_evidence(images.x, images.evidence, inside, random)
        lost = np.mean([images.lost(altered, tick) for altered in copies], 0)
        hiding = compared(lost, inside, self.draws, random, area)
        lost = images.lost(with_appearance_of_others(images.x, inside, random), tick)
        return {"hiding": hiding, "appearance": compared(lost, inside, self.draws, random)}

    def _looked_at(self, rows: NDArray[np.intp], channels: Sequence[int], tick: Callable[[], None]) -> _Images:
        contexts, evidence, scores = [], [], []
        place = self.run.record.places.get(self.layer)
        for start in range(0, len(rows), BATCH):
            tick()
            few = rows[start : start + BATCH]
            target = Class([class_number(self.run["target"][row]) for row in few])
            context = prepare(self.subject, [self.run.picture(row) for row in few], target)
            sums = channel_sums(context, self.layer)
            assert sums.G is not None and sums.verdict is not None
            here = (sums.G * sums.A)[:, list(channels)].sum(1).detach().float().cpu()
            contexts.append(context)
            evidence.append(laid(here.clamp(min=0), context.x.shape[2:], place))
            scores.append(sums.verdict.score.detach().cpu())
        if len({tuple(context.x.shape[1:]) for context in contexts}) > 1:
            raise ImageError("the images have several sizes as the network takes them, so none can stand in another")
        return _Images(
            contexts, torch.cat([c.x.detach().cpu() for c in contexts]), torch.cat(evidence), torch.cat(scores)
        )


@dataclass(frozen=True)
class _Images:
    """The images that are tested, as the network takes them.

    Attributes:
        contexts: a few images each, ready to be asked about.
        x: all of them.
        evidence: of the channels on the input, not negative.
        scores: of the images as they are.
    """

    contexts: Sequence[Context]
    x: Float[Tensor, "n c h w"]
    evidence: Float[Tensor, "n h w"]
    scores: Float[Tensor, " n"]

    def lost(self, altered: Float[Tensor, "n c h w"], tick: Callable[[], None]) -> Float64[NDArray[np.float64], " n"]:
        """By how much the score of each image falls when it is altered."""
        after, done = [], 0
        for context in self.contexts:
            tick()
            few = altered[done : done + len(context.x)].to(context.x)
            verdict = decided(replace(context, x=few)).verdict
            assert verdict is not None
            after.append(verdict.score.detach().cpu())
            done += len(few)
        return (self.scores.double() - torch.cat(after).double()).numpy()


def class_number(target: str | None) -> int:
    """The class in the words of a target, "jay (17)" or "class 17"; -1 for another kind of target."""
    match = NUMBER.fullmatch(target or "")
    return int(match[1] or match[2]) if match else -1
