"""What was decided once, asked again: about the same images in another form, such as another size."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from foveal.targets.target import ModelOutput, TargetScore


@dataclass(frozen=True, eq=False)
class FixedTarget:
    """Each image's own decision, as `TargetScore.per_image` has it.

    Args:
        verdict: what was decided about n images; the same n are to be asked about again.
    """

    verdict: TargetScore

    @property
    def layers(self) -> tuple[str, ...]:
        return self.verdict.per_image[0].layers

    def decide(self, outcome: ModelOutput) -> TargetScore:
        """Asks every decision about the whole batch, and keeps what it says of its own image."""
        own = [target.decide(outcome) for target in self.verdict.per_image]
        score = torch.stack([verdict.score[i] for i, verdict in enumerate(own)])
        words = tuple(verdict.label[i] for i, verdict in enumerate(own))
        parts = [verdict.comparison.rows(i, i + 1) for i, verdict in enumerate(own) if verdict.comparison]
        comparison = parts[0].joined(parts) if parts else None
        choices, notes = own[0].choices, self.verdict.notes
        return TargetScore(score, words, self.verdict.spec, None, self.verdict.per_image, comparison, choices, notes)
