"""Experiments that ask a network about altered copies of one image: many together, and no copy twice.

An experiment is a generator. It yields the copies it asks about, is sent their scores, and returns its result:

    def loss_of_half(x: Tensor) -> Experiment[float]:
        whole, half = yield AlteredCopies((WHOLE, "half"), lambda numbers: torch.cat([[x, x / 2][k] for k in numbers]))
        return float(whole - half)

    Answers(ask, x).of(loss_of_half(x))
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

import torch
from torch import Tensor

from foveal.engine.chunks import WHOLE as BYTES
from foveal.engine.chunks import chunked
from foveal.engine.memory import load_when_asked
from foveal.errors import MethodError

if TYPE_CHECKING:
    from jaxtyping import Float

Ask = Callable[[Tensor], Tensor]
"""Inputs (k, c, h, w) to scores (k,)."""

WHOLE = "whole"
"""The key of the image as it is."""

T = TypeVar("T")


@runtime_checkable
class RoundedScore(Protocol):
    """Whoever may round the scores of altered copies, and can do without."""

    def exactly(self, x: Tensor) -> Tensor:
        """Scores (k,) of inputs (k, c, h, w), not rounded."""


def exactly(ask: Ask) -> Ask:
    """The same scores, not rounded."""
    return ask.exactly if isinstance(ask, RoundedScore) else ask


@dataclass(frozen=True, eq=False)
class AlteredCopies:
    """Copies that are made when they are asked about, and not before.

    Attributes:
        keys: one per copy. Copies with the same key are the same, whichever experiment makes them.
        make: numbers of copies to these copies, (k, c, h, w).
        exact: a value hangs on few of them, or on small changes of the score: it is not rounded.
    """

    keys: Sequence[Hashable]
    make: Callable[[Sequence[int]], Tensor]
    exact: bool = False


class _Wanted(NamedTuple):
    """A copy, by its number among those of an experiment."""

    key: Hashable
    copies: AlteredCopies
    number: int


Experiment: TypeAlias = "Generator[AlteredCopies, Float[Tensor, ' k'], T]"


class Answers:
    """The scores of altered copies of one image; each copy is asked once.

    Args:
        ask: the score of altered copies.
        x: (1, c, h, w), the image.
        whole: its score, where that is known.
        chunk: copies asked at once, None for what fits; the results do not depend on it.
        tick: called after each chunk.
    """

    def __init__(
        self,
        ask: Ask,
        x: Float[Tensor, "1 c h w"],
        *,
        whole: float | None = None,
        chunk: int | None = None,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        if len(x) != 1 or (chunk is not None and chunk < 1):
            raise MethodError(
                f"copies are made of one image (1, c, h, w), at least one at a time, not of {tuple(x.shape)}, {chunk} "
                "at a time"
            )
        self._ask, self._x, self._tick = ask, x, tick
        self._known: dict[Hashable, float] = {} if whole is None else {WHOLE: whole}
        self._chunks = chunked(chunk, x, BYTES, load_when_asked(ask, x))

    @property
    def whole(self) -> float:
        """The score of the image as it is."""
        return self.of(whole_score(self._x))

    def of(self, experiment: Experiment[T]) -> T:
        """The result of one experiment."""
        ((_, result),) = self.together([experiment])
        return result

    def together(self, experiments: Sequence[Experiment[T]]) -> Iterator[tuple[int, T]]:
        """The number and the result of each experiment, as soon as it ends.

        All experiments ask together, the first ones first; what they ask after that is asked in another round.
        """
        waiting: dict[int, AlteredCopies] = {}
        for number, experiment in enumerate(experiments):
            yield from self._go_on(number, experiment, None, waiting)
        while waiting:
            wanted = self._unknown(waiting.values())
            for _ in self._chunks.parts(lambda start, stop: self._learn(wanted[start:stop]), len(wanted)):  # noqa: B023
                self._tick()
                for number, copies in list(waiting.items()):
                    if self._knows(copies):
                        yield from self._go_on(number, experiments[number], self._scores(copies), waiting)

    def _go_on(
        self, number: int, experiment: Experiment[T], scores: Tensor | None, waiting: dict[int, AlteredCopies]
    ) -> Iterator[tuple[int, T]]:
        """Sends scores until the experiment asks what nobody knows, or ends."""
        waiting.pop(number, None)
        try:
            copies = experiment.send(scores)  # type: ignore[arg-type]  # None starts it
            while self._knows(copies):
                copies = experiment.send(self._scores(copies))
            waiting[number] = copies
        except StopIteration as end:
            yield number, end.value

    def _knows(self, copies: AlteredCopies) -> bool:
        return all(key in self._known for key in copies.keys)

    def _scores(self, copies: AlteredCopies) -> Tensor:
        return torch.tensor([self._known[key] for key in copies.keys], dtype=torch.float64)

    def _unknown(self, asked: Iterable[AlteredCopies]) -> list[_Wanted]:
        """Those that nobody has asked about."""
        each = (_Wanted(key, copies, k) for copies in asked for k, key in enumerate(copies.keys))
        wanted: dict[Hashable, _Wanted] = {}
        for one in each:
            if one.key not in self._known and (one.key not in wanted or one.copies.exact):
                wanted[one.key] = one
        return list(wanted.values())

    def _learn(self, wanted: Sequence[_Wanted]) -> None:
        for exact, some in groupby(wanted, key=lambda one: one.copies.exact):
            self._learn_by(exactly(self._ask) if exact else self._ask, list(some))

    def _learn_by(self, ask: Ask, wanted: Sequence[_Wanted]) -> None:
        with torch.no_grad():
            together = (list(own) for _, own in groupby(wanted, key=lambda one: id(one.copies)))
            made = [own[0].copies.make([one.number for one in own]) for own in together]
            scores = ask(torch.cat(made)).detach()
        if scores.shape != (len(wanted),):
            raise MethodError(
                f"ask gave {tuple(scores.shape)} for {len(wanted)} copies: it must give one score per copy"
            )
        self._known.update(zip((one.key for one in wanted), scores.double().tolist(), strict=True))


def whole_score(x: Float[Tensor, "1 c h w"]) -> Experiment[float]:
    """The score of the image as it is, for experiments that compare with it."""
    (score,) = yield AlteredCopies((WHOLE,), lambda numbers: x, exact=True)
    return float(score)
