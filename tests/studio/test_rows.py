"""A row of a run opens in the view of its verb, with what the run asked; a run is grouped while the page waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import numpy as np
import pytest
import torch
from PIL import Image

import foveal
from foveal.errors import FovealError, MethodError, ModelError, ResultError, UnknownMethod
from foveal.images import Preprocessing
from foveal.models import Model
from foveal.runs.result import Run
from foveal.webapp.ask import ASKS, Canceled
from foveal.webapp.flows import flow_text
from foveal.webapp.opened import address_of
from foveal.webapp.opened_run import row_address, show_run
from foveal.webapp.openings import Openings, Viewed
from foveal.webapp.selected import selected_in
from foveal.webapp.studio import Studio
from tests.runs.photos import drawn, network, ran
from tests.studio.maps import read_map

ROW = 2


@pytest.fixture(scope="module")
def model() -> Model:
    return network()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn(tmp_path_factory.mktemp("rows") / "photos", 6)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random, folder = np.random.default_rng(5), tmp_path_factory.mktemp("shelf")
    for name in ("x.png", "y.png", "z.png"):
        Image.fromarray(random.integers(0, 256, (20, 24, 3), np.uint8)).save(folder / name)
    return folder


def opened(run: Run, model: Model, view: str = "") -> tuple[Studio, str, dict[str, str]]:
    """A studio with a run, the view in which a row of it opens, and what its address says."""
    studio = Studio({"tiny": model})
    show_run(studio, run)
    assert studio.atlas is not None
    path, _, fields = row_address(studio, studio.atlas, ROW, view).partition("?")
    return studio, path, dict(parse_qsl(fields))


def asked(studio: Studio, name: str, progress: Callable[..., None] = lambda *told: None, **query: Any) -> Any:
    one = ASKS[name]
    return one.answer(studio, one.query.model_validate(query), progress)


def page_query(on: dict[str, str]) -> dict[str, Any]:
    """What the page asks of a decision at an address."""
    query: dict[str, Any] = {name: on[name] for name in ("photo", "model", "target", "method")}
    if "finer" in on or "scales" in on:
        scales = [float(scale) for scale in on.get("scales", "1").split(",")]
        query |= {"resolution": int(on.get("finer", 1)), "scales": scales, "layer": on["layer"]}
    return query


def same(shown: Any, kept: torch.Tensor) -> bool:
    """Both are kept in 16 bits."""
    return np.allclose(read_map(shown.model_dump()), kept.float().numpy(), atol=2e-3 * float(kept.abs().max()))


@pytest.mark.parametrize(
    "options",
    [
        {"verb": "explain", "layer": "one", "method": "hirescam", "target": "c"},
        {"verb": "explain", "method": "hirescam", "resolution": 2},
        {"verb": "explain", "layer": ["one", "two"], "resolution": 2},
        {"verb": "explain", "method": "hirescam", "layer": "one", "scales": (1, 1.5)},
        {"verb": "explain", "resolution": 2, "scales": (0.5, 1)},
        {"verb": "explain", "method": "scorecam:clusters=2"},
        {"verb": "measure", "metrics": ["deletion"], "steps": 4},
        {"verb": "flow", "mode": "project", "iterations": 3},
        {"verb": "flow", "layer": "one", "mass": 0.5, "target": "label"},
        {"verb": "flow", "coefficients": "difference", "reference": "mean"},
        {"verb": "flow", "coefficients": "difference", "reference": "x.png"},
    ],
    ids=[
        "explain",
        "finer",
        "finer layers",
        "scales",
        "finer scales",
        "options",
        "measure",
        "project",
        "mass",
        "mean",
        "reference",
    ],
)
def test_explanations_and_flows_open_with_their_maps(
    options: dict[str, Any], photos: Path, shelf: Path, tmp_path: Path, model: Model
) -> None:
    if options.get("reference") == "x.png":
        options = options | {"reference": str(shelf / "x.png")}
    run = ran(photos, tmp_path / "run", model=model, **options)
    studio, view, on = opened(run, model)
    assert view == "#/decision" and studio.photo(on["photo"]).name == Path(run["uri"][ROW]).name
    assert on["layer"] == run.layers[-1]
    answer = asked(studio, "decision", **page_query(on))
    assert answer.target == run["target"][ROW]
    for layer in {*run.layers} & {*answer.layers}:
        assert same(answer.maps[answer.layers.index(layer)], run.row_maps(ROW)[layer])
    assert on["layer"] in answer.layers
    like = asked(studio, "alike", run=studio.atlas.key, **{n: on[n] for n in ("photo", "model", "target")})  # type: ignore[union-attr]
    assert ROW not in [row.row for row in like.rows] and len(like.rows) == len(run) - 1
    of_row = asked(studio, "alike_row", run=studio.atlas.key, row=ROW)  # type: ignore[union-attr]
    assert like.likeness == pytest.approx(of_row.likeness, abs=5e-3)
    if options.get("reference") in (None, "mean"):  # `s.open(run[2])`
        assert dict(parse_qsl(address_of(studio, run[ROW]).partition("?")[2])) == on


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (foveal.Neuron("two", 1, position=(1, 2)), "neuron:two:1:1,2"),
        (foveal.Group(["a", "c"]), "group:0,2"),
        (foveal.Group(["a", "b"], name="ab"), "group:ab=0-1"),
        (foveal.Margin("a", None), "a - b"),
        (foveal.Against("a", k=1), "0 - rivals:1:0.6"),
    ],
)
def test_targets_of_a_run_are_those_of_its_rows(
    target: Any, said: str, photos: Path, tmp_path: Path, model: Model
) -> None:
    run = ran(photos, tmp_path / "run", model=model, method="hirescam", target=target)
    studio, _, on = opened(run, model)
    answer = asked(studio, "decision", **page_query(on))
    assert on["target"] == said and answer.target == run["target"][ROW]
    assert same(answer.maps[answer.layers.index(on["layer"])], run.row_maps(ROW)[on["layer"]])


@pytest.mark.parametrize("target", [foveal.Class("b", of="probability"), foveal.Against("a", rivals=["b"])])
def test_a_target_that_the_page_cannot_ask_is_a_sentence(
    target: Any, photos: Path, tmp_path: Path, model: Model
) -> None:
    run = ran(photos, tmp_path / "run", model=model, method="hirescam", target=target)
    with pytest.raises(ResultError, match=r"the probability of b|rivals of a .* is not kept"):
        opened(run, model)


def test_another_network_or_method_of_a_run_is_a_sentence(photos: Path, tmp_path: Path, model: Model) -> None:
    def mine(a: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        return (a * g.abs()).sum(1)

    own = ran(photos, tmp_path / "own", model=model, method=mine)
    with pytest.raises(MethodError, match="does not have the method mine that made the maps"):
        opened(own, model)
    assert "method" not in opened(own, model, "methods")[2]
    studio = opened(own, model, "tree")[0]
    with pytest.raises(MethodError, match="does not have the method mine"):
        asked(studio, "alike", run=studio.atlas.key, photo=next(iter(studio.photos)).hash, model="tiny")  # type: ignore[union-attr]

    plain = ran(photos, tmp_path / "plain", model=model)
    other = replace(model, preprocessing=Preprocessing((16, 16), resize="exact"), labels=("x", "y", "z"))
    with pytest.raises(ModelError, match="another preprocessing and other labels than tiny has here"):
        opened(plain, other)
    studio, path, _ = opened(plain, other, "tree")
    assert path == "#/tree" and studio.atlas is not None
    notes = asked(studio, "atlas", run=studio.atlas.key).notes
    assert any("another preprocessing" in note for note in notes)
    with pytest.raises(ModelError, match="another preprocessing"):
        asked(studio, "alike", run=studio.atlas.key, photo=next(iter(studio.photos)).hash, model="tiny")


def test_finer_maps_are_of_methods_and_of_no_channels_switched_off(photos: Path, model: Model) -> None:
    studio = Studio({"tiny": model})
    on = {"photo": studio.add_photos([photos / "a" / "00.png"])[0].hash, "model": "tiny", "resolution": 2}
    assert read_map(asked(studio, "decision", **on, method="hirescam").maps[0].model_dump()).shape == (8, 8)
    with pytest.raises(MethodError, match="a flow has maps as fine as its layers"):
        asked(studio, "decision", **on, method="naflow")
    with pytest.raises(MethodError, match="as fine as their layer"):
        off = {"layer": "two", "channels": [0], "runs": None, "factor": 0}
        asked(studio, "decision", **on, method="hirescam", switch=off)
    why = foveal.explain(model, str(photos / "a" / "00.png"), resolution=2, scales=(1, 2))
    fields = dict(parse_qsl(address_of(studio, why).partition("?")[2]))
    assert (fields["finer"], fields["scales"]) == ("2", "1,2")


def test_what_is_selected_in_python_is_as_fine_as_on_the_page(photos: Path, tmp_path: Path, model: Model) -> None:
    run = ran(photos, tmp_path / "run", model=model, method="hirescam", resolution=2)
    studio, path, on = opened(run, model)
    studio.openings = Openings()
    viewed = Viewed(address=f"{path}?{urlencode(on)}", **{name: on[name] for name in Viewed.model_fields if name in on})
    studio.openings.viewed = viewed
    selected = selected_in(studio)
    assert selected is not None
    assert torch.allclose(selected.explanation().map[0], run.row_maps(ROW)["two"], atol=2e-3)
    with pytest.raises(ResultError, match="a map much times finer"):
        replace(selected, address="#/decision?finer=much").explanation()


def test_a_match_opens_with_its_reference(photos: Path, shelf: Path, tmp_path: Path, model: Model) -> None:
    run = ran(photos, tmp_path / "run", model=model, verb="match", references=shelf, metric="euclidean",
              weights="positive", layer="one")  # fmt: skip
    studio, view, on = opened(run, model)
    assert view == "#/match" and studio.photo(on["with"]).name == run["match"][ROW]
    answer = asked(studio, "match", photo=on["photo"], model="tiny", other=on["with"], metric=on["metric"],
                   method=on["by"], layer=on["of"])  # fmt: skip
    assert answer.layer == "one" and same(answer.query_map, run.row_maps(ROW)["one"])
    with pytest.raises(ResultError, match="maps of matches"):
        asked(studio, "alike", run=studio.atlas.key, photo=on["photo"], model="tiny")  # type: ignore[union-attr]
    (row,) = asked(studio, "atlas_rows", run=studio.atlas.key, rows=[ROW]).rows  # type: ignore[union-attr]
    assert row.match == run["match"][ROW]
    own = ran(
        photos, tmp_path / "own", model=model, verb="match", references=shelf, metric=foveal.Learned(torch.eye(6))
    )
    with pytest.raises(ResultError, match="a metric of its own"):
        opened(own, model)


def test_parts_open_as_many_and_where_they_were_found(photos: Path, tmp_path: Path, model: Model) -> None:
    run = ran(photos, tmp_path / "run", model=model, verb="parts", count=2, layer="one", target="b")
    studio, view, on = opened(run, model)
    assert view == "#/parts" and on["count"] == "2" and on["of"] == "one"
    answer = asked(studio, "parts", photo=on["photo"], model="tiny", target=on["target"], count=2, layer=on["of"])
    assert answer.layer == "one"
    assert [part.evidence for part in answer.parts] == pytest.approx(
        [float(run[f"evidence_part{k}"][ROW]) for k in (1, 2)], rel=1e-3, abs=1e-6
    )


@pytest.mark.parametrize("view", ["decision", "tree", "parts", "match", "methods", "channel"])
@pytest.mark.parametrize("verb", ["explain", "flow", "match", "parts"])
def test_any_row_opens_in_any_view(
    verb: str, view: str, photos: Path, shelf: Path, tmp_path_factory: pytest.TempPathFactory, model: Model
) -> None:
    out = tmp_path_factory.getbasetemp() / f"any-{verb}"
    run = ran(photos, out, model=model, verb=verb, **({"references": shelf} if verb == "match" else {}))
    studio, path, on = opened(run, model, view)
    assert path == f"#/{view}" and studio.photos.has(on["photo"]) and on["model"] == "tiny"
    assert ("with" in on) == (verb == view == "match") and ("target" in on) == (verb != "match")


def test_what_the_page_cannot_show_alike_is_a_sentence_and_another_view_opens(
    photos: Path, shelf: Path, tmp_path: Path, model: Model
) -> None:
    many = ran(photos, tmp_path / "many", model=model, verb="parts", count=9)
    with pytest.raises(ResultError, match="has 9 parts"):
        opened(many, model)
    assert opened(many, model, "decision")[1] == "#/decision"
    other = tmp_path / "shelf"
    other.mkdir()
    (shelf / "x.png").rename(other / "x.png")
    try:
        run = ran(photos, tmp_path / "moved", model=model, verb="match", references=other)
    finally:
        (other / "x.png").rename(shelf / "x.png")
    with pytest.raises(ResultError, match="put it back"):
        opened(run, model)
    assert opened(run, model, "tree")[1] == "#/tree"


def test_a_flow_opens_from_python_and_its_options_are_checked(photos: Path, model: Model) -> None:
    studio = Studio({"tiny": model})
    flow = foveal.flow(model, str(photos / "a" / "00.png"), mode="project", iterations=3)
    on = dict(parse_qsl(address_of(studio, flow).partition("?")[2]))
    assert on["method"] == "naflow:mode=project,iterations=3" == flow_text(flow.parameters)
    with pytest.raises(UnknownMethod, match="no option 'speed'"):
        asked(studio, "decision", photo=on["photo"], model="tiny", method="naflow:speed=2")
    with pytest.raises(UnknownMethod, match="mass is a number"):
        asked(studio, "decision", photo=on["photo"], model="tiny", method="naflow:mass=much")
    with pytest.raises(FovealError, match="photo"):  # never a path
        asked(studio, "decision", photo=on["photo"], model="tiny",
              method="naflow:coefficients=difference,reference=/etc/passwd")  # fmt: skip


def test_a_layer_that_is_no_stage_is_shown_with_the_stages(photos: Path, model: Model) -> None:
    studio = Studio({"tiny": model})
    photo = studio.add_photos([photos / "a" / "00.png"])[0]
    inner = next(name for name, part in model.module.named_modules() if name and name not in ("one", "two")
                 and isinstance(part, torch.nn.Conv2d))  # fmt: skip
    answer = asked(studio, "decision", photo=photo.hash, model="tiny", method="hirescam", also=inner)
    why = foveal.explain(model, str(photos / "a" / "00.png"), method="hirescam", layer=inner)
    assert {"one", "two", inner} == {*answer.layers}
    assert same(answer.maps[answer.layers.index(inner)], why.map[0])


def test_a_run_is_grouped_as_reasons_groups_it(tmp_path: Path, model: Model) -> None:
    run = ran(drawn(tmp_path / "photos", 30), tmp_path / "run", model=model, contributions=True)
    studio = Studio({"tiny": model})
    show_run(studio, run)
    before = studio.atlas
    assert before is not None
    with pytest.raises(ModelError, match="load the page again"):
        asked(studio, "atlas_group", run=before.key, model="other")

    def stopped(*told: object) -> None:
        if told[0] == "grouping decisions":
            raise Canceled

    with pytest.raises(Canceled):
        asked(studio, "atlas_group", stopped, run=before.key, model="tiny")
    assert studio.atlas is before
    heard = list[str]()
    found = asked(studio, "atlas_group", lambda what, done, total: heard.append(what), run=before.key, model="tiny")
    now = studio.atlas
    assert now is not None and found.run == now.key != before.key and "grouping decisions" in heard
    shown, wanted = asked(studio, "atlas", run=now.key), foveal.reasons(run, model)
    assert [group.points for group in shown.groups] == [
        len(group) for group in wanted.groups
    ] and shown.grouping.endswith(", model)")
    assert {*wanted.notes} <= {*shown.notes}


def test_a_run_without_contributions_says_why_it_has_no_groups(photos: Path, tmp_path: Path, model: Model) -> None:
    studio = Studio({"tiny": model})
    show_run(studio, ran(photos, tmp_path / "run", model=model))
    with pytest.raises(ResultError, match="contributions=True"):
        asked(studio, "atlas_group", run=studio.atlas.key, model="tiny")  # type: ignore[union-attr]
