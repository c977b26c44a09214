"""What a decision is: something that reads one number per image off a forward pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from foveal.engine.address import tensor_parts
from foveal.errors import TargetError

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.decisions.comparison import Comparison
    from foveal.embedding import Embedder


@dataclass(frozen=True)
class Outcome:
    """What a forward pass gave, as far as a decision may look.

    Attributes:
        output: whatever the model returned; None when the decision reads layers only.
        activations: the layers the decision asked for.
        labels: class names, when the model knows them.
    """

    output: Any
    activations: Mapping[str, Tensor] = field(default_factory=dict)
    labels: Sequence[str] | None = None


PER_IMAGE: Mapping[str, tuple[str, ...]] = {
    "class": ("index",),
    "margin": ("a", "b"),
    "similar": ("reference",),
    "prototypes": ("class", "against"),
    "neighbours": ("class", "against"),
}
"""Kind of decision -> what in its `spec` is a list with an entry an image."""


@dataclass(frozen=True)
class Verdict:
    """One decision about n images.

    Attributes:
        score: (n,), still attached to the graph; each entry depends on its own image only.
        words: per image, what was decided, as a person would say it.
        spec: the same for machines; "kind" says what kind of decision it is.
        probability: (n,) in [0, 1] where that has a meaning, detached.
        each: per image, the same decision pinned to what it turned out to be, about any number of altered copies.
        comparison: what the images were compared with, where embeddings decide.
    """

    score: Float[Tensor, " n"]
    words: tuple[str, ...]
    spec: Mapping[str, Any]
    probability: Float[Tensor, " n"] | None = None
    each: tuple[Decision, ...] = ()
    comparison: Comparison | None = None

    def detached(self) -> Verdict:
        """The same without its graph."""
        return replace(
            self, score=self.score.detach(), comparison=self.comparison.detached() if self.comparison else None
        )

    def check_length(self, n: int) -> None:
        """TargetError unless it holds a score for each of n images."""
        if len(self.score) != n:
            raise TargetError(
                f"the target gave {len(self.score)} scores for {n} images: it must give one an image, shape ({n},)"
            )

    def rows(self, start: int, stop: int) -> Verdict:
        """What it says of the images from `start` to `stop`."""
        own = PER_IMAGE.get(str(self.spec.get("kind")), ())
        cut = {key: value[start:stop] if key in own else value for key, value in self.spec.items()}
        probability = None if self.probability is None else self.probability[start:stop]
        comparison = self.comparison.rows(start, stop) if self.comparison else None
        own_each = self.each[start:stop]
        return Verdict(self.score[start:stop], self.words[start:stop], cut, probability, own_each, comparison)

    @staticmethod
    def joined(parts: Sequence[Verdict]) -> Verdict:
        """One verdict of those that `rows` cut it into."""
        own = PER_IMAGE.get(str(parts[0].spec.get("kind")), ())
        spec = {**parts[0].spec, **{key: [one for part in parts for one in part.spec[key]] for key in own}}
        chances = [part.probability for part in parts if part.probability is not None]
        comparisons = [part.comparison for part in parts if part.comparison]
        return Verdict(
            torch.cat([part.score for part in parts]),
            tuple(words for part in parts for words in part.words),
            spec,
            torch.cat(chances) if chances else None,
            tuple(one for part in parts for one in part.each),
            comparisons[0].joined(comparisons) if comparisons else None,
        )


@runtime_checkable
class Decision(Protocol):
    """Anything that turns an `Outcome` into a `Verdict`."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers the score is read from; empty when it is read from the output."""
        ...

    def decide(self, outcome: Outcome) -> Verdict: ...


@runtime_checkable
class NeedsModel(Protocol):
    """A decision that has to see its model first, because it holds pictures the model must embed."""

    def prepare(self, embedder: Embedder) -> Decision:
        """The decision, ready to decide."""
        ...


def class_scores(output: Any) -> Float[Tensor, "n classes"]:
    """The class scores in whatever a model returned: a tensor, `.logits`, or the first (n, classes) part.

    Raises:
        TargetError: when nothing in the output looks like class scores.
    """
    candidates = [output] if isinstance(output, Tensor) else _named_first(tensor_parts(output))
    for tensor in candidates:
        if tensor.ndim in (1, 2) and tensor.is_floating_point():
            return tensor[:, None] if tensor.ndim == 1 else tensor
    raise TargetError(
        f"the model returned {_describe(output)}, in which no class scores (n, classes) were found: "
        "pass target=lambda output: … that returns one score per image, shape (n,)"
    )


def probabilities(scores: Float[Tensor, "n classes"]) -> Float[Tensor, "n classes"]:
    """Each class's probability: softmax of logits, sigmoid of a single one, or what the model made of them itself."""
    last = last_operation(scores)
    if last.startswith("LogSoftmax"):
        return scores.exp()
    if last.startswith(("Sigmoid", "Softmax")) or _sums_to_one(scores):
        return two_sided(scores) if scores.shape[1] == 1 else scores
    if scores.shape[1] == 1:
        positive = scores.sigmoid()
        return torch.cat([1 - positive, positive], 1)
    return scores.softmax(1)


def two_sided(scores: Float[Tensor, "n classes"]) -> Float[Tensor, "n classes"]:
    """Class scores of a one-output model as those of two classes; others pass as they are.

    (−z, z) of a logit, (1 − p, p) where the model ends in a sigmoid.
    """
    if scores.shape[1] != 1:
        return scores
    return torch.cat([1 - scores if last_operation(scores).startswith("Sigmoid") else -scores, scores], 1)


def last_operation(tensor: Tensor) -> str:
    """The name of the last operation in the graph that changed numbers, not only their shape; '' without a graph."""
    node = tensor.grad_fn
    while node is not None and type(node).__name__.startswith(_RESHAPING) and node.next_functions:
        node = node.next_functions[0][0]
    return type(node).__name__ if node is not None else ""


_RESHAPING = (
    "View", "UnsafeView", "Reshape", "Squeeze", "Unsqueeze", "Select", "Slice", "Clone", "Alias", "IndexSelect",
)  # fmt: skip


def _sums_to_one(scores: Float[Tensor, "n classes"]) -> bool:
    total = scores.detach().float().sum(1)
    return (
        scores.shape[1] > 1 and bool((scores >= 0).all()) and torch.allclose(total, torch.ones_like(total), atol=1e-3)
    )


def _named_first(parts: dict[str, Tensor]) -> list[Tensor]:
    named = [parts[key] for key in ("logits", "output", "out") if key in parts]
    return named + list(parts.values())


def _describe(output: Any) -> str:
    if isinstance(output, Tensor):
        return f"a tensor {tuple(output.shape)}"
    parts = ", ".join(f"{key}: {tuple(part.shape)}" for key, part in tensor_parts(output).items())
    return f"{type(output).__name__}({parts})"
