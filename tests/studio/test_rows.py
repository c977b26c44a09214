"""A row of a run opens in the view of its verb, with what the run asked; a run is grouped while the page waits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pytest
import torch
from PIL import Image

import foveal
from foveal.errors import FovealError, ModelError, ResultError, UnknownMethod
from foveal.models import Model
from foveal.runs.result import Run
from foveal.webapp.ask import ASKS, Canceled
from foveal.webapp.flows import flow_text
from foveal.webapp.opened import address_of
from foveal.webapp.opened_run import row_address, show_run
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


def same(shown: Any, kept: torch.Tensor) -> bool:
    """Both are kept in 16 bits."""
    return np.allclose(read_map(shown.model_dump()), kept.float().numpy(), atol=2e-3 * float(kept.abs().max()))


@pytest.mark.parametrize(
    "options",
    [
        {"verb": "explain", "layer": "one", "method": "hirescam", "target": "c"},
        {"verb": "measure", "metrics": ["deletion"], "steps": 4},
        {"verb": "flow", "mode": "project", "iterations": 3},
        {"verb": "flow", "layer": "one", "mass": 0.5, "target": "label"},
        {"verb": "flow", "coefficients": "difference", "reference": "mean"},
        {"verb": "flow", "coefficients": "difference", "reference": "x.png"},
    ],
    ids=["explain", "measure", "project", "mass", "mean", "reference"],
)
def test_explanations_and_flows_open_with_their_maps(
    options: dict[str, Any], photos: Path, shelf: Path, tmp_path: Path, model: Model
) -> None:
    if options.get("reference") == "x.png":
        options = options | {"reference": str(shelf / "x.png")}
    run = ran(photos, tmp_path / "run", model=model, **options)
    studio, view, on = opened(run, model)
    assert view == "#/decision" and studio.photo(on["photo"]).name == Path(run["uri"][ROW]).name
    assert on.get("layer") == (run.layers[0] if len(run.layers) == 1 else None)
    answer = asked(studio, "decision", **{name: on[name] for name in ("photo", "model", "target", "method")})
    assert answer.target == run["target"][ROW]
    for layer in run.layers:
        assert same(answer.maps[answer.layers.index(layer)], run.row_maps(ROW)[layer])
    like = asked(studio, "alike", run=studio.atlas.key, **{n: on[n] for n in ("photo", "model", "target")})  # type: ignore[union-attr]
    assert ROW not in [row.row for row in like.rows] and len(like.rows) == len(run) - 1


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
    assert [group.points for group in shown.groups] == [len(group) for group in wanted.groups] and shown.grouped
    assert {*wanted.notes} <= {*shown.notes}


def test_a_run_without_contributions_says_why_it_has_no_groups(photos: Path, tmp_path: Path, model: Model) -> None:
    studio = Studio({"tiny": model})
    show_run(studio, ran(photos, tmp_path / "run", model=model))
    with pytest.raises(ResultError, match="contributions=True"):
        asked(studio, "atlas_group", run=studio.atlas.key, model="tiny")  # type: ignore[union-attr]
