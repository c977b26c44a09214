"""Scores of altered copies in bfloat16, as long as that is faster and the same copies agree in float32."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from math import inf
from typing import TYPE_CHECKING, Protocol, TypeAlias
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from foveal.engine.model_errors import out_of_memory, reason
from foveal.engine.precision import PRECISIONS, Precision, has_bfloat16, in_single
from foveal.errors import MethodError, ModelError

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.attribution.context import Context
    from foveal.targets import ModelOutput

Look: TypeAlias = "Callable[[ModelOutput], None]"


class Read(Protocol):
    """Scores copies (k, c, h, w) of an image."""

    def __call__(self, x: Tensor, look: Look | None = None, *, rounded: bool = False) -> Tensor: ...


TOLERANCE = 0.01
"""The largest root mean square of the differences: the area under a curve, a mean of scores, then differs by no more.
Of probabilities that hardly vary it is a twentieth of their range, of other scores a hundredth."""

PIXELS = 128 * 128
"""Of smaller images, a forward pass is too short to gain much."""
BEFORE = 8
"""So many copies are scored in float32 before bfloat16 is tried: who asks for less has nothing to gain."""
EVERY = 25
"""One copy in so many is scored in float32 too."""
SOON = 4
"""So many more of the first ones, one in ten: who disagrees is to be found out before much is done in vain."""
FASTER = 0.8
"""The largest share of the time of float32 that is worth a rounding."""

_shares: WeakKeyDictionary[nn.Module, dict[Hashable, float]] = WeakKeyDictionary()
"""What share of the time of float32 a chunk in bfloat16 took; infinite for a network that failed or disagreed."""


class DisagreementError(Exception):
    """Scores were given in bfloat16 that are too far from float32's; from now on all are exact."""


class Agreement:
    """How far the scores of one image's copies in bfloat16 are from those in float32, where both are known.

    Args:
        of: what the scores are, see `PerturbedScore.of`.
    """

    def __init__(self, of: str) -> None:
        self.differences: list[float] = []
        self._relative = of == "score"
        self._low, self._high = float("inf"), float("-inf")
        self._given = self._checked = 0

    def seen(self, scores: Float[Tensor, " k"]) -> None:
        """Scores of copies, in whichever precision."""
        self._low, self._high = min(self._low, float(scores.min())), max(self._high, float(scores.max()))

    def due(self, count: int) -> list[int]:
        """Which of the next `count` copies, given in bfloat16, are to be compared; of the first ones, one always is."""
        self._given += count
        number = min(count, -(-self._given // EVERY) + min(SOON, self._given // 10) - self._checked)
        self._checked += number
        return [count * (2 * k + 1) // (2 * number) for k in range(number)]

    def compare(self, exact: Float[Tensor, " k"], rounded: Float[Tensor, " k"]) -> None:
        """The scores of the same copies in both."""
        self.differences += (rounded.double() - exact.double()).tolist()

    @property
    def holds(self) -> bool:
        """Whether they are the same within the tolerance; never where one is not finite."""
        spread = self._high - self._low
        scale = spread if self._relative else min(1.0, 5 * spread)
        return root_mean_square(self.differences) <= TOLERANCE * scale


class Rounding:
    """What the questions of one block share: whether their copies are scored in bfloat16.

    Args:
        precision: "bfloat16" wherever the network runs in it; "auto" only where it is faster and agrees.
    """

    def __init__(self, context: Context, precision: Precision) -> None:
        if precision not in PRECISIONS:
            raise MethodError(f"cannot score copies in {precision!r}: say float32, bfloat16 or auto")
        self._shares = _shares.setdefault(context.model, {})
        self._way = tuple(context.x.shape[1:]), context.x.device
        self._auto = precision == "auto"
        self._on = precision != "float32" and in_single(context.model, context.x) and not context.mode
        if self._auto:
            self._on &= has_bfloat16(context.x.device) and context.x[0, 0].numel() >= PIXELS
            self._on &= self._shares.get(self._way, 0.0) <= FASTER
        self._before = 0
        self._agreements: list[Agreement] = []
        self._remarks: list[str] = []
        if precision == "bfloat16" and not self._on:
            self._remarks.append("the network does not compute in float32, so copies were scored in its own precision")

    @property
    def exact(self) -> bool:
        """Whether everything from now on is in float32."""
        return not self._on

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader must know of it."""
        differences = [difference for agreement in self._agreements for difference in agreement.differences]
        if not differences:
            return tuple(self._remarks)
        most, usual = max(map(abs, differences)), root_mean_square(differences)
        remark = (
            f"altered copies were scored in bfloat16: {len(differences)} of them, scored again in float32, differ by "
            f"at most {most:.2g} (root mean square {usual:.2g})"
        )
        return (remark, *self._remarks)

    def scores(
        self, x: Float[Tensor, "k c h w"], look: Look | None, read: Read, agreement: Agreement
    ) -> Float[Tensor, " k"]:
        """The scores of copies of one image.

        Args:
            look: sees what the network made of each, once.
            read: scores copies, in float32 or rounded.
            agreement: what is known of copies of this image.

        Raises:
            DisagreementError: where scores of this image that were given before are too far from float32's.
        """
        begun = agreement in self._agreements
        if self.exact or (self._auto and not begun and self._waits(len(x))):
            scores = read(x, look)
        elif not begun:
            scores = self._compared(x, look, read, agreement)
        else:
            scores = self._checked(x, look, read, agreement)
        agreement.seen(scores)
        return scores

    def _waits(self, count: int) -> bool:
        before, self._before = self._before, self._before + count
        return before < BEFORE

    def _compared(self, x: Tensor, look: Look | None, read: Read, agreement: Agreement) -> Tensor:
        """Exact scores of the first copies, and whether the others go on in bfloat16."""
        scores, exact_time = timed(lambda: read(x, look))
        agreement.seen(scores)
        try:
            others, seconds = timed(lambda: read(x, rounded=True))
            if self._auto and self._way not in self._shares:
                others, seconds = timed(lambda: read(x, rounded=True))  # the first time, kernels are made
                self._shares[self._way] = seconds / exact_time
        except ModelError as error:
            self._fails(error)
            return scores
        agreement.compare(scores, others)
        if self._auto and self._shares[self._way] > FASTER:
            self._on = False
        elif self._auto and not agreement.holds:
            self._disagrees(agreement)
        else:
            self._agreements.append(agreement)
        return scores

    def _checked(self, x: Tensor, look: Look | None, read: Read, agreement: Agreement) -> Tensor:
        """Scores in bfloat16, but of some copies exact ones, with which theirs are compared."""
        try:
            scores = read(x, look, rounded=True)
        except ModelError as error:
            self._fails(error)
            if self._auto:
                self._agreements.remove(agreement)
                raise DisagreementError from error
            return read(x, look)
        if due := agreement.due(len(x)):
            exact = read(x[due])
            agreement.compare(exact, scores[due])
            scores[due] = exact.to(scores)
            if self._auto and not agreement.holds:
                self._agreements.remove(agreement)
                self._disagrees(agreement)
                raise DisagreementError
        return scores

    def _fails(self, error: ModelError) -> None:
        if out_of_memory(error):
            raise error
        self._on, self._shares[self._way] = False, inf
        why = reason(error.__cause__ or error)
        self._remarks.append(f"the network does not run in bfloat16, so copies were scored in float32: {why}")

    def _disagrees(self, agreement: Agreement) -> None:
        self._on, self._shares[self._way] = False, inf
        self._remarks.append(
            f"copies were scored in float32, because in bfloat16 {len(agreement.differences)} scores differed by "
            f"{root_mean_square(agreement.differences):.2g} (root mean square)"
        )


def agreeing(
    context: Context, run: Callable[[Callable[[Tensor], Tensor]], Tensor], read: Read, whole: float
) -> tuple[Tensor, tuple[str, ...]]:
    """Scores of copies of one image by "auto": in bfloat16, or all exact where some turn out too far off.

    Args:
        run: scores all copies by the function that it is given.
        whole: the score of the image as it is.

    Returns:
        the scores; what a reader must know of them.
    """
    rounding, agreement = Rounding(context, "auto"), Agreement("score")
    agreement.seen(torch.tensor([whole]))
    try:
        scores = run(lambda x: rounding.scores(x, None, read, agreement))
    except DisagreementError:
        scores = run(read)
    return scores, rounding.remarks


def timed(ask: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """The scores, and the seconds until they are there."""
    began = time.perf_counter()
    scores = ask()
    scores.sum().item()  # an accelerator is waited for
    return scores, time.perf_counter() - began


def root_mean_square(differences: Sequence[float]) -> float:
    """Of the differences; NaN where there is none."""
    return float(torch.tensor(differences, dtype=torch.float64).square().mean().sqrt())
