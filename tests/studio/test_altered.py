"""What is asked of altered photos and networks: each number again, from masks and hooks made here."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode

import foveal
from foveal.api.audit import elsewhere
from foveal.metrics import black, hidden
from foveal.metrics.curves import deletion
from foveal.webapp.ask import ASKS
from tests.studio.altered_page import JAY, OTHER, input_of, lead, mask, photo_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from foveal.models import Model
    from foveal.webapp.studio import Studio
    from tests.studio.asking import Client

CREST: dict[str, Any] = {"strokes": [{"radius": 0.09, "points": [[0.55, 0.3], [0.72, 0.27]]}]}
LEAD = "predicted - runner-up"


@pytest.fixture(scope="module")
def model(studio: Studio) -> Model:
    return studio.models["demo"]


@pytest.fixture(scope="module")
def jay(studio: Studio) -> str:
    return photo_named(studio, JAY)


@pytest.fixture(scope="module")
def batch(studio: Studio, jay: str, model: Model) -> Any:
    return input_of(studio, jay, model)


@pytest.fixture(scope="module")
def ask(client: Client, jay: str) -> Callable[..., Any]:
    """The answer about the jay's lead."""
    return lambda name, **query: client.answer(name, **{"photo": jay, "model": "demo", "target": LEAD} | query)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("fill", ["blur", "mean", "black", "noise", "impute"])
def test_the_scores_of_an_edited_photo(
    fill: str, keep: bool, ask: Callable[..., Any], model: Model, batch: Any
) -> None:
    answer = ask("edited", edit={"shape": CREST, "keep": keep, "fill": fill})
    where = mask(CREST, batch)
    hole = (~where if keep else where)[None, None]
    assert model.preprocessing is not None
    stands: Any = black(model.preprocessing.mean, model.preprocessing.std) if fill == "black" else fill
    x = hidden(batch.tensor, hole, stands)
    with torch.no_grad():
        z = model.module.eval()(x)[0]
    assert answer["score"] == pytest.approx(float(lead(model, x)), abs=1e-4)
    assert answer["whole"] == pytest.approx(float(lead(model, batch.tensor)), abs=1e-4)
    assert answer["area"] == pytest.approx(float(where.double().mean()))
    assert [one["index"] for one in answer["classes"]["highest"][:3]] == z.argsort(descending=True)[:3].tolist()
    assert answer["classes"]["highest"][0]["probability"] == pytest.approx(float(z.softmax(0).max()), abs=1e-5)

    patch, (h, w) = answer["patch"], x.shape[2:]
    x0, y0, x1, y1 = (round(side * size) for side, size in zip(patch["box"], (w, h, w, h), strict=True))
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(patch["picture"]))))
    cut = hole[0, 0, y0:y1, x0:x1].numpy()
    assert np.array_equal(shown[..., 3] > 0, cut) and int(cut.sum()) == int(hole.sum())
    pixels = model.preprocessing.undo(x[0].numpy())[y0:y1, x0:x1]
    assert np.array_equal(shown[..., :3][cut], pixels[cut])


def test_units_and_classes_alone_are_asked_too(ask: Callable[..., Any], model: Model, batch: Any) -> None:
    x = hidden(batch.tensor, mask(CREST, batch)[None, None], "blur")
    seen: list[torch.Tensor] = []
    handle = dict(model.module.named_modules())["stage3"].register_forward_hook(lambda *a: seen.append(a[2]))
    with torch.no_grad():
        z = model.module.eval()(x)[0]
    handle.remove()
    unit = ask("edited", target="neuron:stage3:121", edit={"shape": CREST})
    assert unit["score"] == pytest.approx(float(seen[0][0, 121].mean()), abs=1e-5)
    assert unit["classes"]["highest"][0]["score"] == pytest.approx(float(z.max()), abs=1e-4)
    alone = ask("edited", target=OTHER, edit={"shape": CREST})
    assert alone["score"] == pytest.approx(float(z[model.labels.index(OTHER)]), abs=1e-4)  # type: ignore[union-attr]


def test_places_and_the_same_shapes_elsewhere(ask: Callable[..., Any], model: Model, batch: Any) -> None:
    tiles = {"offset": [0.025, 0.025], "step": [0.05, 0.05], "runs": [[r, 10, 15] for r in range(4, 9)]}
    shapes: list[dict[str, Any]] = [{"tiles": tiles}, CREST]
    answer = ask("places", shapes=shapes, fill="mean", draws=6)
    for shape, place in zip(shapes, answer["places"], strict=True):
        where = mask(shape, batch)
        every = torch.cat([where[None], elsewhere(where, 6, shared=0.1)])[:, None]
        scores = lead(model, hidden(batch.tensor, every, "mean"))
        assert [place["score"], *place["elsewhere"]] == pytest.approx(scores.tolist(), abs=1e-4)
    assert answer["forwards"] >= 14


def test_the_map_of_what_is_left(ask: Callable[..., Any], model: Model, batch: Any) -> None:
    """The decision stays the jay's lead, though the network no longer says so."""
    edit = {"shape": CREST, "fill": "mean"}
    answer = ask("decision", method="hirescam", edit=edit)
    x = hidden(batch.tensor, mask(CREST, batch)[None, None], "mean")
    why = foveal.explain(model, x, foveal.Margin(JAY, OTHER), method="hirescam", layer="all")
    assert answer["asked"] == [JAY, OTHER]
    assert answer["score"] == pytest.approx(float(why.score[0]), abs=1e-4)  # type: ignore[index]
    assert [map["total"] for map in answer["maps"]] == pytest.approx(
        [float(map.sum()) for map in why.maps.values()], abs=1e-3
    )
    assert ask("decision", method="hirescam")["score"] != pytest.approx(answer["score"])


def test_the_deletion_curve(ask: Callable[..., Any], model: Model, batch: Any) -> None:
    answer = ask("deletion", method="hirescam", at="stage3", steps=10, fill="mean")
    why = foveal.explain(model, [batch.photos[0].pixels], foveal.Margin(JAY, OTHER), method="hirescam", layer="stage3")
    curve = deletion(lambda x: lead(model, x), batch.tensor, why.map[0], steps=10, fill="mean")
    assert answer["shares"] == pytest.approx(curve.shares.tolist())
    assert answer["scores"] == pytest.approx(curve.scores.tolist(), abs=1e-4)
    assert np.mean(answer["chance"]) > np.mean(answer["scores"])


def test_the_curves_over_depth(ask: Callable[..., Any], model: Model, batch: Any) -> None:
    answer = ask("depth")
    flow = foveal.flow(model, [batch.photos[0].pixels], foveal.Margin(JAY, OTHER))
    for stage, audited in zip(answer["stages"], flow.audit(), strict=True):
        assert stage["layer"] == audited.layer
        assert stage["kept"] == pytest.approx(flow.number(audited.layer, "kept"))
        assert stage["evidence"] == pytest.approx(flow.number(audited.layer, "total"), abs=1e-4)
        assert stage["measured"] == pytest.approx(float(audited.without_abandoned), abs=1e-4)


def hooked(model: Model, layer: str, factor: torch.Tensor, x: torch.Tensor) -> float:
    """The lead where the layer gives less."""
    handle = dict(model.module.named_modules())[layer].register_forward_hook(lambda *a: a[2] * factor)
    try:
        return float(lead(model, x))
    finally:
        handle.remove()


@pytest.mark.parametrize("runs", [None, [[6, 10, 13], [7, 11, 12]]])
@pytest.mark.parametrize("times", [0.0, 0.5, 2.0])
def test_channels_switched_off_or_scaled(
    times: float, runs: list[list[int]] | None, ask: Callable[..., Any], model: Model, batch: Any
) -> None:
    switch = {"layer": "stage3", "channels": [121, 83], "runs": runs, "factor": times}
    answer = ask("switched", switch=switch)
    factor = torch.ones(1, 128, 20, 20)
    for row, first, last in runs or [[r, 0, 19] for r in range(20)]:
        factor[:, [121, 83], row, first : last + 1] = times
    assert answer["score"] == pytest.approx(hooked(model, "stage3", factor, batch.tensor), abs=1e-4)
    assert answer["resumed"] is True

    why = foveal.explain(
        model, batch, foveal.Margin(JAY, OTHER), layer="stage3",
        method=foveal.Method("claimed", formula=lambda A, G: (A * G * (1 - factor)).sum(1)),
    )  # fmt: skip
    assert answer["claimed"] == pytest.approx(float(why.map.sum()), abs=1e-3)


def test_a_whole_place_is_switched_off(ask: Callable[..., Any], model: Model, batch: Any) -> None:
    factor = torch.ones(1, 1, 20, 20)
    factor[..., 4:9, 10:16] = 0
    runs = [[row, 10, 15] for row in range(4, 9)]
    answer = ask("switched", switch={"layer": "stage3", "runs": runs})
    assert answer["score"] == pytest.approx(hooked(model, "stage3", factor, batch.tensor), abs=1e-4)


def test_the_map_with_channels_switched_off(ask: Callable[..., Any], model: Model, batch: Any) -> None:
    answer = ask("decision", method="hirescam", switch={"layer": "stage1", "channels": [3, 5, 8]})
    layer = dict(model.module.named_modules())["stage1"]
    factor = torch.ones(1, 32, 1, 1)
    factor[:, [3, 5, 8]] = 0
    handle = layer.register_forward_hook(lambda *a: a[2] * factor)
    try:
        why = foveal.explain(model, batch, foveal.Margin(JAY, OTHER), method="hirescam", layer="all")
    finally:
        handle.remove()
    assert answer["score"] == pytest.approx(float(why.score[0]), abs=1e-4)  # type: ignore[index]
    assert [map["total"] for map in answer["maps"]] == pytest.approx(
        [float(map.sum()) for map in why.maps.values()], abs=1e-3
    )


def test_the_channels_that_bring_most(ask: Callable[..., Any], model: Model, batch: Any) -> None:
    whole, there = ask("brings", layer="stage3"), ask("brings", layer="stage3", runs=[[6, 11, 12]], most=3)
    for answer, cells in ((whole, (slice(None), slice(None))), (there, (slice(6, 7), slice(11, 13)))):
        for one in answer["channels"]:
            c = one["channel"]
            why = foveal.explain(
                model, batch, foveal.Margin(JAY, OTHER), layer="stage3",
                method=foveal.Method("one", formula=lambda A, G, c=c: A[:, c] * G[:, c]),
            )  # fmt: skip
            assert one["brings"] == pytest.approx(float(why.map[0][cells].sum()), abs=1e-4)
    sizes = [abs(one["brings"]) for one in whole["channels"]]
    assert sizes == sorted(sizes, reverse=True) and whole["of"] == 128
    why = foveal.explain(model, batch, foveal.Margin(JAY, OTHER), layer="stage3", method="hirescam")
    assert there["total"] == pytest.approx(float(why.map[0, 6, 11:13].sum()), abs=1e-4)


def test_switching_runs_what_comes_after_the_layer_once(studio: Studio, jay: str, model: Model) -> None:
    """No convolution before the layer, and each after it once, for one image."""
    one = ASKS["switched"]

    def asked(*channels: int) -> Any:
        switch = {"layer": "stage1", "channels": list(channels)}
        query = {"photo": jay, "model": "demo", "target": LEAD, "switch": switch}
        return one.answer(studio, one.query.model_validate(query), lambda *told: None)

    assert asked(1).resumed
    with Computed() as computed:
        asked(2, 7)
    names = [name for name, module in model.module.named_modules() if isinstance(module, torch.nn.Conv2d)]
    after = [name for name in names if name.startswith(("stage2", "stage3"))]
    assert len(after) < len(names)
    assert computed.images == [1] * len(after)


class Computed(TorchDispatchMode):
    """Notes for each convolution that is computed how many images it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket == torch.ops.aten.convolution:
            self.images.append(len(args[0]))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("name", "query", "sentence"),
    [
        ("switched", {"switch": {"layer": "stage3", "channels": [128]}}, "has no channel 128"),
        ("switched", {"switch": {"layer": "stage3", "channels": [1], "runs": [[20, 0, 1]]}}, "has 20 × 20"),
        ("switched", {"switch": {"layer": "input", "channels": [1]}}, "choose a stage"),
        ("switched", {"switch": {"layer": "nowhere", "channels": [1]}}, "nowhere"),
        ("deletion", {"method": "hirescam", "at": "nowhere"}, "has no map at 'nowhere'"),
        ("edited", {"edit": {"shape": CREST}, "target": "a dodo"}, "dodo"),
    ],
)
def test_trouble_is_a_sentence(name: str, query: dict[str, Any], sentence: str, client: Client, jay: str) -> None:
    reply = client.ask(name, **{"photo": jay, "model": "demo", "target": LEAD} | query)
    if reply.status == 202:
        *_, last = client.events(reply.json["job"])
        assert last["kind"] == "error" and sentence in last["sentence"]
    else:
        assert reply.status == 400 and sentence in reply.sentence
