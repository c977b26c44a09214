"""What the page can ask: one file an ask. Importing this package registers all of them."""

from foveal.webapp.asks import decision, deletion, depth, edited, hiding, library, scores, switched, upload

__all__ = ["decision", "deletion", "depth", "edited", "hiding", "library", "scores", "switched", "upload"]
