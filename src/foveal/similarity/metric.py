"""How two embeddings are compared, and how what came out splits over channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from foveal.errors import TargetError

if TYPE_CHECKING:
    from jaxtyping import Float

TINY = 1e-12


class Linear(NamedTuple):
    """The similarity as a sum over what the query holds: Σ weights ⊙ q + remainder, weights held fixed."""

    weights: Float[Tensor, "*pairs d"]
    remainder: Float[Tensor, "*pairs"]


@runtime_checkable
class Distance(Protocol):
    """A similarity of two embeddings, or of two maps of local descriptors.

    `q` and `s` are (..., d), or (..., d, h, w) where `local`; what stands before d is broadcast, so all pairs of n
    queries and m references come from `q[:, None]` and `s[None]`. Scores are larger for what is closer, whatever the
    metric is called; `value` is the number people know it by.
    """

    @property
    def name(self) -> str:
        """As it is asked for."""
        ...

    @property
    def local(self) -> bool:
        """It compares descriptors of places rather than one embedding an image."""
        ...

    @property
    def scale_free(self) -> bool:
        """Multiplying an embedding changes no score."""
        ...

    def score(self, q: Tensor, s: Tensor) -> Float[Tensor, "*pairs"]:
        """Larger is closer; attached to q's graph."""
        ...

    def contributions(self, q: Tensor, s: Tensor) -> Float[Tensor, "*pairs e"]:
        """What each channel adds to the score: they sum to it. Detached."""
        ...

    def linear(self, q: Tensor, s: Tensor) -> Linear:
        """The same score as a linear function of q, at this q. Detached."""
        ...

    def mirrored(self, q: Tensor, s: Tensor) -> Linear:
        """The same score as a linear function of s."""
        ...

    def described(self, v: Tensor) -> Tensor:
        """The embedding in the space whose channels `contributions` are about: v itself, mostly."""
        ...

    def value(self, score: float) -> float:
        """The number a person expects: a distance is not negative."""
        ...


def same_length(q: Tensor, s: Tensor, channels: int) -> None:
    """TargetError unless both have as many channels."""
    if q.shape[channels] != s.shape[channels]:
        raise TargetError(
            f"cannot compare an embedding of {q.shape[channels]} numbers with one of {s.shape[channels]}: "
            "query and references must come from the same network"
        )
