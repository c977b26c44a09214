"""Any callable on whatever the model returns, as the decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from foveal.engine.model_errors import reason
from foveal.errors import FovealError, TargetError
from foveal.targets.output_kind import describe_output
from foveal.targets.target import ModelOutput, TargetScore


@dataclass(frozen=True)
class Custom:
    """`score(output) -> (n,)`, with output exactly as the model returned it (dict, tuple, object, tensor)."""

    score: Callable[[Any], Tensor]

    @property
    def layers(self) -> tuple[str, ...]:
        return ()

    def decide(self, outcome: ModelOutput) -> TargetScore:
        name = getattr(self.score, "__name__", type(self.score).__name__)
        try:
            score = self.score(outcome.output)
        except FovealError:
            raise
        except Exception as error:
            raise TargetError(
                f"target {name} failed on what the model returned, {describe_output(outcome.output)}: {reason(error)}"
            ) from error
        if not isinstance(score, Tensor) or score.ndim > 1 or not score.is_floating_point():
            got = f"a tensor {tuple(score.shape)}" if isinstance(score, Tensor) else type(score).__name__
            raise TargetError(
                f"target {name} returned {got}: it must return one floating-point score per image, shape (n,)"
            )
        score = score.reshape(-1)
        return TargetScore(
            score, (name,) * len(score), {"kind": "callable", "name": name}, per_image=(self,) * len(score)
        )
