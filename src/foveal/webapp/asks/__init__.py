"""What the page can ask: one file an ask. Importing this package registers all of them."""

from foveal.webapp.asks import decision, library, scores, stages, tree, tree_without, upload

__all__ = ["decision", "library", "scores", "stages", "tree", "tree_without", "upload"]
