"""foveal: why did the network look there?

    import foveal

    model = foveal.load_model("demo")
    why = foveal.explain(model, "bird.png", method="hirescam")
    why.map                       # (n, h, w), raw and signed, at the layer's own resolution
    why.save("out/")

Names are imported when first used, so that `import foveal` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from foveal._version import __version__

if TYPE_CHECKING:
    from foveal.api import compare, explain, stages
    from foveal.auditing import audit
    from foveal.checking import sanity
    from foveal.decisions import Class, Decision, Margin, Neighbours, Neuron, Prototypes, Similar
    from foveal.decomposing import assemble, decompose
    from foveal.embedding import find_embedding
    from foveal.engine.stages import Stage
    from foveal.episodes import episode
    from foveal.errors import FovealError
    from foveal.flowing import flow, flows, follow_pair
    from foveal.hierarchy.dictionary import Dictionary, dictionary
    from foveal.hierarchy.tree import Tree
    from foveal.images import Preprocessing
    from foveal.matching import match
    from foveal.measuring import measure
    from foveal.methods import METHODS
    from foveal.models import Model, list_models, load_model, save_model
    from foveal.parting import parts
    from foveal.portraying import portray
    from foveal.results import Explanation, Flow, Match, Parts, Scores
    from foveal.results.portraits import Portraits
    from foveal.similarity import Learned
    from foveal.surroundings import shortcuts

_HOME = {
    "compare": "api",
    "explain": "api",
    "stages": "api",
    "audit": "auditing",
    "sanity": "checking",
    "Class": "decisions",
    "Decision": "decisions",
    "Margin": "decisions",
    "Neighbours": "decisions",
    "Neuron": "decisions",
    "Dictionary": "hierarchy.dictionary",
    "dictionary": "hierarchy.dictionary",
    "Prototypes": "decisions",
    "Similar": "decisions",
    "find_embedding": "embedding",
    "Stage": "engine.stages",
    "FovealError": "errors",
    "Preprocessing": "images",
    "assemble": "decomposing",
    "decompose": "decomposing",
    "episode": "episodes",
    "flow": "flowing",
    "flows": "flowing",
    "follow_pair": "flowing",
    "match": "matching",
    "measure": "measuring",
    "METHODS": "methods",
    "Model": "models",
    "list_models": "models",
    "load_model": "models",
    "save_model": "models",
    "parts": "parting",
    "portray": "portraying",
    "Portraits": "results.portraits",
    "Explanation": "results",
    "Flow": "results",
    "Match": "results",
    "Parts": "results",
    "Scores": "results",
    "shortcuts": "surroundings",
    "Learned": "similarity",
    "Tree": "hierarchy.tree",
}

_PACKAGES = (
    "attention",
    "decisions",
    "engine",
    "images",
    "methods",
    "metrics",
    "models",
    "portrait",
    "render",
    "similarity",
    "world",
)

__all__ = [
    "METHODS",
    "Class",
    "Decision",
    "Dictionary",
    "Explanation",
    "Flow",
    "FovealError",
    "Learned",
    "Margin",
    "Match",
    "Model",
    "Neighbours",
    "Neuron",
    "Parts",
    "Portraits",
    "Preprocessing",
    "Prototypes",
    "Scores",
    "Similar",
    "Stage",
    "Tree",
    "__version__",
    "assemble",
    "audit",
    "compare",
    "decompose",
    "dictionary",
    "episode",
    "explain",
    "find_embedding",
    "flow",
    "flows",
    "follow_pair",
    "list_models",
    "load_model",
    "match",
    "measure",
    "parts",
    "portray",
    "sanity",
    "save_model",
    "shortcuts",
    "stages",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"foveal.{_HOME[name]}"), name)
    if name in _PACKAGES:
        return import_module(f"foveal.{name}")
    raise AttributeError(f"module 'foveal' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
