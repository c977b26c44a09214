"""`foveal benchmark folder`: what was measured with other things is not taken for these; one bad photo is a line."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

import foveal
from foveal.benchmark.folder import folder, made_with, shots, subjects
from foveal.benchmark.measurements import Measurements
from foveal.benchmark.summary import markdown, page
from foveal.cli.app import app
from foveal.methods import find_methods
from foveal.models.network import Network
from foveal.storage.leftovers import NAME
from foveal.synthetic import Split
from tests.storage.crashing import killed_after, kills, moments, together


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    place = tmp_path / "photos"
    (place / "b").mkdir(parents=True)
    for name, number in (("a.png", 0), ("b/a.png", 1)):
        example = Split("classes", 9, seed=4)[number]
        Image.fromarray(example.image).save(place / name)
        Image.fromarray(np.uint8(255 * (example.labels > 0))).save(place / f"{name}.bmp")
    return place


def bench(photos: Path, *more: object, model: object = "demo", out: str = "out") -> Result:
    asked = ["benchmark", "folder", photos, "-m", model, "--method", "hirescam", "--metric", "gini",
             "--metric", "energy",
             "-o", photos.parent / out, *more]  # fmt: skip
    return CliRunner().invoke(app, [str(one) for one in asked])


def index(photos: Path, *lines: str) -> None:
    (photos / "index.csv").write_text("file,target,boxes,mask\n" + "".join(f"{line}\n" for line in lines))


def table(photos: Path, out: str = "out") -> dict[str, float]:
    with (photos.parent / out / "photos.csv").open(newline="") as file:
        return {
            row["picture"]: float(row["energy"] or "nan") for row in csv.DictReader(file) if row["method"] == "hirescam"
        }


LINES = ("a.png,0,,a.png.bmp", 'b/a.png,1,"[[20, 20, 90, 90]]",')


def test_two_photos_of_one_name_are_two_photos(photos: Path) -> None:
    index(photos, *LINES)
    assert bench(photos).exit_code == 0
    found = table(photos)
    assert set(found) == {"a.png", "b/a.png"} and len(set(found.values())) == 2
    assert "2 images" in (photos.parent / "out" / "photos.md").read_text()


def _photo(photos: Path) -> None:
    pixels = np.array(Image.open(photos / "b/a.png"))
    pixels[-1, -1] ^= 1
    Image.fromarray(pixels).save(photos / "b/a.png")


def _mask(photos: Path) -> None:
    Image.new("L", (160, 160), 255).save(photos / "a.png.bmp")


CHANGES = {
    "a photo": (_photo, "b/a.png"),
    "a mask": (_mask, "a.png"),
    "a target": (lambda photos: index(photos, LINES[0], LINES[1].replace(",1,", ",2,")), "b/a.png"),
    "a box": (lambda photos: index(photos, LINES[0], LINES[1].replace("90]]", "91]]")), "b/a.png"),
    "a box less": (lambda photos: index(photos, LINES[0], "b/a.png,1,,a.png.bmp"), "b/a.png"),
    "one for the other": (lambda photos: shutil.copy(photos / "b/a.png", photos / "a.png"), "a.png"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_is_known_of_a_photo_changed_so_it_is_measured_again(what: str, photos: Path) -> None:
    index(photos, *LINES)
    assert bench(photos).exit_code == 0
    before = table(photos)
    change, name = CHANGES[what]
    change(photos)  # type: ignore[operator]
    done = bench(photos)
    assert done.exit_code == 0, done.stderr
    assert f"1 photo, or its line in the index, has changed since the last run, and is measured again: {name}\n" in (
        done.stderr
    )
    assert bench(photos, out="new").exit_code == 0
    assert table(photos) == table(photos, "new") != before
    again = bench(photos)
    assert again.exit_code == 0 and "changed" not in again.stderr


def test_other_weights_options_and_preprocessing_get_a_table_of_their_own(photos: Path, tmp_path: Path) -> None:
    index(photos, *LINES)
    model = foveal.load_model("demo")
    first = foveal.save_model(
        model, tmp_path / "w" / "net.safetensors", architecture="foveal.synthetic.network:DemoNet"
    )
    assert bench(photos, model=first).exit_code == 0
    before = (tmp_path / "out" / "photos.csv").read_bytes()
    with torch.no_grad():
        model.module.stem.bn1.running_mean[-1] += 0.5  # a buffer, and its last number alone
    foveal.save_model(model, first, architecture="foveal.synthetic.network:DemoNet")
    told = json.dumps({"size": [160, 160], "resize": "exact", "mean": [0.5] * 3, "std": [0.2] * 3})
    (tmp_path / "other.json").write_text(told)
    for options, word in (
        (("--steps", 3), "steps"), (("--predicted",), "predicted"),
        (("--preprocessing", tmp_path / "other.json"), "weights"), ((), "weights"),
    ):  # fmt: skip
        done = bench(photos, *options, model=first)
        assert done.exit_code == 1 and "other settings" in done.stderr and word in done.stderr, done.stderr
    assert (tmp_path / "out" / "photos.csv").read_bytes() == before


def test_more_photos_are_added_and_fewer_are_asked_about(photos: Path) -> None:
    index(photos, LINES[0])
    assert bench(photos).exit_code == 0
    index(photos, *LINES)
    both = bench(photos, "--json")
    assert both.exit_code == 0 and {row["picture"] for row in json.loads(both.stdout)["rows"]} == {"a.png", "b/a.png"}
    one = bench(photos, "--count", 1, "--json")
    assert {row["picture"] for row in json.loads(one.stdout)["rows"]} == {"a.png"}
    assert "1 image" in (photos.parent / "out" / "photos.md").read_text() and len(table(photos)) == 1
    assert "measuring" not in bench(photos).stderr and len(table(photos)) == 2  # kept all the while


def test_a_bad_mask_target_or_photo_is_a_line_at_the_end(photos: Path) -> None:
    (photos / "text.png").write_text("no picture")
    Image.new("L", (7, 9)).save(photos / "small.png")
    index(
        photos, "b/a.png,phoenix,,", "b/a.png,1,,text.png", "b/a.png,1,,small.png", "b/a.png,1,,nowhere.png",
        "text.png,,,", "b/a.png,99,,", "b/a.png,1,,b", LINES[0],
    )  # fmt: skip
    done = bench(photos)
    assert done.exit_code == 1 and set(table(photos)) == {"a.png"}
    lines = [line for line in done.stderr.splitlines() if line.startswith("foveal: line")]
    assert [line.split()[2] for line in lines] == ["2", "3", "4", "5", "6", "7", "8"]
    assert all("index.csv" in line for line in lines)
    for word in ("phoenix", "text.png", "(7, 9)", "nowhere.png", "99"):
        assert any(word in line for line in lines)
    assert done.stdout.split()[-1].endswith("photos.html")


def test_where_nothing_can_be_measured_that_is_said(photos: Path) -> None:
    index(photos, "a.png,phoenix,,a.png.bmp", "b/a.png,phoenix,,")
    done = bench(photos)
    assert done.exit_code == 1 and "None of 2 photos could be measured: " in done.stderr
    assert not list((photos.parent / "out").glob("*"))  # nothing that blocks the next run


def test_nothing_is_left_behind(photos: Path) -> None:
    index(photos, *LINES)
    bench(photos)
    out = photos.parent / "out"
    tables = {f"photos.{end}" for end in ("csv", "md", "tex", "html")}
    assert {path.name for path in out.iterdir()} == {*tables, "photos.parts", "index.html", "foveal-run.json"}
    assert "photos.parts" not in (out / "index.html").read_text()  # of no use to readers
    assert not any(NAME.match(path.name) for path in photos.parent.rglob("*"))


def test_killed_again_and_again_the_table_is_that_of_one_run(photos: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    for number in range(2, 5):
        Image.fromarray(Split("classes", 9, seed=4)[number].image).save(photos / f"{number}.png")
    for mask in photos.rglob("*.bmp"):
        mask.unlink()
    model, found = foveal.load_model("demo"), subjects(shots(photos))

    def measured(out: str) -> list[dict[str, str]]:
        log = Measurements(tmp_path / out / "photos.csv", ["gini"], made_with(model, 4, predicted=False))
        list(folder(log, Network(model=model), found, methods=find_methods("hirescam"), steps=4))
        return log.rows(found)

    whole = measured("whole")
    assert len({row["picture"] for row in whole}) == len(found)
    for seconds in moments(kills(5), 1, 0.8):
        killed_after(0.1 + seconds, lambda: measured("broken"))
    assert together(*[lambda: measured("broken")] * 2) == [0, 0]  # two of them end it
    assert measured("broken") == whole


# --- one method more ---

TWO, MORE = ["gradcam", "lrp-gamma"], ["gradcam", "lrp-gamma", "layercam"]


def measured(model: foveal.Model, photos: Path, out: Path, methods: list[str]) -> Measurements:
    torch.set_num_threads(1)
    log = Measurements(out / "photos.csv", ["deletion", "drop", "gini"], made_with(model, 4, predicted=False))
    list(folder(log, Network(model=model), subjects(shots(photos)), methods=find_methods(methods), steps=4))
    return log


def tables(log: Measurements) -> tuple[str, str, str]:
    scores = log.scores(sorted(log.subjects, key=lambda one: one.picture), MORE, model="demo")
    return (
        scores.to_csv(),
        markdown(scores, title="photos"),
        page([("photos", scores, "gini", None)], title="", about=""),
    )


def test_a_method_more_measures_only_what_is_new_and_equals_a_fresh_run(photos: Path, tmp_path: Path) -> None:
    model, asked = foveal.load_model("demo"), list[int]()
    model.module.register_forward_hook(lambda *_: asked.append(1))
    fresh = measured(model, photos, tmp_path / "fresh", MORE)
    first = measured(model, photos, tmp_path / "grown", TWO)
    before, once = set(first.parts.iterdir()), len(asked)
    grown = measured(model, photos, tmp_path / "grown", MORE)
    more = len(asked)
    measured(model, photos, tmp_path / "grown", ["layercam"])  # nothing is new
    assert len(asked) == more > once
    assert before < set(grown.parts.iterdir()) and tables(grown) == tables(fresh)
    other = measured(model, photos, tmp_path / "other", ["lrp-gamma"])  # its baseline map of activations has no layer
    for name in ("(random)", "(activation)", "lrp-gamma"):
        assert other.scores(fresh.subjects).values[name] == fresh.scores(fresh.subjects).values[name]


def test_without_any_of_its_parts_a_grown_table_equals_a_fresh_one(photos: Path, tmp_path: Path) -> None:
    """As after a kill at any time, or a fault of the disk."""
    model = foveal.load_model("demo")
    fresh = tables(measured(model, photos, tmp_path / "fresh", MORE))
    folder = measured(model, photos, tmp_path / "grown", TWO).parts
    measured(model, photos, tmp_path / "grown", MORE)
    parts = sorted(folder.glob("part-*.pt"))
    for number, part in enumerate(parts[:4]):
        part.unlink()
        if number % 2:
            parts[-1].write_bytes(parts[-1].read_bytes()[: 100 * number])
        assert tables(measured(model, photos, tmp_path / "grown", MORE)) == fresh


# --- what the command says ---


def test_what_the_index_lacks_is_said(photos: Path) -> None:
    (photos / "index.csv").write_text("file,label,bbox\na.png,jay,1 2 3 4\n")
    done = bench(photos)
    assert done.exit_code == 1
    for words in ("energy needs the object", "has the columns file, label, bbox", "boxes must be in a column `boxes`"):
        assert words in done.stderr
    index(photos, "a.png,0,,a.png.bmp")
    done = bench(photos)
    assert done.exit_code == 0 and "2 photos of 3 are not in index.csv: b/a.png, b/a.png.bmp" in done.stderr
    assert "columns" not in done.stderr


def test_a_class_that_is_not_there_is_named_with_photo_and_line_and_nothing_is_written(photos: Path) -> None:
    out = photos.parent / "out"
    for target in ("20", "ibis", "spoon"):  # out of range; parts of names
        index(photos, f"a.png,{target},,a.png.bmp")
        done = bench(photos)
        assert done.exit_code == 1 and target in done.stderr and not list(out.glob("*"))
        assert "The photo could not be measured: line 2 of" in done.stderr and "index.csv', a.png" in done.stderr
    index(photos, "a.png,coral ibis,,a.png.bmp")
    assert bench(photos).exit_code == 0


def test_one_image_has_a_mean_and_no_interval(photos: Path) -> None:
    index(photos, LINES[0])
    assert bench(photos).exit_code == 0
    for name in ("photos.md", "photos.html"):
        text = (photos.parent / "out" / name).read_text()
        assert "demo: 1 image" in text and "1 image," not in text and "there is no interval and no test" in text
        assert "±" not in text and "**" not in text and "<b>" not in text and "Tests of all pairs" not in text
    assert "energy: share of the positive evidence that lies on the object" in text


def test_a_table_that_has_no_parts_is_not_written_over(photos: Path) -> None:
    index(photos, LINES[0])
    out = photos.parent / "out"
    out.mkdir()
    (out / "photos.csv").write_text("decision,picture,method,deletion,made\n")  # of an earlier version
    done = bench(photos)
    assert done.exit_code == 1 and "photos.csv': photos.parts, the folder with its measurements, is not" in done.stderr
    assert (out / "photos.csv").read_text().endswith(",made\n")


@pytest.mark.slow
def test_workers_measure_the_same_numbers(photos: Path) -> None:
    (photos / "text.png").write_text("no picture")
    index(photos, *LINES, "text.png,,,")
    done, also = bench(photos), bench(photos, "--workers", 2, out="both")
    assert done.exit_code == also.exit_code == 1 and "line 4 of" in also.stderr and "text.png" in also.stderr
    one, other = ((photos.parent / out / "photos.csv").read_bytes() for out in ("out", "both"))
    assert one == other and one.count(b"\n") == 1 + 2 * 6


def test_latex_and_json_hold_the_tests(photos: Path) -> None:
    index(photos, *LINES)
    asked = (photos, "--method", "gradcam")
    latex = bench(*asked, "--latex")
    assert latex.exit_code == 0 and latex.stdout.startswith("% ") and latex.stdout.count(r"\begin{tabular}") == 2
    answer = json.loads(bench(*asked, "--json").stdout)["tables"]["photos"]
    assert {pair["metric"] for pair in answer["pairwise"]} == {"gini", "energy"}
    assert 0 < answer["pairwise"][0]["p_holm"] <= 1 and answer["means"]["gradcam"]["energy"]["n"] == 2
    assert bench(*asked, "--json", "--latex").exit_code == 2
