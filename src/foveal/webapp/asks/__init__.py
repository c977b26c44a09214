"""What the page can ask: one file an ask. Importing this package registers all of them."""

from foveal.webapp.asks import channels, decision, feature_image, library, scene, scores, stages, truth, upload

__all__ = ["channels", "decision", "feature_image", "library", "scene", "scores", "stages", "truth", "upload"]
