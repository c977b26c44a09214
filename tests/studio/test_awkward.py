"""Networks and photos that a person really has: for every question of the page an answer, or a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from PIL import Image
from torch import nn

import foveal
from foveal.models import Model
from foveal.synthetic import demo_scenes, render
from foveal.webapp.app import UNREADABLE
from foveal.webapp.ask import ASKS
from foveal.webapp.jobs import UNEXPECTED
from foveal.webapp.opened_run import show_run
from foveal.webapp.serve import serving
from foveal.webapp.studio import Studio
from tests.studio.asking import Client

if TYPE_CHECKING:
    from collections.abc import Iterator


class Scaled(nn.Module):
    """Three classes, whose scores are times a number that may be none."""

    def __init__(self, factor: float, channels: int = 3) -> None:
        super().__init__()
        self.conv, self.fc, self.factor = nn.Conv2d(channels, 4, 3, 2, 1), nn.Linear(4, 3), factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.conv(x).relu().mean((2, 3))) * self.factor


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    return {
        "no numbers": Scaled(float("nan")),
        "infinite": Scaled(float("inf")),
        "huge": Scaled(3e38),
        "of five channels": Scaled(1.0, channels=5),
    }[name]


SHAPE = {"strokes": [{"points": [[0.4, 0.4], [0.6, 0.6]], "radius": 0.1}]}
NAMES = ("no numbers", "infinite", "huge", "of five channels")


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A studio of such networks, and of an embedding; and a run of one of them."""
    preprocessing = foveal.Preprocessing.named("imagenet", 64)
    models = {name: Model(network(name), name, preprocessing, labels=("a", "b", "c"), task="classes") for name in NAMES}
    studio = Studio({**models, "embed": foveal.load_model("embed")})
    studio.add_scenes(demo_scenes()[:2])
    folder = tmp_path_factory.mktemp("run")
    for number, scene in enumerate(demo_scenes()[:3]):
        Image.fromarray(render(scene)[0]).save(folder / f"{number}.png")
    show_run(studio, foveal.run(models["huge"], folder, out=folder / "out", contributions=True))
    with serving(studio, port=0) as server:
        yield Client(server)


@pytest.mark.parametrize("model", [*NAMES, "embed"])
@pytest.mark.parametrize("name", ASKS)
def test_every_question_has_an_answer_or_a_sentence(awkward: Client, name: str, model: str) -> None:
    library = awkward.answer("library")
    first, second, *_ = (photo["hash"] for photo in library["photos"])
    said = {
        "photo": first, "other": second, "query": first, "than": second, "photos": [first], "among": [second],
        "model": model, "methods": ["gradcam"], "cells": [{"method": "gradcam", "layer": "conv"}], "of": "",
        "at": "conv", "layer": "conv", "channel": 0, "scaled": [{"of": "", "scale": 0.0}], "seed": 1,
        "side": "query", "positions": [[0, 0]], "switch": {"layer": "conv", "channels": [0]},
        "edit": {"shape": SHAPE}, "shapes": [SHAPE], "format": "png",
        "run": library["atlas"], "rows": [0, 1], "row": 0, "points": "Bw==",
        "now": {"address": "#/", "photo": first, "model": model},
        "asked": [{"name": "scores", "query": {"photo": first, "model": model}}],
    }  # fmt: skip
    needed = {field for field, about in ASKS[name].query.model_fields.items() if about.is_required()}
    assert needed <= said.keys(), "tell this test what they are"
    reply = awkward.ask(name, **{field: value for field, value in said.items() if field in needed})
    sentence = "" if reply.status in (200, 202) else reply.sentence
    if reply.status == 202:
        *_, last = awkward.events(reply.json["job"])
        sentence = last["sentence"]
        assert sentence or last["answer"] is not None
    else:
        assert reply.status in (200, 400, 404)
    assert UNEXPECTED not in sentence and UNREADABLE not in sentence


ASKED: list[tuple[dict[str, Any], str]] = [
    ({"layer": "no layer"}, "no layer 'no layer'"),
    ({"layer": "9999999999999999999"}, "layer"),
    ({"method": "no method"}, "no method 'no method'"),
    ({"method": "gradcam:no=1"}, "no option"),
    ({"method": "occlusion:window=-1"}, "window"),
    ({"target": "no class"}, "no class"),
    ({"target": "neuron:conv:99"}, "99"),
    ({"target": "neuron:"}, "neuron:LAYER"),
    ({"target": "a - a"}, "a"),
    ({"target": "own:nothing"}, "nothing"),
    ({"model": "no model"}, "no model 'no model'"),
    ({"photo": "0" * 24}, "no such photo"),
]


@pytest.mark.parametrize(("wrong", "part"), ASKED, ids=lambda value: str(value) if isinstance(value, dict) else "")
def test_what_there_is_not_is_named(awkward: Client, wrong: dict[str, Any], part: str) -> None:
    photo = awkward.answer("library")["photos"][0]["hash"]
    sentence = awkward.problem("decision", **{"photo": photo, "model": "huge", "method": "gradcam", **wrong})
    assert part in sentence
    assert "\n" not in sentence and UNEXPECTED not in sentence


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"\xff"', b"[" * 100_000, b'{"photo": "\\ud800", "model": "huge"}', b"\x00" * 9],
)
def test_what_is_no_question_is_a_sentence(awkward: Client, body: bytes) -> None:
    reply = awkward.send("POST", "/api/decision", body, content_type="application/json", **awkward.key)
    assert reply.status in (400, 422)
    assert reply.sentence and UNEXPECTED not in reply.sentence


def test_no_number_is_a_number_that_json_lacks(awkward: Client) -> None:
    """Scores of a network that gives none are null."""
    photo = awkward.answer("library")["photos"][0]["hash"]
    for model in ("no numbers", "infinite"):
        classes = awkward.answer("scores", photo=photo, model=model)["classes"]
        assert [entry["score"] for entry in classes] == [None] * 3
