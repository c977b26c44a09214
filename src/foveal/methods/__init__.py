"""The methods there are. Adding one: a file with its formula, a line here, its test, its docs."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from foveal.attribution.method import Method
from foveal.errors import UnknownMethod, shown
from foveal.methods import (
    ablationcam,
    baselines,
    cam,
    deeplift,
    fam,
    gap,
    gradient,
    guided,
    occlusion,
    opticam,
    relevance,
    rise,
    scorecam,
)

_FAMILIES = (
    cam.FAMILY, guided.FAMILY, relevance.FAMILY, gradient.FAMILY,
    scorecam.FAMILY, ablationcam.FAMILY, opticam.FAMILY, occlusion.FAMILY, rise.FAMILY,
    baselines.FAMILY, deeplift.FAMILY, fam.FAMILY, gap.FAMILY,
)  # fmt: skip

METHODS: dict[str, Method] = {method.name: method for family in _FAMILIES for method in family}

FAST = tuple(name for name, method in METHODS.items() if method.needs != "forwards" and not method.similarity)
"""Methods for any decision that need one forward and at most one backward pass."""

COMPARING = tuple(name for name, method in METHODS.items() if method.similarity)
"""Methods for decisions that compare embeddings."""


def find_method(name: str) -> Method:
    """The method called `name`, whatever its case and punctuation ("Grad-CAM" is "gradcam").

    Options follow a colon: "scorecam:clusters=64", "lrp-epsilon:epsilon=0.1".

    Raises:
        MethodError: when there is none, with the nearest names; for options it does not have.
    """
    if not isinstance(name, str) or not name.strip():
        raise UnknownMethod(f"{shown(name)} is no method: give a name of those that `foveal methods` lists")
    name, _, options = name.partition(":")
    return _named(name).with_options(_pairs(name, options))


def find_methods(names: str | Iterable[str]) -> dict[str, Method]:
    """Methods by the name they answer to, each once; "all" and "fast" stand for several."""
    each: list[Any] = list(names) if isinstance(names, list | tuple | dict) else [names]
    several = {"all": tuple(METHODS), "fast": (*FAST, *COMPARING)}
    methods = [
        find_method(name)
        for given in each
        for name in (several.get(given, (given,)) if isinstance(given, str) else (given,))
    ]
    return {method.spelled(METHODS[method.name].options): method for method in methods}


def _named(name: str) -> Method:
    plain = {_plain(key): key for key in METHODS} | {_plain(m.title): m.name for m in METHODS.values()}
    if _plain(name) in plain:
        return METHODS[plain[_plain(name)]]
    near = [plain.get(key, key) for key in get_close_matches(_plain(name), plain, n=2)]
    hint = f"did you mean {' or '.join(near)}?" if near else "`foveal methods` lists them"
    raise UnknownMethod(f"there is no method {name!r}: {hint}")


def _pairs(name: str, text: str) -> dict[str, str]:
    pairs = dict(option.partition("=")[::2] for option in text.split(",") if option)
    for key, value in pairs.items():
        if not value:
            raise UnknownMethod(f"cannot read the option {key!r} of {name}: write {name}:{key}=VALUE")
    return {key.strip(): value.strip() for key, value in pairs.items()}


def _plain(name: str) -> str:
    return name.casefold().replace("plusplus", "++").replace("-", "").replace("_", "").replace(" ", "")


__all__ = ["COMPARING", "FAST", "METHODS", "Method", "find_method", "find_methods"]
