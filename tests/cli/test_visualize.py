"""`foveal visualize` as a person or a script meets it."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import foveal
from foveal.cli.app import app
from foveal.synthetic import CLASS_NAMES, class_scene, render
from tests.storage.crashing import signaled

if TYPE_CHECKING:
    from typer.testing import Result


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def birds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("birds")
    for s in (0, 4):
        for k in range(3):
            Image.fromarray(render(class_scene(CLASS_NAMES[s], 5000 + k))[0]).save(folder / f"{s}-{k}.png")
    return folder


def test_a_folder_becomes_images(birds: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(
        "visualize", birds, "-m", "demo", "-l", "stage1", "--facets", 2, "--octave", "0.5x4", "--transfer", "embed",
        "-o", out, "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    answer = json.loads(done.stdout)
    assert [one["facet"] for one in answer["images"]] == [0, 1]
    assert len(answer["images"][0]["classes"]) == 5 and len(answer["images"][0]["nearest"]) == 4
    assert answer["transfer"]["model"] == "embed" and 0 <= answer["retrieval"] <= 1
    assert Path(answer["sheet"]).exists() and (out / "preview.png").exists()
    assert not (out / ".unfinished").exists()
    features = foveal.FeatureImages.load(out / "features")
    assert len(features) == 2 and features.parameters["facets"] == 2
    assert "gain" in done.stderr and "classified as" in done.stderr


def test_units(tmp_path: Path) -> None:
    done = run(
        "visualize", "-m", "demo", "-l", "stage3", "--channel", 3, "--neuron", "4", "--neuron", "5:2,7", "--class",
        CLASS_NAMES[4], "--octave", "0.25x3", "-o", tmp_path,
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    names = [one.name for one in foveal.FeatureImages.load(tmp_path / "features")]
    assert names == [
        "stage3 channel 3", "stage3 channel 4 at 10,10", "stage3 channel 5 at 2,7", f"class {CLASS_NAMES[4]}",
    ]  # fmt: skip
    assert Path(done.stdout.strip()).name == "sheet.png"


def test_interrupted_work_is_taken_up(birds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from foveal.featurevis.optimization import Optimization

    whole, steps = Optimization._step, []

    def stops(self: Optimization) -> list[float]:
        steps.append(self.done)
        if len(steps) == 3:
            raise KeyboardInterrupt
        return whole(self)

    monkeypatch.setattr(Optimization, "_step", stops)
    arguments = ("visualize", birds, "-m", "demo", "-l", "stage1", "--facets", 1, "--octave", "0.5x5", "-o", tmp_path)
    first = run(*arguments)
    assert first.exit_code == 130 and "interrupted: the images after 2 steps" in first.stderr
    assert (tmp_path / ".unfinished" / "checkpoint.pt").exists()
    assert foveal.FeatureImages.load(tmp_path / "features").notes
    second = run(*arguments)
    assert second.exit_code == 0 and "continuing from step 2" in second.stderr
    assert steps == [0, 1, 2, 2, 3, 4] and not (tmp_path / ".unfinished").exists()
    assert not foveal.FeatureImages.load(tmp_path / "features").notes


@pytest.mark.parametrize("what", [signal.SIGKILL, signal.SIGINT])
def test_a_process_that_was_stopped_keeps_its_work(
    what: signal.Signals, birds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foveal.featurevis.run.EVERY", 2)
    torch.set_num_threads(1)
    asked = ["visualize", birds, "-m", "demo", "-l", "stage1", "--facets", 1, "--octave", "0.3x200"]
    assert run(*asked, "-o", tmp_path / "whole").exit_code == 0
    out, kept = tmp_path / "out", tmp_path / "out" / ".unfinished" / "checkpoint.pt"
    given = [str(one) for one in (*asked, "-o", out)]
    status = signaled(what, kept.exists, lambda: app(given))
    assert status == (130 if what == signal.SIGINT else -signal.SIGKILL) and kept.exists()
    assert (out / "features" / "manifest.json").exists() == (what == signal.SIGINT)
    again = run(*asked, "-o", out)
    assert again.exit_code == 0 and "continuing from step" in again.stderr and not kept.parent.exists()
    whole, made = (foveal.FeatureImages.load(folder / "features") for folder in (tmp_path / "whole", out))
    assert torch.equal(whole[0].image, made[0].image) and made[0].curve == whole[0].curve and not made.notes


def test_work_on_other_pictures_is_not_gone_on_with(
    birds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foveal.featurevis.run.EVERY", 1)
    asked = ["visualize", birds, "-m", "demo", "-l", "stage1", "--facets", 1, "--octave", "0.3x60", "-o", tmp_path]
    signaled(signal.SIGKILL, (tmp_path / ".unfinished" / "checkpoint.pt").exists, lambda: app([str(a) for a in asked]))
    done = run(asked[0], birds / "0-0.png", *asked[2:-3], "0.3x2", *asked[-2:])
    assert done.exit_code == 0 and "started from the beginning" in done.stderr and "going on" not in done.stderr
    assert len(foveal.FeatureImages.load(tmp_path / "features").photos) == 1


@pytest.mark.parametrize(
    ("arguments", "words", "status"),
    [
        ((), "give images", 2),
        (("--channel", 3), "give one --layer", 2),
        (("--class", "phoenix"), "phoenix", 2),
        (("--layer", "stage3", "--neuron", "x"), "42:7,7", 2),
        (("here", "--facets", "many"), "give auto", 2),
        (("here", "--octave", "big"), "such as 0.5x128", 2),
        (("here", "--start", "middle"), "give mean", 2),
    ],
)
def test_what_does_not_fit_is_said(
    birds: Path, tmp_path: Path, arguments: tuple[object, ...], words: str, status: int
) -> None:
    given = [birds if one == "here" else one for one in arguments]
    done = run("visualize", *given, "-m", "demo", "-o", tmp_path)
    assert done.exit_code == status and words in " ".join(done.stderr.replace("│", " ").split())


def test_the_same_seed_gives_the_same_image(birds: Path, tmp_path: Path) -> None:
    images = []
    for name in ("a", "b"):
        run("visualize", birds, "-m", "demo", "-l", "stage1", "--facets", 1, "--octave", "0.5x3", "-o", tmp_path / name)
        images.append(foveal.FeatureImages.load(tmp_path / name / "features")[0].image)
    assert torch.equal(*images)
