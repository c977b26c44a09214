"""The folder a command writes to: its own by default, checked first, with a page of what is there."""

from __future__ import annotations

import json
import re
import webbrowser
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import foveal
from foveal.cli import explain_photo
from foveal.cli.app import app
from foveal.cli.command import command
from foveal.cli.options import OutputOptions
from foveal.cli.output_folder import OutputFolder
from foveal.cli.unfinished import NAME
from foveal.errors import ResultError
from foveal.models import load
from foveal.storage.atomic import write_text
from foveal.storage.run_record import RECORD, read_record
from tests.birds import drawn_bird

AWKWARD = 'a <b> & "c" #1 %20.png'


@pytest.fixture
def birds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("birds").mkdir()
    for i, name in enumerate(("jay.png", AWKWARD)):
        drawn_bird(i).resize((64, 64)).save(Path("birds", name))
    return Path("birds")


def run(*words: object) -> Any:
    return CliRunner().invoke(app, [*map(str, words)])


def addresses(page: Path) -> set[str]:
    """What a page refers to."""
    return {unescape(found) for found in re.findall(r'(?:src|href)="([^"#][^"]*)"', page.read_text(encoding="utf-8"))}


def test_each_command_has_a_folder_and_a_page(birds: Path) -> None:
    for words in (["explain", birds], ["audit", birds, "--draws", 2], ["parts", birds]):
        done = run(*words, "-m", "demo")
        page = Path("out", words[0], "index.html")
        assert done.exit_code == 0, done.stderr
        assert done.stderr.splitlines()[-1] == f"open {page}"
        names = {unquote(address) for address in addresses(page)}
        there = {str(file.relative_to(page.parent)) for file in page.parent.rglob("*") if file.is_file()}
        assert names == there - {"index.html", RECORD}


def test_the_page_is_safe_and_stands_alone(birds: Path) -> None:
    assert run("explain", birds, "-m", "demo", "--methods", "gradcam,hirescam").exit_code == 0
    text = Path("out/explain/index.html").read_text(encoding="utf-8")
    assert "http" not in text and "<b> &" not in text and "<script" not in text
    assert text.count('loading="lazy"') == text.count("<img") > 4
    assert "foveal explain birds -m demo --methods gradcam,hirescam" in text
    why = foveal.Explanation.load("out/explain/jay/gradcam")
    assert why.score is not None and f"{float(why.score):.4g}" in text and why.target[0] in text
    assert "prefers-color-scheme: dark" in text and "width=device-width" in text


def test_a_second_run_keeps_what_is_there(birds: Path) -> None:
    run("explain", birds / "jay.png", "-m", "demo")
    run("explain", birds / AWKWARD, "-m", "demo")
    assert any("jay" in address for address in addresses(Path("out/explain/index.html")))
    Path("out/explain/jay/gradcam/maps.npz").unlink()
    run("explain", birds / AWKWARD, "-m", "demo")
    assert "jay/gradcam/maps.npz" not in addresses(Path("out/explain/index.html"))


def test_results_of_another_command_stay(birds: Path) -> None:
    run("explain", birds, "-m", "demo", "-o", "here")
    before = Path("here/index.html").read_bytes()
    done = run("audit", birds, "-m", "demo", "-o", "here")
    assert done.exit_code == 1 and Path("here/index.html").read_bytes() == before
    assert "holds results of `foveal explain`; choose another folder with --out." in done.stderr
    assert not Path("here/audit.json").exists()


def test_a_result_of_another_kind_stays(birds: Path) -> None:
    model = foveal.load_model("demo")
    foveal.explain(model, birds / "jay.png").save("here")
    before = Path("here/manifest.json").read_bytes()
    with pytest.raises(ResultError, match="another kind"):
        foveal.parts(model, birds / "jay.png").save("here")
    done = run("measure", birds, "-m", "demo", "-o", "here")
    assert done.exit_code == 1 and "another kind (explanation); choose another folder with --out" in done.stderr
    assert Path("here/manifest.json").read_bytes() == before


def foreign(name: str, content: str) -> None:
    Path("here").mkdir()
    Path("here", name).write_text(content)


BAD = {
    "a file": lambda: Path("here").write_text("x"),
    "manifest.json there was not written by foveal": lambda: foreign("manifest.json", "{}"),
    "index.html there was not written by foveal": lambda: foreign("index.html", "<h1>mine</h1>"),
    f"{RECORD} in 'here' was not written by foveal": lambda: foreign(RECORD, "[]"),
}


@pytest.mark.parametrize("words", BAD)
@pytest.mark.parametrize(
    "line",
    [
        "explain birds -m demo", "measure birds -m demo", "match birds/jay.png birds -m embed", "audit birds -m demo",
        "visualize birds -m demo", "benchmark synthetic", "benchmark folder birds -m demo", "train demo", "demo",
        "sanity birds -m demo", "compare birds -m demo", "decompose birds -m demo", "shortcuts birds -m demo",
    ],
)  # fmt: skip
def test_the_folder_is_checked_before_the_work(
    line: str, words: str, birds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: object, **more: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(load, "load_model", never)
    monkeypatch.setattr("foveal.models.load_model", never)
    BAD[words]()
    done = run(*line.split(), "-o", "here")
    assert done.exit_code == 1 and words in done.stderr and "choose another folder with --out" in done.stderr
    assert done.stderr.count("\n") == 1 and ".foveal-" not in done.stderr


def test_a_folder_that_cannot_be_made(birds: Path) -> None:
    done = run("explain", birds, "-m", "demo", "-o", "/proc/here")
    assert done.exit_code == 1 and "choose another folder with --out" in done.stderr and ".foveal-" not in done.stderr
    done = run("explain", birds, "-m", "demo", "-o", "birds/jay.png/here")
    assert "'birds/jay.png' is a file, not a folder" in done.stderr


def test_the_page_opens_in_a_browser(birds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    assert run("explain", birds, "-m", "demo", "--open").exit_code == 0
    assert opened == [Path("out/explain/index.html").resolve().as_uri()]
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    done = run("explain", birds, "-m", "demo", "--open")
    assert done.exit_code == 0 and "no browser" in done.stderr


def test_own_output_is_not_explained(birds: Path) -> None:
    for _ in range(2):
        done = run("explain", ".", "-m", "demo")
    assert done.exit_code == 0 and done.stdout.count("\n") == 2
    assert done.stderr.count("skipped 1 folder that foveal wrote") == 1
    done = run("audit", "out", "-m", "demo", "--draws", 2, "-o", "new")
    assert done.exit_code == 1 and "only 1 folder that foveal wrote" in done.stderr


def test_own_files_beside_photos_are_not_explained(birds: Path) -> None:
    for _ in range(2):
        done = run("sanity", birds, "-m", "demo", "-o", birds, "--steps", 2, "--json")
    assert done.exit_code == 0 and "skipped 1 image that foveal wrote" in done.stderr


def test_an_interrupted_explain_goes_on(birds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, asked = explain_photo.explain_photo, list[str]()

    def until_second(request: Any, photo: Path, *rest: Any) -> Any:
        asked.append(photo.name)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return whole(request, photo, *rest)

    monkeypatch.setattr(explain_photo, "explain_photo", until_second)
    words = ["explain", birds, "-m", "demo", "--json"]
    done = run(*words)
    assert done.exit_code == 130
    assert "interrupted: 1 of 2 photos are done in out/explain; run the same command again to continue" in done.stderr
    assert len(json.loads(done.stdout)) == 1 and Path("out/explain", NAME).exists()
    record = read_record(Path("out/explain"))
    assert record is not None and not record.finished
    assert "has not finished" in Path("out/explain/index.html").read_text(encoding="utf-8")

    done = run(*words)
    assert done.exit_code == 0 and asked == [AWKWARD, "jay.png", "jay.png"]
    assert "1 of 2 photos were done before the interruption" in done.stderr
    assert [row["photo"] for row in json.loads(done.stdout)] == [str(birds / AWKWARD), str(birds / "jay.png")]
    assert not Path("out/explain", NAME).exists()
    assert "has not finished" not in Path("out/explain/index.html").read_text(encoding="utf-8")
    run(*words)
    assert len(asked) == 5  # a finished run is made anew


@pytest.mark.parametrize("change", ["--again", "--method=hirescam", "photo", "result"])
def test_other_work_is_not_gone_on_with(change: str, birds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, asked = explain_photo.explain_photo, list[str]()

    def until_second(request: Any, photo: Path, *rest: Any) -> Any:
        asked.append(photo.name)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return whole(request, photo, *rest)

    monkeypatch.setattr(explain_photo, "explain_photo", until_second)
    run("explain", birds, "-m", "demo")
    if change == "photo":
        Image.new("RGB", (64, 64)).save(birds / AWKWARD)
    elif change == "result":
        next(Path("out/explain").glob("a*/gradcam/*stage3.png")).unlink()
    run("explain", birds, "-m", "demo", *([change] if change[:2] == "--" else []))
    assert asked == [AWKWARD, "jay.png", AWKWARD, "jay.png"]


def test_an_interruption_says_what_is_true(birds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("foveal.api.measure.measure", stop)
    done = run("measure", birds, "-m", "demo")
    assert done.exit_code == 130
    assert done.stderr.endswith("nothing is done yet in out/measure; run the same command again to start over\n")


@pytest.mark.parametrize(
    ("kept", "written", "done", "said"),
    [
        ((), False, 0, "nothing is done yet in {}; run the same command again to start over"),
        ((), True, 0, "what was written is in {}; the same command starts again from the first"),
        ((), True, 2, "2 of 5 photos are done in {}; the same command starts again from the first"),
        (("part-*",), False, 0, "nothing is done yet in {}; run the same command again to start over"),
        (("*.txt",), True, 0, "run the same command again to continue from what is kept in {}"),
        (("*.txt",), True, 2, "2 of 5 photos are done in {}; run the same command again to continue"),
    ],
)
def test_an_interruption_promises_what_the_folder_keeps(
    kept: tuple[str, ...], written: bool, done: int, said: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    work = OutputFolder(out, "explain", "foveal explain", {})
    work.goes_on(*kept)
    with work.filled():
        if written:
            out.mkdir()
            write_text(out / "kept.txt", "a result")
    if done:
        work.done(done, 5)
    assert work.interrupted() == "interrupted: " + said.format(out)


def test_an_output_option_is_found_in_a_command() -> None:
    def thing(output: OutputOptions) -> None: ...

    thing.__module__ = "foveal.cli.thing"
    found = {option.name: option.default for option in command(thing).__signature__.parameters.values()}  # type: ignore[attr-defined]
    assert found["out"] == Path("out/thing")


def test_another_photo_of_the_same_name_gets_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs: neither takes the folder of the other's photo, and the same photo keeps its own."""
    monkeypatch.chdir(tmp_path)
    for side in ("a", "b"):
        (tmp_path / side).mkdir()
        Image.fromarray(np.full((32, 32, 3), ord(side), np.uint8)).save(tmp_path / side / "bird.png")
        for _ in range(2):
            done = CliRunner().invoke(app, ["explain", f"{side}/bird.png", "-m", "demo"])
            assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "out" / "explain").iterdir() if path.is_dir()) == ["bird", "bird-2"]
