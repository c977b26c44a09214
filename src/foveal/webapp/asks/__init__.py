"""What the page can ask: one file an ask. Importing this package registers all of them."""

from foveal.webapp.asks import decision, library, scene, scores, stages, truth, upload

__all__ = ["decision", "library", "scene", "scores", "stages", "truth", "upload"]
