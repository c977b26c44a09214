"""Every keyword of every verb takes what its annotation says, or says in one sentence what it wants."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

import foveal
from foveal.engine.keywords import checked
from foveal.errors import MethodError, TargetError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from foveal.attribution.perturbation import Progress
    from foveal.images import Preprocessing


def net() -> nn.Module:
    torch.manual_seed(0)
    f = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU())
    return nn.Sequential(f, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)).eval()


NET, X, TWO, EIGHT = net(), torch.randn(1, 3, 20, 20), torch.randn(2, 3, 20, 20), torch.randn(8, 3, 20, 20)

VERBS: dict[str, Callable[..., Any]] = {
    "explain": lambda **k: foveal.explain(NET, X, 1, **k),
    "compare": lambda **k: foveal.compare(NET, X, 1, **{"methods": ["gradcam"], **k}),
    "stages": lambda **k: foveal.stages(NET, X, **k),
    "match": lambda **k: foveal.match(NET, X, TWO, **k),
    "flow": lambda **k: foveal.flow(NET, X, 1, **k),
    "parts": lambda **k: foveal.parts(NET, X, 1, **k),
    "decompose": lambda **k: foveal.decompose(NET, X, 1, **k).grow(1),
    "measure": lambda **k: foveal.measure(
        NET, X, 1, **{"explanations": ["gradcam"], "metrics": ["drop"], "baseline_maps": False, **k}
    ),
    "audit": lambda **k: foveal.audit(NET, X, 1, **{"explanations": foveal.explain(NET, X, 1), "draws": 2, **k}),
    "sanity": lambda **k: foveal.sanity(NET, X, 1, **{"steps": 1, "radii": (0.1,), **k}),
    "episode": lambda **k: foveal.episode(NET, X, TWO, ["a", "b"], **k),
    "shortcuts": lambda **k: foveal.shortcuts(NET, EIGHT, [0] * 4 + [1] * 4, **k),
    "visualize": lambda **k: foveal.visualize(NET, TWO, **{"layer": 1, "steps": 1, "facets": 1, **k}),
    "load_model": lambda **k: foveal.load_model("demo", **k),
}


class Odd:
    def __repr__(self) -> str:
        raise ZeroDivisionError("even my name is broken")


JUNK: tuple[Any, ...] = (
    True, -1, 10**30, 1.5, math.nan, math.inf, "", "nonsense", "²", b"x", [], [None], [[1]], ["nonsense"], (1e9,),
    (True,), {}, {"a": 1}, {1}, object(), Odd(), np.array(3), np.bool_(True), torch.tensor([[1.5]]), ..., "a\0b",
)  # fmt: skip

FREE = {
    "progress",
    "setting",
    "objective_weights",
    "schedule",
    "grouping",
    "background",
    "checkpoint",
    "cache",
    "start",
}
"""Keywords of feature images and files that others look after, and callables, which may do as they like when called."""


def keywords(verb: str) -> list[str]:
    parameters = inspect.signature(getattr(foveal, verb)).parameters.values()
    return [one.name for one in parameters if one.kind is one.KEYWORD_ONLY and one.name not in FREE]


PAIRS = [(verb, name) for verb in VERBS if verb != "visualize" for name in keywords(verb)]


@pytest.mark.parametrize(("verb", "name"), PAIRS)
def test_junk_is_refused_in_one_sentence_or_taken_right(verb: str, name: str) -> None:
    for value in JUNK:
        try:
            VERBS[verb](**{name: value})
        except foveal.FovealError as error:
            said = str(error)
            assert "\n" not in said and len(said) < 700 and said.isprintable()


@pytest.mark.parametrize(("verb", "name"), [(verb, name) for verb in VERBS for name in keywords(verb)])
def test_numbers_and_flags_are_not_mistaken_for_each_other(verb: str, name: str) -> None:
    kind = str(inspect.signature(getattr(foveal, verb)).parameters[name].annotation).removesuffix(" | None")
    wrong = {"int": True, "float": False, "bool": 1, "str": 5}.get(kind)
    if wrong is not None:
        with pytest.raises(MethodError, match=rf"{verb} cannot take {name}={wrong}: give "):
            VERBS[verb](**{name: wrong})


@pytest.mark.parametrize(
    ("keyword", "words"),
    [
        ({"layer": 1.5}, "1.5 is no layer"),
        ({"layer": True}, "True is no layer"),
        ({"layer": b"0"}, "b'0' is no layer"),
        ({"layer": ["0", ["0"]]}, r"\['0'\] is no layer"),
        ({"layer": []}, "no layer was given"),
        ({"layer": ""}, "layer name is empty"),
        ({"layer": "²"}, "no layer '²'"),
        ({"layer": {"0"}}, "is no layer"),
        pytest.param({"layer": 10**5000}, "no stage", id="stage of 5000 digits"),
        ({"method": None}, "explain cannot take method=None"),
        ({"method": 5}, "explain cannot take method=5"),
        ({"method": []}, r"explain cannot take method=\[\]"),
        ({"method": ""}, "no method"),
        ({"scales": (1e9,)}, "not fit into memory"),
        ({"scales": (math.nan,)}, "a list of numbers"),
        ({"scales": (True,)}, "a list of numbers"),
        ({"scales": "12"}, "a list of numbers"),
        ({"scales": ()}, "different numbers"),
        ({"labels": "abcd"}, "'abcd' as labels: pass a list"),
        ({"labels": {0: "a"}}, "as labels: pass a list"),
        ({"labels": {"a", "b"}}, "as labels: pass a list"),
        ({"labels": ["a", 2, "c", "d"]}, "2 as the label of class 1"),
        ({"labels": ["a", "b", "c", "\ud800"]}, r"'\\ud800' as the label of class 3"),
        ({"preprocessing": "imagenet"}, "a foveal.Preprocessing, such as"),
        ({"differentiable": 1}, "True or False"),
        ({"keywords": [("a", 1)]}, "a dict of arguments"),
        ({"inputs": 5}, "a tuple of arguments"),
        ({"progress": 5}, "give a function"),
    ],
)
def test_sentences(keyword: dict[str, Any], words: str) -> None:
    with pytest.raises(foveal.FovealError, match=words):
        VERBS["explain"](**keyword)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (True, "target True: 1 is a class"),
        (np.bool_(False), "0 is a class"),
        ([True], "target True"),
        (torch.tensor([True]), "target"),
        (2.0, "target 2.0"),
        (b"1", "target b'1'"),
        (torch.tensor(1.0), "target tensor"),
        ({"a": 1}, "target"),
        ([[1]], "target"),
        ([1.5], "target"),
        (object(), "target <object"),
        pytest.param(Odd(), "target a Odd", id="odd"),
        pytest.param(10**5000, "out of range", id="5000 digits"),
        (-5, "out of range"),
        ("²", "names of the classes are not known"),
        ("--5", "names of the classes are not known"),
        ("１", "names of the classes are not known"),
        ("+1", "names of the classes are not known"),
        ("1_0", "names of the classes are not known"),
        ("", "without a name"),
        ("  ", "without a name"),
        ("9" * 5000, "names of the classes are not known"),
        (torch.ones(1, dtype=torch.long, device="meta"), "target"),
        (foveal.Class, "target"),
    ],
)
def test_what_is_no_target(target: Any, words: str) -> None:
    for verb in (foveal.explain, foveal.flow, foveal.parts, foveal.decompose, foveal.sanity):
        with pytest.raises(TargetError, match=words):
            verb(NET, X, target)


def test_what_is_a_target() -> None:
    right = foveal.explain(NET, X, 1).map
    for target in (" 1 ", "1", np.int8(1), np.array(1), np.array([1]), torch.tensor(1), torch.tensor([1]), -3):
        assert torch.equal(foveal.explain(NET, X, target).map, right)
    assert torch.equal(foveal.explain(NET, X, "3", labels=["3", "1", "2", "0"]).map, foveal.explain(NET, X, 0).map)


@pytest.mark.parametrize("verb", ["explain", "flow", "parts", "decompose", "measure"])
def test_labels_that_are_not_one_a_class_are_an_error(verb: str) -> None:
    for labels, given in ((["a"], "1 name"), (list("abcde"), "5 names"), (["a", "b", "c"], "3 names")):
        with pytest.raises(foveal.errors.TargetError, match=f"^{given} for 4 outputs: give 4 names"):
            VERBS[verb](labels=labels)
    for known in ({"labels": list("abcd")}, {}):
        VERBS[verb](**known)


def test_numbers_of_numpy_become_pythons() -> None:
    def verb(*, n: int = 1, x: float | None = None, flag: bool = False, each: Sequence[float] = (), seed: int = 0,
             progress: Progress | None = None, more: Mapping[str, Any] | None = None,
             preprocessing: Preprocessing | None = None) -> tuple[Any, ...]:  # fmt: skip
        """Says what it got."""
        return n, x, flag, each

    asked = checked(verb)
    assert asked(n=np.int64(3), x=np.float32(0.5), flag=np.bool_(True), each=np.array([1, 2.5])) == (
        3, 0.5, True, (1.0, 2.5),
    )  # fmt: skip
    assert [type(one) for one in asked(n=2.0, x=1, flag=False)[:3]] == [int, float, bool]
    assert asked.__name__ == "verb" and asked.__doc__ == "Says what it got."
    assert inspect.signature(asked) == inspect.signature(verb)
    for wrong in ({"n": 2.5}, {"n": 2**70}, {"seed": -1}, {"x": "1"}, {"progress": 1}, {"more": {1: 2}}, {"n": None}):
        with pytest.raises(MethodError, match=f"verb cannot take {next(iter(wrong))}="):
            asked(**wrong)
