"""What the verbs give: frozen results that draw, save and load themselves.

Names are imported when first used: a map needs nothing of what curves or matches do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal._lazy import lazily

if TYPE_CHECKING:
    from foveal.results.explanation import JSON, Explanation
    from foveal.results.flow import Flow
    from foveal.results.match import Match
    from foveal.results.parts import Parts
    from foveal.results.scores import Scores

_HOME = {
    "JSON": "explanation",
    "Explanation": "explanation",
    "Flow": "flow",
    "Match": "match",
    "Parts": "parts",
    "Scores": "scores",
}

__all__ = ["JSON", "Explanation", "Flow", "Match", "Parts", "Scores"]

__getattr__ = lazily(__name__, _HOME)
