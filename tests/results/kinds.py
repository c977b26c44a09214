"""A small result of every kind that is saved, and how to tell two of them apart."""

from __future__ import annotations

import atexit
import math
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import foveal
from foveal.featurevis import Octave, Schedule
from foveal.images import Photo, Preprocessing
from foveal.models import Model
from foveal.results import Explanation, Flow, Match, Parts, Scores
from foveal.results.channel_examples import ChannelExamples
from foveal.results.class_contrast import ClassContrast
from foveal.results.class_tree import ClassTree
from foveal.results.deletion_test import DeletionTest, DeletionTests
from foveal.results.episode import Episode
from foveal.results.explanations import Explanations
from foveal.results.feature_images import FeatureImages
from foveal.results.retrieval import Retrieval
from foveal.results.sanity import Checked, Sanity
from foveal.results.shortcuts import ClassGroup, Shortcuts, Suspect
from foveal.results.tiled import TiledExplanation
from foveal.results.tree import Tree
from foveal.runs.group_effect import GroupEffect
from foveal.runs.reasons import ReasonGroup, Reasons
from foveal.runs.result import Run
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
    pair = foveal.match(net, pictures(1), pictures(2), lines=2)
    return replace(pair, query_labels=("a",), reference_labels=("a", "=b"), ranks=((9, 1),))


def retrieval() -> Retrieval:
    net = Model(nn.Sequential(Tiny().one, Tiny().two, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval(), "body",
                Preprocessing((16, 16)))  # fmt: skip
    first, second = pictures(2)
    return foveal.retrieve(net, [first, second], [first, second, first[::-1].copy()], query_labels=["a", "=b"],
                           reference_labels=["=b", "a", "a"], draws=2)  # fmt: skip


def feature_images() -> FeatureImages:
    return foveal.visualize(
        small(), colored()[:3], layer="relu2", facets=1, schedule=Schedule((Octave(1.0, 4),), check=2)
    )


def tree() -> Tree:
    grown = foveal.decompose(tiny(), pictures(1)[0], foveal.Class("b"), branching=2).grow(1)
    return grown.look() if grown.features else grown


def class_tree() -> ClassTree:
    return foveal.class_tree(tiny(), pictures(2), foveal.Class("b"), depth=1, branching=2)


def class_contrast() -> ClassContrast:
    images = [*pictures(2), *(255 - picture for picture in pictures(2))]
    trees = foveal.class_tree(tiny(), images, foveal.Class("b"), depth=1, branching=2, nodes="parts", reference="zero")
    return trees.select([0, 1]).contrast(trees.select([2, 3]), ("one", "b\u2028"), by="score")


def sanity() -> Sanity:
    def curve(*values: float) -> dict[str, float]:
        return dict(zip(("spearman", "absolute", "ssim", "hog"), values, strict=True))

    first = Checked((curve(0.5, 0.4, 0.3, 0.2), curve(0.1, math.nan, -0.0, 0.2)), curve(0.05, 0.1, 0.1, math.nan), 0.25,
                    (0.1, math.nan), (True, False))  # fmt: skip
    blank = Checked((curve(*[math.nan] * 4),) * 2, curve(*[math.nan] * 4), None, (math.nan, 1.0), (), True)
    return Sanity({"a": first, "b\u2028": blank}, ("two", "one"), (0.1, 0.2), "net", 2, False, ("a note",), 0.5,
                  {"foveal": "0"})  # fmt: skip


def shortcuts() -> Shortcuts:
    torch.manual_seed(0)
    maps = torch.rand(2, 8, 8)
    groups = ClassGroup((0, 1), maps.mean(0), 0.2, 1.5, 0.1), ClassGroup((1,), maps[1], math.nan, 1.0, math.nan)
    suspects = Suspect("jay (1)", 1, 2, 0.9, 0.01, 0.3, True, groups), Suspect("=x", 0, 2, 0.5, 1.0, 0.0, False, groups)
    return Shortcuts(suspects, BATCH.photos[:2], maps, 0.125, "m", "net", ("a note",), 0.5, {"foveal": "0"})


def episode() -> Episode:
    why = explanation(notes=("a note",))
    other = replace(why, maps={name: -map for name, map in why.maps.items()})
    support = {"a": why.photos[:1], "": ()}
    return Episode(
        {"a": why, "": other}, support, torch.tensor([[0.75, 0.25], [0.5, 0.5]]), ("n",), 0.5, {"foveal": "0"},
        ("a", "=b"),
    )  # fmt: skip


def explanations() -> Explanations:
    why = explanation(notes=("a note",))
    return Explanations((why, replace(why, method="=other", maps={name: -map for name, map in why.maps.items()})))


def audit() -> DeletionTests:
    tests = DeletionTest("m", "x.png", "jay", "score", 1.5, 0.1, 0.5, (1.0, 1.25)), DeletionTest(
        "=m", "\u2028", "jay", "score", math.nan, 0.0, None, ())  # fmt: skip
    return DeletionTests(tests, ("a note",), 0.5, {"foveal": "0"})


@cache
def photo_files() -> Path:
    from PIL import Image

    place = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    for i, pixels in enumerate(pictures()):
        Image.fromarray(pixels).save(place / f"{i}.png")
    return place


def channels() -> ChannelExamples:
    return foveal.channels(tiny(), photo_files(), cache=None, most=2)


@cache
def run() -> Run:
    (photo_files() / "broken.png").write_bytes(b"no image")
    try:
        return foveal.run(tiny(), photo_files(), layer=["one", "two"], out=photo_files().parent / f"run-{os.getpid()}")
    finally:
        (photo_files() / "broken.png").unlink()


def reasons() -> Reasons:
    rows = np.flatnonzero([error is None for error in run()["error"]])
    places = np.random.default_rng(0).random((len(rows), 2)).astype(np.float32)
    group = np.arange(len(rows)) % 2
    tested = GroupEffect(1.5, 0.5, 0.2, beats=0.9, p=0.04, area=0.2)
    one = ReasonGroup("a", rows[group == 0], torch.rand(4, 4), (1, 0))
    other = ReasonGroup("a", rows[group == 1], torch.rand(4, 4), (2,), odd=True, hiding=tested, appearance=tested)
    return Reasons(run(), rows, places, group, places[:, 0], (one, other), notes=("few",))


KINDS: dict[str, tuple[Callable[[], Any], Callable[[Path], Any]]] = {
    "explanation": (
        lambda: explanation(measured={"late": {"apart": [math.inf, math.nan]}}, score=torch.tensor([math.nan, 1.0])),
        Explanation.load,
    ),
    "flow": (lambda: foveal.flow(tiny(), pictures(1)), Flow.load),
    "tiles": (lambda: foveal.tiles(tiny(), pictures(1)[0], foveal.Class("b"), side=16), TiledExplanation.load),
    "parts": (lambda: foveal.parts(tiny(), pictures(1), count=2), Parts.load),
    "match": (match, Match.load),
    "retrieval": (retrieval, Retrieval.load),
    "feature_images": (feature_images, FeatureImages.load),
    "tree": (tree, Tree.load),
    "scores": (scores, Scores.load),
    "class_tree": (class_tree, ClassTree.load),
    "class_contrast": (class_contrast, ClassContrast.load),
    "sanity": (sanity, Sanity.load),
    "shortcuts": (shortcuts, Shortcuts.load),
    "episode": (episode, Episode.load),
    "explanations": (explanations, Explanations.load),
    "audit": (audit, DeletionTests.load),
    "channels": (channels, ChannelExamples.load),
    "run": (run, Run.load),
    "reasons": (reasons, Reasons.load),
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
        unsaved = ("expander", "illustrator", "channel_examples")
        inside = {name: value for name, value in vars(result).items() if name not in unsaved}
        return fingerprint(tree=inside)
    if isinstance(result, ClassTree | ClassContrast):
        inside = {
            one.name: getattr(result, one.name) for one in fields(result) if one.name not in ("trees", "here", "there")
        }
        return fingerprint(trees=[known(tree) for tree in result.trees], **inside)
    if isinstance(result, Flow):
        return fingerprint(flow={name: value for name, value in vars(result).items() if name != "auditor"})
    if isinstance(result, Run):
        columns = {name: values.tolist() for name, values in result.table.items()}
        maps = [result.explained.maps(layer) for layer in result.layers]
        record = {name: value for name, value in vars(result.record).items() if name != "files"}
        return fingerprint(record=record, columns=columns, maps=maps, whole=result.whole, root=str(result.root))
    if isinstance(result, Reasons):
        inside = {name: value for name, value in vars(result).items() if name not in ("run", "folder")}
        return fingerprint(run=known(result.run), **inside)
    if isinstance(result, Retrieval):  # what it works out when it is asked is not saved
        return fingerprint(**{one.name: getattr(result, one.name) for one in fields(result)})
    return fingerprint(result=result)


def called(why: Explanation, *names: str) -> Explanation:
    """The same of photos that bear other names."""
    photos = tuple(
        Photo(one.pixels, one.geometry, name, one.notes) for one, name in zip(why.photos, names, strict=True)
    )
    return replace(why, photos=photos)
