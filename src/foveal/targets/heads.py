"""Which scores decide, in whatever a network returned, and what they mean.

What they mean is said by the person or the model's card (`task`), or read off how the network ends. What is neither
said nor read is not known: no probability is given, and a note on the result says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from foveal.engine.address import tensor_parts
from foveal.engine.embedding_signs import EmbeddingSign, embedding_sign
from foveal.engine.graph import RESHAPING
from foveal.engine.task import Task
from foveal.errors import TargetError, counted
from foveal.targets.output_kind import no_scores

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jaxtyping import Float

    from foveal.targets.target import ModelOutput


Ending: TypeAlias = Literal["logits", "sigmoid", "softmax", "log_softmax", "embedding"]
"""What the scores that decide are; "embedding" where nothing was declared and the output looks like one."""

COMPARE = (
    "scores: compare images with foveal.match, or explain a similarity with target=foveal.Similar(reference) "
    "(in Python also foveal.Prototypes and foveal.Neighbors)"
)
"""What to do with a network that gives an embedding; goes on from "not class"."""

GIVEN = "given with the model"
"""How a task is known of which nothing else is said."""

BY_TARGET = "said by the target"
"""How it is known where nobody said anything but that labels, or values, are to be explained."""

NOT_KNOWN = "not known: raw outputs"

NAMED = ("logits", "output", "out")
"""Entries of a record that are the class scores, whatever else it holds."""


@dataclass(frozen=True, eq=False)
class Head:
    """The scores that decide.

    Attributes:
        scores: (n, k), as the network returned them.
        ending: what was done to the logits last.
        task: what they mean, where it is known.
        source: how that is known: "the sidecar", "its last operation is a sigmoid".
        name: the entry of a record that they are; "" where the network returned them alone.
        others: entries that might have been meant instead, with their shapes.
        squashed: the operation that may have made probabilities of what was read as logits: "sigmoid"; "" for none.
        sign: what says that they are an embedding, where the network does not say what they are.
    """

    scores: Float[Tensor, "n k"]
    ending: Ending
    task: Task | None
    name: str = ""
    others: tuple[str, ...] = ()
    squashed: str = ""
    sign: EmbeddingSign | None = None
    source: str = ""

    @property
    def meaning(self) -> str:
        """What the scores mean and how that is known, "labels (its last operation is a sigmoid)", or that it is not."""
        if self.task:
            return f"{self.task} ({self.source or GIVEN})"
        return f"embedding ({self.sign.words})" if self.sign and self.sign.certain else NOT_KNOWN

    @property
    def binary(self) -> bool:
        """Whether one number stands for two classes: one logit z, or the probability p of the second."""
        return self.scores.shape[1] == 1 and self.task in (None, "classes")

    @property
    def exclusive(self) -> bool:
        """Whether only one of the classes can be true, so that their probabilities sum to 1."""
        return self.binary or (self.task == "classes" and self.ending not in ("sigmoid", "embedding"))

    @property
    def choices(self) -> Float[Tensor, "n classes"]:
        """A score a class: those of two classes, (−z, z) or (1 − p, p), where one number stands for both.

        Raises:
            TargetError: for an embedding, which has no classes.
        """
        if self.task == "embedding":
            raise TargetError(f"this network gives an embedding of {self.scores.shape[1]} numbers, not class {COMPARE}")
        if not self.binary:
            return self.scores
        other = -self.scores if self.ending == "logits" else 1 - self.scores
        return torch.cat([other, self.scores], 1)

    @property
    def probabilities(self) -> Float[Tensor, "n classes"] | None:
        """A probability a class; None where the numbers are no classes and no labels, or nobody knows what they are."""
        if self.task not in ("classes", "labels"):
            return None
        z = self.scores
        if self.ending != "logits":
            return z.exp() if self.ending == "log_softmax" else self.choices
        if self.binary:
            return torch.cat([1 - z.sigmoid(), z.sigmoid()], 1)
        return z.sigmoid() if self.task == "labels" else z.softmax(1)

    @property
    def log_probabilities(self) -> Float[Tensor, "n classes"] | None:
        """Their logarithms, also where a probability is too small for a number of its own."""
        z, p = self.scores, self.probabilities
        if p is None or self.ending in ("sigmoid", "softmax"):
            return None if p is None else p.clamp(min=torch.finfo(p.dtype).tiny).log()
        if self.ending == "log_softmax":
            return z
        if self.binary:
            return functional.logsigmoid(torch.cat([-z, z], 1))
        return functional.logsigmoid(z) if self.task == "labels" else z.log_softmax(1)

    @property
    def kind(self) -> str:
        """What one of the scores is called."""
        return {"classes": "class", "labels": "label", "value": "value"}.get(self.task or "", "output")

    @property
    def where(self) -> str:
        """What to call it in a sentence."""
        return f"{self.name!r} of the output" if self.name else "the model"

    def check_predicts(self) -> None:
        """TargetError where the highest of the scores is certainly no predicted class."""
        if self.sign and self.sign.certain:
            raise TargetError(
                f"this network predicts no class: its output of {self.scores.shape[1]} numbers is an embedding "
                f"({self.sign.words}), not class {COMPARE}; say task='classes' if the numbers are class scores"
            )

    def names(self, labels: Sequence[str] | None) -> tuple[str, ...] | None:
        """The labels, one a choice; of two classes that share one number, a single label names the second.

        Raises:
            TargetError: for more or fewer labels than there are outputs.
        """
        if not labels:
            return None
        outputs = self.scores.shape[1]
        if self.binary and len(labels) == 1:
            return f"not {labels[0]}", labels[0]
        if len(labels) == (2 if self.binary else outputs):
            return tuple(labels)
        raise TargetError(_misfit(len(labels), outputs, binary=self.binary, sign=self.sign))

    def notes(self, names: Sequence[str] | None = None) -> tuple[str, ...]:
        """What is not known; `names` are those of two classes as which one number was read."""
        notes = []
        if self.ending == "embedding":
            seen = f": {self.sign.words}" if self.sign else ""
            told = (
                f"the output looks like an embedding, not class scores{seen}. No class and no probability is given. "
                "Compare images with foveal.match or explain target=foveal.Similar(reference). If the "
                f"{self.scores.shape[1]} numbers are class scores, say task='classes'; if they are predicted values, "
                "say task='value'"
            )
            return (told,)
        if self.others:
            notes.append(
                f"the decision was read from {self.name!r} of what the network returned, which also has "
                f"{', '.join(self.others)} (in Python explain another by a target such as "
                "lambda output: output[…][:, 0])"
            )
        if self.squashed and self.task in ("classes", "labels"):
            notes.append(
                f"the outputs are between 0 and 1, after {self.squashed}, and were read as logits: if they are "
                "probabilities, those shown here are wrong; let the network end in the sigmoid itself, or return "
                "logits"
            )
        k = self.scores.shape[1]
        if self.task is None and self.binary:
            read = ", and it was explained as a value"
            if names:
                read = f"; it was read as a logit, {names[1]} where it is above 0 and {names[0]} below"
            notes.append(
                f"what the network's one number means is not known, so no probability is given{read}: pass "
                "task='classes' if it is a logit of two classes, task='value' for a regression"
            )
        elif self.task is None:
            notes.append(
                f"what the network's {k} numbers mean is not known, so no probability is given: pass task='classes' if "
                "they are scores of classes that exclude each other, task='labels' if several can be true, "
                "task='value' for a regression, task='embedding' for an embedding"
            )
        return tuple(notes)


def _misfit(names: int, outputs: int, *, binary: bool, sign: EmbeddingSign | None) -> str:
    """What to say of labels that are not one an output."""
    given = counted(names, "name")
    if binary:
        return f"{given} for one output: give one name (of scores above 0) or two (below and above 0), labels=[…]"
    if sign:
        return (
            f"{given} for {outputs} outputs, which look like an embedding ({sign.words}), not class {COMPARE}; for "
            f"class scores give {outputs} names (labels=[…])"
        )
    wanted = counted(outputs, "name")
    return f"{given} for {counted(outputs, 'output')}: give {wanted}, in the order of the outputs (labels=[…])"


def read_head(
    output: Any,
    task: Task | None = None,
    ending: Ending | None = None,
    labels: Sequence[str] | None = None,
    traced: Callable[[], EmbeddingSign | None] | None = None,
    source: str = "",
) -> Head:
    """The head in whatever a network returned: a tensor, `.logits`, or the first (n, k) part.

    Args:
        task: what the scores mean, where somebody said so; else it is read off the network's end, if that shows it.
        ending: how it ends, where that is known; otherwise it is read off the graph.
        labels: class names; where there is one an output, the output is no embedding.
        traced: see `ModelOutput.traced`.
        source: how `task` is known.

    Raises:
        TargetError: when nothing in the output looks like scores.
    """
    parts = {"": output} if isinstance(output, Tensor) else tensor_parts(output)
    ordered = [*(name for name in NAMED if name in parts), *(name for name in parts if name not in NAMED)]
    fitting = [name for name in ordered if parts[name].ndim in (1, 2) and parts[name].is_floating_point()]
    if not fitting:
        raise TargetError(no_scores(output))
    name, *rest = fitting
    scores = parts[name][:, None] if parts[name].ndim == 1 else parts[name]
    others = tuple(f"{other!r} {tuple(parts[other].shape)}" for other in rest)
    ending, sign = (ending, None) if ending else _read_ending(scores, task, labels, traced)
    if task is None or source == BY_TARGET:
        shown, how = _shown(scores, ending, labels, sign)
        task, source = (shown, how) if shown and task != "value" else (task, source)
    squashed = _squashing(scores) if ending == "logits" else ""
    return Head(scores, ending, task, name, others, squashed, sign, source)


def head_of(outcome: ModelOutput, ending: Ending | None = None) -> Head:
    """The head in what a forward pass gave; `ending` and errors as of `read_head`."""
    return read_head(outcome.output, outcome.task, ending, outcome.labels, outcome.traced, source=outcome.task_source)


def _shown(
    scores: Float[Tensor, "n k"], ending: Ending, labels: Sequence[str] | None, sign: EmbeddingSign | None
) -> tuple[Task | None, str]:
    """What the network's end shows of what its scores mean, and how; (None, "") where it shows nothing."""
    k = scores.shape[1]
    if ending == "sigmoid":
        return "classes" if k == 1 else "labels", "its last operation is a sigmoid"
    if ending in ("softmax", "log_softmax"):
        named = last_operation(scores).startswith(("Softmax", "LogSoftmax")) or ending == "log_softmax"
        last = f"its last operation is a {ending.replace('_', '-')}"
        return "classes", last if named else "its outputs are positive and sum to 1"
    if k == 1 and labels is not None and len(labels) == 2:
        return "classes", "two names for its one output"
    return None, ""


def _read_ending(
    scores: Float[Tensor, "n k"],
    task: Task | None,
    labels: Sequence[str] | None,
    traced: Callable[[], EmbeddingSign | None] | None,
) -> tuple[Ending, EmbeddingSign | None]:
    """How the scores end, and what says that they are an embedding where nobody says what they are."""
    ending = _ending(scores, task)
    said = task if labels is None or len(labels) == scores.shape[1] else None
    if ending != "logits" or said or (labels and len(labels) == scores.shape[1]):
        return ending, None
    sign = embedding_sign(scores, traced)
    return ("embedding" if sign and task is None else ending), sign


def _ending(scores: Float[Tensor, "n k"], task: Task | None) -> Ending:
    last = last_operation(scores)
    if last.startswith("LogSoftmax"):
        return "log_softmax"
    if last.startswith("Sigmoid"):
        return "sigmoid"
    if last.startswith("Softmax") or (task in (None, "classes") and _sums_to_one(scores)):
        return "softmax"
    return "logits"


def last_operation(tensor: Tensor) -> str:
    """The name of the last operation in the graph that changed numbers, not only their shape; '' without a graph."""
    node = tensor.grad_fn
    while node is not None and type(node).__name__.startswith(RESHAPING) and node.next_functions:
        node = node.next_functions[0][0]
    return type(node).__name__ if node is not None else ""


def _squashing(scores: Float[Tensor, "n k"]) -> str:
    """The sigmoid or its like behind which all scores lie in 0 to 1, with nothing but arithmetic after it."""
    if not bool(((scores >= 0) & (scores <= 1)).all()):
        return ""
    nodes = [scores.grad_fn]
    for _ in range(_FEW):
        names = {type(node).__name__.removesuffix("Backward0") for node in nodes if node is not None}
        if squashing := sorted(names & _SQUASHING):
            return squashing[0].lower()
        onward = [node for node in nodes if type(node).__name__.startswith((*RESHAPING, *_ARITHMETIC))]
        nodes = [before for node in onward if node is not None for before, _ in node.next_functions]
    return ""


_FEW = 8
_SQUASHING = frozenset({"Sigmoid", "LogSigmoid", "LogSigmoidForward", "Tanh", "Exp", "Hardsigmoid", "Softmax", "Erf"})
_ARITHMETIC = ("Clamp", "Add", "Sub", "Rsub", "Mul", "Div", "Reciprocal", "Pow", "Neg", "Cat", "Maximum", "Minimum")


def _sums_to_one(scores: Float[Tensor, "n classes"]) -> bool:
    scores = scores.detach()
    if scores.shape[1] < 2 or not bool((scores >= 0).all()):
        return False
    total = scores.float().sum(1)
    return torch.allclose(total, torch.ones_like(total), atol=1e-3)
