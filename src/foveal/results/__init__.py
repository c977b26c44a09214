"""What the verbs give: frozen results that draw, save and load themselves."""

from foveal.results.explanation import JSON, Explanation
from foveal.results.flow import Flow
from foveal.results.match import Match
from foveal.results.parts import Parts
from foveal.results.scores import Scores

__all__ = ["JSON", "Explanation", "Flow", "Match", "Parts", "Scores"]
