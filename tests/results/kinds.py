"""A small result of every kind that is saved, and how to tell two of them apart."""

from __future__ import annotations

import atexit
import math
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

import foveal
from foveal.featurevis import Octave, Schedule
from foveal.images import Photo, Preprocessing
from foveal.models import Model
from foveal.results import Explanation, Flow, Match, Parts, Scores
from foveal.results.feature_images import FeatureImages
from foveal.results.tree import Tree
from foveal.storage.fingerprint import fingerprint
from tests.featurevis.networks import colored, small
from tests.results.test_explanation import BATCH, explanation


class Tiny(nn.Module):
    """Two stages, and logits of three classes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU())
        self.two = nn.Sequential(nn.Conv2d(4, 6, 3, 2, 1), nn.ReLU())
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.pool(self.two(self.one(x))).flatten(1))  # type: ignore[no-any-return]


def tiny() -> Model:
    return Model(Tiny().eval(), "tiny", Preprocessing((16, 16)), ("a", "b", "c"))


def pictures(count: int = 2) -> list[Any]:
    return [photo.pixels for photo in BATCH.photos][:count]


def scores() -> Scores:
    values = {"a": {"m": (0.1, math.nan), "n": (math.inf, -0.0)}, "(b)": {"m": (1e-300, 2.0), "n": (3.0, -math.inf)}}
    return Scores(values, ("x.png", "y\u2028.png"), ("jay", "=crow"), (0.5, math.nan), "score", ("(b)",), "net",
                  {"steps": 3, "fill": math.nan}, 7, ("a note",), 0.5, {"foveal": "0"})  # fmt: skip


def match() -> Match:
    net = Model(nn.Sequential(Tiny().one, Tiny().two, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval(), "body",
                Preprocessing((16, 16)))  # fmt: skip
    return foveal.match(net, pictures(1), pictures(2), lines=2)


def portraits() -> FeatureImages:
    return foveal.visualize(
        small(), colored()[:3], layer="relu2", facets=1, schedule=Schedule((Octave(1.0, 4),), check=2)
    )


def tree() -> Tree:
    grown = foveal.decompose(tiny(), pictures(1)[0], foveal.Class("b"), branching=2).grow(1)
    return grown.look() if grown.features else grown


KINDS: dict[str, tuple[Callable[[], Any], Callable[[Path], Any]]] = {
    "explanation": (
        lambda: explanation(measured={"late": {"apart": [math.inf, math.nan]}}, score=torch.tensor([math.nan, 1.0])),
        Explanation.load,
    ),
    "flow": (lambda: foveal.flow(tiny(), pictures(1)), Flow.load),
    "parts": (lambda: foveal.parts(tiny(), pictures(1), count=2), Parts.load),
    "match": (match, Match.load),
    "portraits": (portraits, FeatureImages.load),
    "tree": (tree, Tree.load),
    "scores": (scores, Scores.load),
}


@cache
def made(kind: str) -> Any:
    """The result itself."""
    return KINDS[kind][0]()


@cache
def saved(kind: str) -> Path:
    """The result in a folder that stays as it is: make a copy."""
    place = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    folder: Path = made(kind).save(place / "out")
    return folder


def copied(kind: str, place: Path) -> Path:
    """The result in a folder of one's own."""
    return Path(shutil.copytree(saved(kind), place))


def known(result: Any) -> str:
    """A fingerprint of all that is saved of a result."""
    if isinstance(result, Tree):
        inside = {name: value for name, value in vars(result).items() if name not in ("expander", "channel_examples")}
        return fingerprint(tree=inside)
    if isinstance(result, Flow):
        return fingerprint(flow={name: value for name, value in vars(result).items() if name != "auditor"})
    return fingerprint(result=result)


def called(why: Explanation, *names: str) -> Explanation:
    """The same of photos that bear other names."""
    photos = tuple(
        Photo(one.pixels, one.geometry, name, one.notes) for one, name in zip(why.photos, names, strict=True)
    )
    return replace(why, photos=photos)
