"""`foveal benchmark` and `foveal compare`: resumed where they stopped, tables of what is sure, whole pages."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import foveal
from foveal.benchmark.folder import shots
from foveal.benchmark.measurements import Measurements
from foveal.benchmark.summary import alike, halves, markdown, page, ranking, table
from foveal.benchmark.truth import DECISIONS, TRUTH, cases, in_order, made_with, measure_synthetic, numbers
from foveal.cli.app import app
from foveal.errors import ImageError
from foveal.results import Scores
from foveal.synthetic import Split
from foveal.synthetic.scene import LABELS
from tests.recorded import answers


def scores() -> Scores:
    """Three methods on twelve pictures: one clearly better, two alike, and a reference that is undefined once."""
    random = np.random.default_rng(0)
    base = random.normal(0, 0.05, 12)
    values = {
        "good": {"share": tuple(0.8 + base)},
        "fair": {"share": tuple(0.5 + base + random.normal(0, 0.01, 12))},
        "also": {"share": tuple(0.5 + base + random.normal(0, 0.01, 12))},
        "(random)": {"share": (math.nan, *(0.1 + base[1:]))},
    }
    return Scores(values, tuple(f"{i}" for i in range(12)), ("",) * 12, (math.nan,) * 12, "score", ("(random)",))


def test_tables_mark_what_is_not_worse_than_the_best() -> None:
    found = scores()
    shown = table(found)
    assert shown.head == ("method", "rank by share", "share ↑")
    assert shown.rows[0][0].text == "good" and [row[2].bold for row in shown.rows][:2] == [True, False]
    assert shown.rows[-1][0].text == "(random)" and "(1?)" in shown.rows[-1][2].text
    assert halves(found, "share") >= 0.6 and ranking(found, "share")["good"] == pytest.approx(0.8, abs=0.05)
    assert alike({"a": 1.0, "b": 2.0}, {"a": 5.0, "b": 6.0}) == 1 and math.isnan(alike({"a": 1.0}, {"a": 2.0}))
    text = markdown(found, title="Test", truth="share")
    assert "### Test" in text and "τ with the truth" in text and "| share |" in text
    html = page([("Test <1>", found, None, None)], title="A", about="b")
    assert html.startswith("<!doctype html>") and "Test &lt;1&gt;" in html and "http" not in html


ALL = ["hirescam", "(random)", "(center)", "(edges)", "(constant)", "(activation)"]


@pytest.mark.parametrize("decision", DECISIONS)
def test_true_importance_knows_the_right_map(decision: str) -> None:
    """The true effects painted on the parts are ranked right; noise is not."""
    (case,) = cases(decision, 1, seed=3)
    found = numbers(case, ALL, TRUTH)
    assert [*found] == ALL
    assert found["hirescam"]["share"] > 2 * found["(random)"]["share"]
    assert math.isnan(found["(constant)"]["rank"])
    again = numbers(next(cases(decision, 1, seed=3)), ["hirescam"], TRUTH)
    assert again["hirescam"] == found["hirescam"]  # the same on every run


def test_the_perfect_map_of_a_margin() -> None:
    from foveal.api.map_sources import NamedMaps
    from foveal.benchmark.truth import _agreement
    from foveal.images import load_images

    (case,) = cases("margin", 1, seed=3)
    effects = {part: 0.1 * k for k, part in enumerate(("body", "head", "eye", "beak", "crest", "wing", "tail", "legs"))}
    effects[case.part or ""] = 5.0
    perfect = np.zeros(case.example.labels.shape)
    for part, effect in effects.items():
        perfect[case.example.labels == LABELS[part]] = effect
    batch = load_images(case.example.image, case.model.preprocessing)
    found = _agreement(case, batch, NamedMaps(torch.from_numpy(perfect)[None]), effects)
    assert found["hit"] == 1 and found["rank"] == pytest.approx(1) and found["share"] > 0.2


def test_the_synthetic_command_resumes(tmp_path: Path) -> None:
    asked = [
        "benchmark",
        "synthetic",
        "--target",
        "margin",
        "--truth-only",
        "--method",
        "hirescam",
        "-o",
        str(tmp_path),
    ]
    first = CliRunner().invoke(app, [*asked, "--count", "2"])
    assert first.exit_code == 0, first.output
    size = (tmp_path / "synthetic.csv").stat().st_size
    second = CliRunner().invoke(app, [*asked, "--count", "3"])
    assert second.exit_code == 0 and (tmp_path / "synthetic.csv").stat().st_size > size
    with (tmp_path / "synthetic.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 3 * 6 and {line["picture"] for line in lines} == {"species 0", "species 1", "species 2"}
    assert "3 images" in (tmp_path / "synthetic.md").read_text()
    wrong = CliRunner().invoke(app, ["benchmark", "synthetic", "--target", "mood"])
    assert wrong.exit_code == 2 and "no target" in wrong.output


def bird_folder(tmp_path: Path) -> Path:
    """Three photos, two with what is known of them."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(3):
        example = Split("classes", 20, seed=2)[i]
        Image.fromarray(example.image).save(folder / f"{i}.png")
        Image.fromarray(np.uint8(255 * (example.labels > 0))).save(folder / f"mask{i}.bmp")
    (folder / "broken.png").write_text("no picture")
    return folder


def test_the_folder_command_reads_boxes_masks_and_goes_on_after_a_bad_file(tmp_path: Path) -> None:
    folder = bird_folder(tmp_path)
    index = tmp_path / "index.csv"
    index.write_text('file,target,boxes,mask\n0.png,0,"[[20, 20, 140, 140]]",\n1.png,,,mask1.bmp\nbroken.png,,,\n')
    asked = ["benchmark", "folder", str(folder), "-m", "demo", "--index", str(index), "--method", "hirescam",
             "--metric", "deletion", "--metric", "energy", "--steps", "4", "-o", str(tmp_path / "out"),
             "--json"]  # fmt: skip
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 1, done.output  # for broken.png, which is named at the end
    answer = json.loads(done.stdout)
    assert {row["picture"] for row in answer["rows"]} == {"0.png", "1.png"}
    own = {row["picture"]: row for row in answer["rows"] if row["method"] == "hirescam"}
    assert all(0 < float(row["energy"]) <= 1 for row in own.values()) and "broken.png" in done.stderr
    assert len(shots(folder)) >= 3
    index.write_text("file\nnothing.png\n")
    (missing,) = shots(folder, index)  # said when it is read, so that the others are measured
    assert missing.name == "nothing.png" and "line 2" in missing.where.casefold()
    index.write_text('file,boxes\n0.png,"[[1, 2]]"\n')
    with pytest.raises(ImageError, match="boxes"):
        shots(folder, index)


def test_the_compare_page_stands_alone(tmp_path: Path) -> None:
    folder = bird_folder(tmp_path)
    done = CliRunner().invoke(
        app, ["compare", str(folder / "0.png"), str(folder / "1.png"), "-m", "demo",
              "--method", "gradcam", "--method", "naflow", "--metric", "deletion", "--metric", "gini", "--steps", "3",
              "-o", str(tmp_path / "out")]
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    text = (tmp_path / "out" / "compare.html").read_text()
    assert done.stdout.split()[0].endswith("compare.html")
    ((_, library),) = answers(text, "library")
    assert [photo["name"] for photo in library["photos"]] == ["0.png", "1.png"]
    assert all(photo["url"].startswith("data:image/webp") for photo in library["photos"])
    shown = [(query["photo"], query["method"]) for query, _ in answers(text, "decision")]
    assert len(set(shown)) == 2 * 2 and {method.split(":")[0] for _, method in shown} == {"gradcam", "naflow"}
    ((_, measured),) = answers(text, "measured")
    scores = Scores.load(tmp_path / "out")
    assert (
        scores.metrics == ("deletion", "gini") == tuple(column["title"] for column in measured["tables"][0]["columns"])
    )
    for row in measured["tables"][0]["rows"]:
        for cell, metric in zip(row["cells"], scores.metrics, strict=True):
            assert cell["value"] == pytest.approx(scores.summary(row["name"], metric).mean)
    assert {row["name"] for row in measured["tables"][0]["rows"]} >= {"(random)"}


def test_names_of_the_package_are_there() -> None:
    for name in ("measure", "audit", "sanity", "shortcuts", "Scores"):
        assert name in foveal.__all__ and callable(getattr(foveal, name))


def test_a_method_more_equals_a_fresh_run_and_what_does_not_apply_is_not_asked_again(tmp_path: Path) -> None:
    torch.set_num_threads(1)

    def measured(name: str, methods: list[str]) -> Measurements:
        log = Measurements(tmp_path / name / "synthetic.csv", TRUTH, made_with(5))
        list(measure_synthetic(log, decisions=["similar"], methods=methods, count=2, seed=5, setting=None))
        return log

    first, more = ["hirescam", "cam"], ["hirescam", "cam", "lrp-gamma", "gradcam@stem.relu1"]
    fresh = measured("fresh", more)
    assert len(measured("grown", first).rows(fresh.subjects)) == 2 * (2 + 5)
    grown = measured("grown", more)
    (own,) = in_order(grown.subjects).values()
    tables = [log.scores(own, more, applying=True) for log in (fresh, grown)]
    assert tables[0].to_csv() == tables[1].to_csv()
    assert tables[0].methods[:3] == ("hirescam", "lrp-gamma", "gradcam@stem.relu1")  # no cam of a similarity
    parts = sorted(grown.parts.iterdir())
    assert sorted(measured("grown", ["cam"]).parts.iterdir()) == parts
