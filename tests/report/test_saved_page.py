"""Every saved result that a view can show is a page; its answers are those of the result."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import foveal
from foveal.cli.app import app
from foveal.errors import ResultError
from foveal.report.keys import key_of
from foveal.report.saved_page import KINDS, load_result, page_of, save_page
from foveal.report.shared_text import once
from tests.recorded import answers, inside
from tests.results.kinds import made

SHOWN = {
    "explanation": "decision",
    "explanations": "decision",
    "flow": "decision",
    "parts": "parts",
    "tree": "tree",
    "match": "match",
}


def values(map: Any) -> Any:
    return np.frombuffer(base64.b64decode(map["values"]), "<f2").astype(float) * map["scale"]


@pytest.mark.parametrize("kind", SHOWN)
def test_a_saved_result_is_a_page(kind: str, tmp_path: Path) -> None:
    result = made(kind)
    folder = result.save(tmp_path / "saved")
    done = CliRunner().invoke(app, ["page", str(folder)])
    assert done.exit_code == 0, done.stderr
    assert done.stdout.strip() == str(folder / "page.html")
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert type(load_result(folder)) is type(result)
    assert answers(page, SHOWN[kind]) and not answers(page, "scores")
    ((_, library),) = answers(page, "library")
    assert (
        not library["live"] and library["models"] and all(one["url"].startswith("data:") for one in library["photos"])
    )
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src 'none'; img-src data: blob:; script-src 'sha256-") and "connect" not in policy
    assert foveal.save_page(result, tmp_path / "again.html").exists()


def test_the_maps_of_a_page_are_those_of_the_explanation() -> None:
    why = made("explanation")
    page = page_of(why)
    found = answers(page, "decision")
    assert len(found) == len(why)
    for i, (query, answer) in enumerate(found):
        assert query["method"] == why.method and answer["target"] == why.target[i]
        for layer, map in zip(answer["layers"], answer["maps"], strict=True):
            truth = why.maps[layer][i].numpy()
            assert np.allclose(values(map), truth.ravel(), atol=2e-3 * max(abs(truth).max(), 1e-9))
            assert map["total"] == pytest.approx(truth.sum(), rel=1e-4, abs=1e-6)


def test_a_tree_has_every_branch_that_it_knows() -> None:
    tree = made("tree")
    page = page_of(tree)
    branches = {query["of"]: answer for query, answer in answers(page, "tree/branch")}
    ((_, whole),) = answers(page, "tree")
    assert len(branches) + 1 == sum(bool(f.edges) for f in [tree.decision, *tree.features.values()])
    shown = {(node["channels"][0], node["share"]) for node in whole["branch"]["nodes"]}
    assert {(edge.child.channels[0], edge.share) for edge in tree.decision.edges} <= shown


def test_what_has_no_page_says_so(tmp_path: Path) -> None:
    folder = made("scores").save(tmp_path / "scores")
    with pytest.raises(ResultError, match=r"it holds foveal-scores/\d, and pages show foveal-explanation"):
        load_result(folder)
    with pytest.raises(ResultError, match="Cannot make a page of Scores"):
        save_page(made("scores"), tmp_path / "page.html")
    with pytest.raises(ResultError, match="Cannot load"):
        load_result(tmp_path)
    assert len({kind.FORMAT for kind in KINDS}) == len(KINDS)


def test_long_texts_stand_once_and_come_back() -> None:
    long, other = "A" * 500, "B" * 500
    content = {"a": long, "b": [long, other], "c": "~0", "~1": {"d": "~~7", "e": long}}
    shared, text = once(json.dumps({key_of("x", {}): content}, separators=(",", ":")))
    assert shared == [long] and text.count(long) == 0 and text.count(other) == 1
    whole = f'{{"shared":{json.dumps(shared)},"answers":{text}}}'
    assert inside(f'<script type="application/json" id="foveal-answers">{whole}</script>') == {"x {}": content}


@pytest.mark.parametrize("shape", [(80, 80), (3, 5)])
def test_coarse_maps_are_within_half_a_step(shape: tuple[int, int]) -> None:
    rows, columns = shape
    relative = np.random.default_rng(0).uniform(-1, 1, rows * columns).astype("<f2")
    relative[:2] = np.nan, 1
    content = {"rows": rows, "columns": columns, "values": base64.b64encode(relative.tobytes()).decode(), "scale": 3.0}
    _, text = once(json.dumps(content, separators=(",", ":")), coarse=True)
    data = base64.b64decode(json.loads(text)["values"])
    if rows * columns < 64 * 64:
        assert data == relative.tobytes()
        return
    steps = np.frombuffer(data, np.int8)
    assert steps[0] == -128 and steps[1] == 127
    assert np.abs(steps[1:] / 127 - relative[1:].astype(float)).max() <= 0.5 / 127 + 1e-6
