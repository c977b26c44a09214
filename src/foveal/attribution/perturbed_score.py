"""A decision as one number about altered copies of a picture: what every metric asks the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import torch
from torch import Tensor

from foveal.attribution.forwards import runs_for
from foveal.attribution.passes import decided
from foveal.attribution.perturbation import PerturbationScorer
from foveal.attribution.rounded import Agreement, DisagreementError, Look, Rounding
from foveal.engine.address import INPUT
from foveal.engine.guard import untouched
from foveal.engine.memory import Load
from foveal.engine.precision import Precision
from foveal.errors import MethodError, TargetError
from foveal.targets import ModelOutput, ReferenceTarget, Target, TargetScore
from foveal.targets.neighbors import Vote
from foveal.targets.prototypes import ClosestClass
from foveal.targets.reference import UndecidedError

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.attribution.context import Context
    from foveal.attribution.passes import PassResult

T = TypeVar("T")

Of: TypeAlias = "Literal['auto', 'probability', 'score']"
SAID = {
    "probability": "probability of the class",
    "pair": "probability of the one class rather than the other",
    "rivals": "probability of the class among it and its rivals",
    "score": "score",
}


class PerturbedScore:
    """What was decided about one picture, asked of its altered copies; counts how many.

    Attributes:
        decision: pinned to what it turned out to be.
        whole: the number as the picture is.
        label: what is decided: "jay (17)".
        of: "probability"; "pair", the logistic function of a margin; "rivals", the probability among a class and its
            rivals; or the "score" itself.
        count: forwards so far.
        load: what a copy makes of memory, known from the first.
    """

    def __init__(
        self,
        probe: PerturbationScorer,
        decision: Target,
        of: str,
        label: str,
        rounding: Rounding,
        notes: Sequence[str] = (),
        whole: float | None = None,
    ) -> None:
        self._probe, self.decision, self._notes = probe, decision, tuple(notes)
        self._rounding, self._agreement = rounding, Agreement(of)
        self.of, self.label, self.count = of, label, 0
        self.load = Load(probe.x.device)
        if whole is None:
            with self.load.weighed(1):
                whole = float(self._read(probe.x)[0])
        self.whole = whole
        self._agreement.seen(torch.tensor([whole]))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the decision, and of how the network was asked."""
        return (*self._notes, *self._rounding.remarks, *self._probe.cautions)

    def __call__(self, x: Float[Tensor, "k c h w"], look: Look | None = None) -> Float[Tensor, " k"]:
        """The numbers of altered copies; `look` sees what the network made of them."""
        return self._rounding.scores(x, look, self._read, self._agreement)

    def exactly(self, x: Float[Tensor, "k c h w"]) -> Float[Tensor, " k"]:
        """The numbers of copies in float32, whatever the precision of others."""
        return self._read(x)

    def settled(self, measured: Callable[[], Iterable[T]]) -> Iterator[T]:
        """What was measured with these numbers; once more, exactly, where those in bfloat16 turn out too far off.

        As long as that may happen, nothing is given before all is measured.
        """
        if not self._rounding.exact:
            try:
                yield from [*measured()]
                return
            except DisagreementError:
                self._agreement = Agreement(self.of)
        yield from measured()

    def _read(self, x: Tensor, look: Look | None = None, *, rounded: bool = False) -> Float[Tensor, " k"]:
        """The numbers, by forwards that are counted."""
        self.count += len(x)

        def numbers(outcome: ModelOutput) -> Tensor:
            if look:
                look(outcome)
            return self._numbers(outcome)

        with self._probe.rounded() if rounded else nullcontext():
            return self._probe.read(x, numbers)

    def _numbers(self, outcome: ModelOutput) -> Float[Tensor, " k"]:
        try:
            return self._number(outcome)
        except UndecidedError:
            rows = len(next(iter(outcome.activations.values())))
            return torch.cat([self._alone(outcome, i) for i in range(rows)])

    def _number(self, outcome: ModelOutput) -> Float[Tensor, " k"]:
        verdict = self.decision.decide(outcome)
        if self.of == "pair":
            return verdict.score.detach().sigmoid()
        number = verdict.score if self.of == "score" else verdict.probability
        assert number is not None
        return number.detach()

    def _alone(self, outcome: ModelOutput, i: int) -> Float[Tensor, " 1"]:
        """An embedding of zeros is similar to nothing, and of a vote without a voter the share is 0."""
        seen = {layer: A[i : i + 1] for layer, A in outcome.activations.items()}
        output = outcome.output[i : i + 1] if isinstance(outcome.output, Tensor) else outcome.output
        try:
            return self._number(replace(outcome, output=output, activations=seen))
        except UndecidedError:
            return torch.zeros(1)


@contextmanager
def perturbed_scores(
    context: Context,
    of: Of = "auto",
    *,
    passed: PassResult | None = None,
    wholes: Sequence[float] = (),
    words: Sequence[str] = (),
    precision: Precision = "float32",
) -> Iterator[tuple[PerturbedScore, ...]]:
    """One question a picture, inside a block that leaves the model as it was.

    Args:
        of: "auto" asks for the probability where the decision has one: of a class; of the pair, for a margin of two
            classes; of the class among it and its rivals, or among prototypes; the share of a vote. Of everything else,
            similarities among them, the score. "score" asks for that always.
        passed: what `decided` gave for this context, where it was asked before.
        wholes: the numbers of the pictures as they are, where they are known.
        words: what is decided about each, where somebody knows more than the network.
        precision: of the forwards, see `attribution.rounded`. Whoever says "auto" measures inside of `settled`.

    Raises:
        TargetError: for a decision that cannot be asked about altered copies.
    """
    if of not in ("auto", "probability", "score"):
        raise MethodError(f"cannot measure the {of!r} of a decision: say auto, probability or score")
    rounding = Rounding(context, precision)
    asked, passed = context.target, decided(context) if passed is None else passed
    verdict = passed.verdict
    if asked is None or verdict is None or not verdict.per_image:
        raise TargetError(
            "this target cannot be measured on altered copies of an image: a callable must be wrapped in a decision "
            "that pins itself, as foveal.Class does"
        )
    with untouched(context.model), runs_for(context, passed) as runs, torch.no_grad():
        scores = []
        for i in range(len(context.x)):
            probe = PerturbationScorer(context, passed, i, INPUT, lambda done, total: None, runs)
            decision, kind = _readable(asked, verdict, i, of)
            known = None if probe.folds else _known(context, verdict, kind)
            whole = wholes[i] if wholes else known
            label = words[i] if words else verdict.label[i]
            scores.append(PerturbedScore(probe, decision, kind, label, rounding, passed.notes, whole))
        yield tuple(scores)


def _known(context: Context, verdict: TargetScore, of: str) -> float | None:
    """What the pass that decided has already found of the picture; None where it must be asked alone."""
    if (
        len(context.x) > 1
        or of != "probability"
        or verdict.spec.get("kind") not in ("class", "group")
        or verdict.probability is None
    ):
        return None
    return float(verdict.probability[0])


def _readable(asked: Target, verdict: TargetScore, i: int, of: Of) -> tuple[Target, str]:
    """The decision of picture i, pinned, and what to read off it."""
    decision: Any = verdict.per_image[i]
    if of == "score":
        return decision, "score"
    kind = str(verdict.spec.get("kind"))
    if kind in ("class", "group", "region") and verdict.probability is not None:
        return decision, "probability"
    if kind == "against" and verdict.probability is not None:
        return decision, "rivals"
    if kind == "margin" and verdict.spec.get("of") == "class" and of == "auto":
        return decision, "pair"
    rule: Any = asked.rule if isinstance(asked, ReferenceTarget) else None
    if isinstance(rule, ClosestClass | Vote) and verdict.probability is not None:
        own: Any = verdict.spec["class"]
        return replace(decision, rule=replace(rule, which=int(own[i]))), "probability"
    if of == "probability":
        raise TargetError(f"{verdict.label[i]} has no probability: measure its score")
    return decision, "score"
