"""What the verbs give: frozen results that draw, save and load themselves."""

from foveal.results.explanation import JSON, Explanation

__all__ = ["JSON", "Explanation"]
