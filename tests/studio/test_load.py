"""Several pages at once: right answers, each computed once, and work that stops when nobody waits for it."""

from __future__ import annotations

import base64
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import foveal
from foveal.synthetic import demo_scenes
from foveal.synthetic.drawing import render
from foveal.webapp import jobs as jobs_module
from foveal.webapp.serve import serving
from foveal.webapp.studio import Studio
from tests import real_networks
from tests.studio.asking import Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from foveal.models import Model
    from foveal.webapp.serve import StudioServer

METHODS = ("gradcam", "hirescam", "layercam", "gradcam++")
SCENES = demo_scenes()[:3]


@pytest.fixture
def counted() -> tuple[Model, list[int]]:
    """A network, and the number of images of each of its forward passes from now on."""
    model, passes = foveal.load_model("demo"), []
    model.module.register_forward_pre_hook(lambda module, inputs: passes.append(len(inputs[0])))
    return model, passes


@pytest.fixture
def own_server(counted: tuple[Model, list[int]]) -> Iterator[StudioServer]:
    """A studio with nothing computed yet."""
    studio = Studio({"demo": counted[0]})
    studio.add_scenes(SCENES)
    with serving(studio, port=0) as server:
        yield server


def photos(client: Client) -> list[str]:
    return [photo["hash"] for photo in client.answer("library")["photos"]]


def answer(client: Client, photo: str) -> Any:
    """Of a method with many passes, so that several pages wait for it."""
    return client.answer("decision", photo=photo, model="demo", method="occlusion:window=40,stride=40")


def maps(answer: Any) -> dict[str, np.ndarray]:
    """The maps of an answer, as the page decodes them."""
    return {
        layer: np.frombuffer(base64.b64decode(map["values"]), "<f2").reshape(map["rows"], map["columns"]) * map["scale"]
        for layer, map in zip(answer["layers"], answer["maps"], strict=True)
    }


def test_four_pages_at_once_get_what_python_gets(own_server: StudioServer) -> None:
    """Each asks everything, in an order of its own, while the others ask, too."""
    hashes = photos(Client(own_server))
    asked = [(photo, method) for photo in range(len(hashes)) for method in METHODS]

    def page(number: int) -> dict[tuple[int, str], Any]:
        client, mine = replace(Client(own_server), page=f"page{number}"), list(asked)
        np.random.default_rng(number).shuffle(mine)
        return {
            (photo, method): client.answer("decision", photo=hashes[photo], model="demo", method=method)
            for photo, method in ((int(photo), str(method)) for photo, method in mine)
        }

    with ThreadPoolExecutor(4) as pages:
        answers = list(pages.map(page, range(4)))
    model = foveal.load_model("demo")
    for photo, method in asked:
        why = foveal.explain(model, [render(SCENES[photo])[0]], method=method, layer="all")
        first, *others = (answer[photo, method] for answer in answers)
        assert all(other == first for other in others)
        assert first["score"] == pytest.approx(float(why.score[0]), rel=1e-5)
        assert first["target"] == why.target[0]
        assert first["layers"] == list(why.layers)
        for layer, map in maps(first).items():
            expected = why.maps[layer][0].numpy()
            np.testing.assert_allclose(map, expected, atol=1e-3 * np.abs(expected).max())


def test_what_four_pages_ask_at_once_is_computed_once(
    own_server: StudioServer, counted: tuple[Model, list[int]]
) -> None:
    """As many forward passes as one page that asks alone."""
    client, passes = Client(own_server), counted[1]
    first, second, *_ = photos(client)
    client.answer("scores", photo=first, model="demo")  # what is found out once a model
    client.answer("decision", photo=first, model="demo", method="occlusion")
    passes.clear()
    answer(client, first)
    alone = sum(passes)
    passes.clear()
    with ThreadPoolExecutor(4) as pages:
        answers = list(pages.map(lambda number: answer(Client(own_server, f"page{number}"), second), range(4)))
    assert all(answer == answers[0] for answer in answers)
    assert sum(passes) == alone > 5
    passes.clear()
    assert answer(client, second) == answers[0]
    assert not passes, "the answer is kept"


LONG = ["rise:count=1000000", "scorecam", "occlusion:window=3,stride=1", "smoothgrad:samples=100000"]


@pytest.mark.parametrize("method", LONG)
def test_a_cancel_stops_the_work(own_server: StudioServer, counted: tuple[Model, list[int]], method: str) -> None:
    """Soon no forward pass begins any more; how soon, `benchmarks/studio.py` measures."""
    client, passes = Client(own_server), counted[1]
    photo = photos(client)[0]
    job = client.ask("decision", photo=photo, model="demo", method=method).json["job"]
    assert next(client.events(job))["kind"] == "progress"
    assert client.cancel(job).json is True
    assert client.answer("scores", photo=photo, model="demo")["classes"], "the model is free again"
    passes.clear()
    time.sleep(0.3)
    assert not passes
    assert client.cancel(job).json is False


def test_a_page_that_goes_away_stops_its_work(
    own_server: StudioServer, counted: tuple[Model, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its stream of events ends, and nobody else waits."""
    monkeypatch.setattr(jobs_module, "GRACE", 0.1)
    client, passes = Client(own_server), counted[1]
    photo = photos(client)[0]
    job = client.ask("decision", photo=photo, model="demo", method="rise:count=1000000").json["job"]
    events = client.events(job)
    next(events)
    events.close()
    until = time.monotonic() + 20
    while time.monotonic() < until:
        passes.clear()
        time.sleep(0.5)
        if not passes:
            break
    assert not passes


def test_a_question_that_is_dropped_before_it_is_answered_stops(
    own_server: StudioServer, counted: tuple[Model, list[int]]
) -> None:
    """The page moved on within a moment: the connection is gone before the server says that it takes longer."""
    client, passes = Client(own_server), counted[1]
    body = json.dumps({"photo": photos(client)[0], "model": "demo", "method": "rise:count=1000000"}).encode()
    head = (
        f"POST /api/decision HTTP/1.1\r\nHost: 127.0.0.1:{own_server.port}\r\nContent-Type: application/json\r\n"
        f"Authorization: {client.key['authorization']}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", own_server.port)) as connection:
        connection.sendall(head.encode() + body)
        time.sleep(0.05)
    time.sleep(0.6)
    passes.clear()
    time.sleep(0.4)
    assert not passes


@pytest.mark.real
@pytest.mark.parametrize("method", ["scorecam", "occlusion"])
def test_a_cancel_stops_a_real_network(data: Path, method: str) -> None:
    """ResNet-50 on a photo: after the passes that are in work, none begins."""
    model, passes = real_networks.resnet50(), []
    model.module.register_forward_pre_hook(lambda module, inputs: passes.append(len(inputs[0])))
    studio = Studio({"resnet50": model})
    studio.add_photos([next(iter(sorted((data / "images").rglob("*.jpg"))))])
    with serving(studio, port=0) as server:
        client = Client(server)
        job = client.ask("decision", photo=photos(client)[0], model="resnet50", method=method).json["job"]
        assert any(event["done"] for event in client.events(job)), "it has begun"
        assert server.busy
        client.cancel(job)
        begun = len(passes)
        until = time.monotonic() + 60
        while server.busy and time.monotonic() < until:
            time.sleep(0.01)
        assert not server.busy
        assert len(passes) - begun <= 1, "the chunk in work was the last"
