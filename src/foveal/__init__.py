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
    from foveal.api.audit import audit
    from foveal.api.channels import channels
    from foveal.api.decompose import class_tree, decompose
    from foveal.api.episode import episode
    from foveal.api.explain import compare, explain, stages
    from foveal.api.flow import flow, flows, follow_pair
    from foveal.api.match import match
    from foveal.api.measure import measure
    from foveal.api.parts import parts
    from foveal.api.retrieve import retrieve
    from foveal.api.sanity import sanity
    from foveal.api.shortcuts import shortcuts
    from foveal.api.tiles import tiles
    from foveal.api.visualize import visualize
    from foveal.attribution.embedding import find_embedding
    from foveal.engine.stages import Stage
    from foveal.errors import FovealError
    from foveal.images import Preprocessing
    from foveal.methods import METHODS, Method, register
    from foveal.models import BlackBox, Model, list_models, load_model, save_model
    from foveal.report.saved_page import save_page
    from foveal.results import Explanation, Flow, Match, Parts, Scores
    from foveal.results.channel_examples import ChannelExamples
    from foveal.results.episode import Episode
    from foveal.results.explanations import Explanations
    from foveal.results.feature_images import FeatureImages
    from foveal.results.retrieval import Retrieval
    from foveal.results.tiled import TiledExplanation
    from foveal.results.tree import Tree
    from foveal.runs.group_reasons import reasons
    from foveal.runs.reasons import Reasons
    from foveal.runs.result import Run
    from foveal.runs.run import run
    from foveal.similarity import Learned
    from foveal.targets import (
        Against,
        Box,
        Class,
        Corpus,
        Group,
        Labels,
        Margin,
        Neighbors,
        Neuron,
        Prototypes,
        Region,
        Similar,
        Target,
        Value,
    )
    from foveal.webapp.handle import studio

_HOME = {
    "compare": "api.explain",
    "explain": "api.explain",
    "stages": "api.explain",
    "audit": "api.audit",
    "sanity": "api.sanity",
    "Against": "targets",
    "Box": "targets",
    "Class": "targets",
    "Corpus": "targets",
    "Group": "targets",
    "Target": "targets",
    "Labels": "targets",
    "Margin": "targets",
    "Neighbors": "targets",
    "Neuron": "targets",
    "ChannelExamples": "api.channels",
    "channels": "api.channels",
    "Prototypes": "targets",
    "Region": "targets",
    "Similar": "targets",
    "Value": "targets",
    "find_embedding": "attribution.embedding",
    "Stage": "engine.stages",
    "FovealError": "errors",
    "Preprocessing": "images",
    "class_tree": "api.decompose",
    "decompose": "api.decompose",
    "episode": "api.episode",
    "flow": "api.flow",
    "flows": "api.flow",
    "follow_pair": "api.flow",
    "match": "api.match",
    "measure": "api.measure",
    "METHODS": "methods",
    "Method": "methods",
    "register": "methods",
    "Model": "models",
    "BlackBox": "models",
    "list_models": "models",
    "load_model": "models",
    "save_model": "models",
    "save_page": "report.saved_page",
    "parts": "api.parts",
    "tiles": "api.tiles",
    "retrieve": "api.retrieve",
    "Reasons": "runs.reasons",
    "Run": "runs.result",
    "reasons": "runs.group_reasons",
    "run": "runs.run",
    "Retrieval": "results.retrieval",
    "visualize": "api.visualize",
    "FeatureImages": "results.feature_images",
    "Episode": "results.episode",
    "Explanation": "results",
    "Explanations": "results.explanations",
    "Flow": "results",
    "Match": "results",
    "Parts": "results",
    "Scores": "results",
    "shortcuts": "api.shortcuts",
    "studio": "webapp.handle",
    "Learned": "similarity",
    "TiledExplanation": "results.tiled",
    "Tree": "results.tree",
}

_PACKAGES = (
    "attention",
    "attribution",
    "engine",
    "featurevis",
    "images",
    "methods",
    "metrics",
    "models",
    "render",
    "results",
    "similarity",
    "synthetic",
    "targets",
)

__all__ = [
    "METHODS",
    "Against",
    "BlackBox",
    "Box",
    "ChannelExamples",
    "Class",
    "Corpus",
    "Episode",
    "Explanation",
    "Explanations",
    "FeatureImages",
    "Flow",
    "FovealError",
    "Group",
    "Labels",
    "Learned",
    "Margin",
    "Match",
    "Method",
    "Model",
    "Neighbors",
    "Neuron",
    "Parts",
    "Preprocessing",
    "Prototypes",
    "Reasons",
    "Region",
    "Retrieval",
    "Run",
    "Scores",
    "Similar",
    "Stage",
    "Target",
    "TiledExplanation",
    "Tree",
    "Value",
    "__version__",
    "audit",
    "channels",
    "class_tree",
    "compare",
    "decompose",
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
    "reasons",
    "register",
    "retrieve",
    "run",
    "sanity",
    "save_model",
    "save_page",
    "shortcuts",
    "stages",
    "studio",
    "tiles",
    "visualize",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"foveal.{_HOME[name]}"), name)
    if name in _PACKAGES:
        return import_module(f"foveal.{name}")
    raise AttributeError(f"module 'foveal' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
