"""Layer-wise relevance propagation: which rules, what it starts from, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from foveal.engine.rules.linear import LinearRule
from foveal.engine.rules.propagation import Propagation

if TYPE_CHECKING:
    from foveal.decisions import Verdict
    from foveal.passes import Passed


ROUNDING = 1e-3
"""What of a sum may be missing: rounding of single precision is a thousand times less, an operation is more."""


@dataclass(frozen=True)
class Relevance:
    """LRP with one rule for convolutions and one for dense layers.

    Everything else follows from what the operation is: activation functions pass relevance through unchanged
    (R_x = R_y), gates and statistics of a normalisation count as constants, sums share by size, or, with
    `sums="same-sign"`, among the parts that go the sum's way.

    Attributes:
        convolutions: the rule for everything that slides over the map, 1×1 layers included.
        dense: the rule for the layers of the head.
        sums: "plain" or "same-sign".
        seed: what starts: the "score"; "one", so that maps of the same stage can be compared; or "contrast", the
            score at the class, and as much against its rivals, shared among them. A margin has one rival.
    """

    convolutions: LinearRule
    dense: LinearRule
    sums: Literal["plain", "same-sign"] = "plain"
    seed: Literal["score", "one", "contrast"] = "score"

    def mode(self) -> Propagation:
        return Propagation(self.convolutions, self.dense, same_sign=self.sums == "same-sign")

    def start(self, verdict: Verdict) -> Tensor:
        """(n,), whose derivative at the class scores is the relevance to start with over those scores."""
        if self.seed == "score":
            return verdict.score
        size = torch.ones_like(verdict.score) if self.seed == "one" else verdict.score
        size = size.detach()
        scores = verdict.choices
        if scores is None:
            return verdict.score * size / _apart_from_zero(verdict.score.detach())
        if verdict.spec.get("kind") == "margin":
            shares = _one_hot(verdict.spec["a"], scores) - _one_hot(verdict.spec["b"], scores)
        else:
            chosen = _one_hot(verdict.spec["index"], scores)
            rivals = (1 - chosen) / max(1, scores.shape[1] - 1)
            shares = chosen - rivals if self.seed == "contrast" else chosen
        return (scores * shares * size[:, None] / _apart_from_zero(scores.detach())).sum(1)

    def account(self, passed: Passed, measured: dict[str, Any], cautions: list[str]) -> None:
        """How much relevance reached each layer, and what biases and stabilisers took on the way."""
        assert passed.verdict is not None
        score = passed.verdict.score.detach()
        for layer, A in passed.activations.items():
            found = (A * passed.cotangents[layer]).flatten(1).sum(1)
            measured[layer] = {"score": score.tolist(), "relevance": found.tolist()}
        first = next(iter(passed.activations))
        if passed.lost is not None:
            measured[first]["taken by biases and stabilisers"] = passed.lost.tolist()
        cautions += self._words(measured, first) + self._cancels(passed)

    def missing(self, passed: Passed) -> Tensor | None:
        """(n,), 0 where it is no more than rounding."""
        if passed.begun is None or passed.lost is None:
            return None
        first, R = self._arrived(passed)
        begun, lost = passed.begun[:, 0].to(R), passed.lost.to(R)
        missing = begun - R.sum(1) - lost
        scale = begun.abs() + lost.abs() + R.abs().sum(1)
        rounding = max(ROUNDING, 32 * torch.finfo(passed.activations[first].dtype).eps)
        return torch.where(missing.abs() > rounding * scale, missing, 0)

    def _arrived(self, passed: Passed) -> tuple[str, Tensor]:
        """The first layer, and the relevance of each of its places, (n, places)."""
        first = next(iter(passed.activations))
        return first, (passed.activations[first].detach() * passed.cotangents[first]).double().sum(1).flatten(1)

    def _cancels(self, passed: Passed) -> list[str]:
        """Whether relevance of both signs has grown so large that its sum, and with it all else, is rounding."""
        if passed.begun is None or passed.lost is None:
            return []
        first, R = self._arrived(passed)
        size = passed.begun[:, 1].to(R) + passed.lost.to(R).abs()
        if not bool((size < 1e-5 * R.abs().sum(1)).any()):
            return []
        words = f"relevance for and against at {first} is 100,000 times what there is of it, as after a normalization"
        return [f"{words} over places, and what is left is noise: use another layer, or hirescam"]

    def _words(self, measured: dict[str, Any], first: str) -> list[str]:
        if self.seed != "score":
            return []
        found = measured[first]
        score, arrived = found["score"][0], found["relevance"][0]
        taken = found.get("taken by biases and stabilisers", [0.0])[0]
        words = f"relevance at {first} sums to {arrived:.4g} of a score of {score:.4g}"
        return [f"{words}; biases and stabilisers took {taken:.4g}"]


def _one_hot(classes: list[int], scores: Tensor) -> Tensor:
    index = torch.tensor(classes, device=scores.device)[:, None]
    return torch.zeros_like(scores).scatter_(1, index, 1)


def _apart_from_zero(x: Tensor) -> Tensor:
    tiny = torch.finfo(x.dtype).tiny ** 0.5
    return torch.where(x < 0, x.clamp(max=-tiny), x.clamp(min=tiny))
