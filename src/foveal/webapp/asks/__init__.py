"""What the page can ask: one file an ask. Importing this package registers all of them."""

from foveal.webapp.asks import baselines, comparison, deciding, decision, library, method_scores, scores, stages, upload

__all__ = [
    "baselines",
    "comparison",
    "deciding",
    "decision",
    "library",
    "method_scores",
    "scores",
    "stages",
    "upload",
]
