"""A newcomer compares methods on photos with boxes for a paper, as the README and `--help` say."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import foveal
from foveal.images import load_images
from foveal.metrics import EvaluationSettings
from foveal.synthetic import CLASS_NAMES, Split
from tests import forked
from tests.recorded import answers

SOURCE = Path(foveal.__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
QUICK = ["--model", "demo", "--metrics", "deletion,drop", "--steps", "5"]


def run(*words: str, at: Path, status: int = 0) -> forked.Done:
    done = forked.foveal(*words, cwd=at)
    assert done.returncode == status, done.stderr
    return done


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder beside `photos/`: three drawn birds, their classes and boxes in index.csv."""
    folder = tmp_path_factory.mktemp("paper") / "photos"
    folder.mkdir()
    lines = ["file,target,boxes"]
    for i, drawn in enumerate(Split("classes", 3, train=False, seed=3)):
        Image.fromarray(drawn.image).save(folder / f"{i}.png")
        lines.append(f'{i}.png,{CLASS_NAMES[drawn.target]},"[40, 40, 120, 120]"')
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_tables_for_a_paper_and_a_method_added_later(photos: Path) -> None:
    at = photos.parent
    words = ["benchmark", "folder", "photos", "--model", "demo", "--metrics", "deletion,energy", "--steps", "5"]
    first = run(*words, "--methods", "gradcam,layercam", at=at)
    made = at / "out" / "benchmark" / "folder"
    assert [Path(line).name for line in first.stdout.split()] == [
        "photos.csv",
        "photos.md",
        "photos.tex",
        "photos.html",
    ]
    rows = (made / "photos.csv").read_text()

    later = run(*words, "--methods", "gradcam,layercam,hirescam", "--latex", at=at)
    grown = (made / "photos.csv").read_text()
    assert set(rows.splitlines()) < set(grown.splitlines()) and grown.count(",hirescam,") == 3
    assert "\\n" not in later.stdout and later.stdout.count("\\begin{tabular}") == 2  # lines, to paste
    assert later.stdout == (made / "photos.tex").read_text() + "\n"

    measured = [row for row in csv.DictReader(grown.splitlines()) if row["method"] == "layercam"]
    mean = np.mean([float(row["energy"]) for row in measured])
    (cells,) = re.findall(r"\| `layercam` \|(.*)\|", (made / "photos.md").read_text())
    assert f"{mean:.3f}" in cells.split("|")[2]
    assert "Too few images for a test (n = 3)" in (made / "photos.md").read_text()


def test_an_index_with_mistakes(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "wrong"
    folder.mkdir()
    for name in ("0.png", "1.png"):
        (folder / name).write_bytes((photos / name).read_bytes())
    (folder / "index.csv").write_text("file,target\n0.png,0\n9.png,1\n1.png,Coral Ibsi\n")
    done = run("benchmark", "folder", "wrong", *QUICK, "--methods", "gradcam", at=tmp_path, status=1)
    assert "note: 1 photo of 3 in index.csv is not there: 9.png" in done.stderr
    assert "line 3 of 'wrong/index.csv', 9.png: there is no photo" in done.stderr
    assert "line 4 of 'wrong/index.csv', 1.png: the model has no class 'Coral Ibsi': did you mean" in done.stderr
    assert "1 image" in done.stderr  # the photo that is right is measured

    (folder / "index.csv").write_text("file,class\n0.png,Coral Ibis\n")
    done = run("benchmark", "folder", "wrong", *QUICK, "--methods", "gradcam", "-o", "other", at=tmp_path)
    assert "no column `target`: the predicted class of each photo is explained" in done.stderr
    assert (
        "There is no folder 'nowhere'." in run("benchmark", "folder", "nowhere", *QUICK, at=tmp_path, status=1).stderr
    )
    one = run("measure", "wrong/0.png", *QUICK[:2], "--metric", "pointing", at=tmp_path, status=1).stderr
    assert "use `foveal benchmark folder`, whose index.csv holds boxes" in one


def test_a_measurement_that_is_interrupted_goes_on(photos: Path, tmp_path: Path) -> None:
    words = ["measure", str(photos), *QUICK, "--no-baseline-maps", "--methods", "gradcam,layercam", "-o"]
    whole = run(*words, "whole", at=tmp_path)
    begun = subprocess.Popen(
        [sys.executable, "-u", "-m", "foveal", *words, "parts"], cwd=tmp_path, env=ENVIRONMENT, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert begun.stderr is not None
    first = begun.stderr.readline()
    assert first.startswith("0.png, gradcam: deletion")  # before anything of the other photos
    deadline = time.monotonic() + 60
    while not (tmp_path / "parts" / "scores.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    begun.send_signal(signal.SIGINT)
    _, said = begun.communicate()
    if begun.returncode == 130:
        assert "photos are done in parts; run the same command again to continue" in said
    again = run(*words, "parts", at=tmp_path)
    assert "0.png, gradcam" not in again.stderr or begun.returncode == 0
    for name in ("scores.csv", "scores.md", "scores.tex", "scores.html"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert Path(whole.stdout.split()[0]).name == "scores.csv"


def test_the_page_of_methods_and_its_numbers(photos: Path, tmp_path: Path) -> None:
    done = run(
        "compare", str(photos / "0.png"), str(photos / "1.png"), *QUICK, "--methods", "gradcam,hirescam", "--json",
        at=tmp_path,
    )  # fmt: skip
    found = json.loads(done.stdout)
    page = (tmp_path / "out" / "compare" / "compare.html").read_text()
    ((_, measured),) = answers(page, "measured")
    assert "probability of the class" in measured["tables"][0]["title"]
    assert {photo["name"] for _, library in answers(page, "library") for photo in library["photos"]} == {
        "0.png",
        "1.png",
    }
    # At the last stage, before average pooling, the two methods are one: a tie, and no p-value says otherwise.
    (pair,) = [pair for pair in found["pairwise"] if pair["metric"] == "deletion"]
    assert pair["superiority"] == 0.5 and pair["p"] == 1.0
    index = (tmp_path / "out" / "compare" / "index.html").read_text()
    assert index.count("0.png, gradcam: deletion") == 1  # each message once


def test_in_a_notebook(photos: Path) -> None:
    model = foveal.load_model("demo")
    why = foveal.explain(model, photos / "0.png")
    setting = EvaluationSettings(steps=5, grid=(28, 28))
    table = foveal.measure(model, photos / "0.png", explanations=[why, "hirescam"], metrics="drop", setting=setting)
    html = table._repr_html_()
    assert "The values of 1 image: there is no interval and no test." in html and "hirescam" in html
    image = load_images([photos / "0.png"], model.preprocessing).tensor
    probability = model.module.eval()(image).softmax(1).detach().max()
    assert table.whole[0] == pytest.approx(float(probability), abs=1e-5)
