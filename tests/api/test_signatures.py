"""One signature: whoever knows one verb can guess the others."""

from __future__ import annotations

import inspect
from collections import defaultdict
from typing import Any

import pytest

import foveal

VERBS = (
    "explain", "compare", "flow", "flows", "follow_pair", "match", "retrieve", "decompose", "class_tree", "parts",
    "visualize", "measure", "audit", "sanity", "shortcuts", "episode", "channels", "stages", "tiles", "run",
)  # fmt: skip
TARGET = (
    "explain",
    "compare",
    "flow",
    "decompose",
    "class_tree",
    "parts",
    "visualize",
    "measure",
    "audit",
    "sanity",
    "tiles",
    "run",
)
THIRD = {
    "flows": "targets", "match": "references", "retrieve": "references",
    "follow_pair": "references", "shortcuts": "classes", "episode": "support"
}  # fmt: skip
COMMON = ("inputs", "keywords", "preprocessing", "labels", "task")


def parameters(verb: str) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(getattr(foveal, verb)).parameters)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_takes_a_model_and_images_and_says_all_else_by_name(verb: str) -> None:
    given = parameters(verb)
    kinds = [parameter.kind for parameter in given.values()]
    handed_on = inspect.Parameter.VAR_KEYWORD in kinds  # to the verb of a run, which refuses what it does not know
    assert inspect.Parameter.VAR_POSITIONAL not in kinds and handed_on == (verb == "run")
    places = [name for name, p in given.items() if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    third = "target" if verb in TARGET else THIRD.get(verb)
    assert places[:3] == ["model", "images", *([third] if third else [])]
    assert len(places) <= (4 if verb == "episode" else 3)
    common = [name for name in given if name in COMMON]
    assert common == [name for name in COMMON if name in common]


def test_the_same_keyword_means_the_same_everywhere() -> None:
    meanings: dict[str, dict[Any, list[str]]] = defaultdict(lambda: defaultdict(list))
    for verb in VERBS:
        for name, parameter in parameters(verb).items():
            if name in ("model", "progress", "method", "seed", *COMMON):
                kind = str(parameter.annotation).replace("OutputTask", "Task").removesuffix(" | Scorer")
                kind = kind.removesuffix(" | str")  # a run also takes a network by its name
                meanings[name][kind, str(parameter.default)].append(verb)
    assert {name: dict(kinds) for name, kinds in meanings.items() if len(kinds) > 1 and name != "method"} == {}
