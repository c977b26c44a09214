"""`foveal parts` and `foveal train brnpa` as a person or a script meets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import foveal
from foveal.cli.app import app
from tests.birds import drawn_bird

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typer.testing import Result


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "bird.png"
    drawn_bird(6).save(path)
    return path


def test_parts_are_drawn_saved_and_told(photo: Path, tmp_path: Path) -> None:
    done = run("parts", photo, "-m", "demo", "-r", 2, "--count", 4, "-o", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.output
    (answer,) = json.loads(done.stdout)
    assert answer["map"] == [40, 40] and len(answer["parts"]) == 4
    assert sum(part["evidence"] for part in answer["parts"]) + answer["remainder"] + answer["offset"] == pytest.approx(
        answer["score"], abs=1e-4
    )
    x, y = answer["parts"][0]["seed"]
    assert 0 <= x <= 160 and 0 <= y <= 160
    saved = foveal.Parts.load(tmp_path / "out" / "bird")
    assert saved.groups.seeds.shape == (1, 4)
    place = int(saved.groups.seeds[0, 0])
    assert (place % 40 + 0.5) * 4 == pytest.approx(x, abs=0.1) and (place // 40 + 0.5) * 4 == pytest.approx(y, abs=0.1)
    assert "activity" in done.stderr
    plain = run("parts", photo, "-m", "demo", "-t", "Saffron Cockatoo - Plum Cockatoo", "-o", tmp_path / "margin")
    assert plain.exit_code == 0 and Path(plain.stdout.strip()) == tmp_path / "margin" / "bird" / "parts.png"


def test_what_cannot_be_done_is_said_in_a_sentence(photo: Path, tmp_path: Path) -> None:
    done = run("parts", photo, "-m", "demo", "--resolution", 3, "-o", tmp_path)
    assert done.exit_code == 1 and "cannot be made 3 times finer" in done.stderr
    assert run("parts", photo, "-m", "demo", "--count", 0).exit_code == 2
    assert run("train", "brnpa", "-o", tmp_path / "x").exit_code == 2
    done = run("train", "brnpa", "--data", tmp_path / "none", "--backbone", "demo", "-o", tmp_path / "x")
    assert done.exit_code == 1 and "There is no folder" in done.stderr
    done = run("train", "brnpa", "--data", "synthetic", "--set", "speed=9", "-o", tmp_path / "x")
    assert done.exit_code == 2 and "no setting 'speed'" in done.stderr


def test_training_from_the_command_line(tmp_path: Path) -> None:
    pytest.importorskip("lightning_fabric")
    random = np.random.default_rng(0)
    for channel, name in enumerate(("red", "green")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(6):
            pixels = random.integers(0, 90, (40, 48, 3))
            pixels[..., channel] += 150
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "data" / name / f"{number}.png")
    out = tmp_path / "out"
    done = run(
        "train", "brnpa", "--data", tmp_path / "data", "--backbone", "timm:test_resnet", "--epochs", 1, "--batch", 5,
        "--set", "side=32", "--set", "pretrained=false", "--set", "optimizer=adamw", "--accelerator", "cpu", "-o", out,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert Path(done.stdout.strip()) == out / "brnpa.safetensors" and (out / "brnpa.safetensors").exists()
    assert 'optimizer = "adamw"' in (out / "settings.toml").read_text()


def test_train_parts_passes_its_options_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("lightning_fabric")
    from foveal.training import synthetic_parts
    from foveal.training.train_step import TrainStep

    asked = []

    def quick(out: Path, **given: object) -> Iterator[TrainStep]:
        asked.append((out, given))
        yield TrainStep("train", 1, 1, 1.5)
        yield TrainStep("test", 10, 10, accuracy=0.75)

    monkeypatch.setattr(synthetic_parts, "train_parts", quick)
    done = run("train", "parts", "-o", tmp_path, "--images", 64, "--seed", 3, "--json")
    assert done.exit_code == 0, done.output
    assert asked == [(tmp_path, {"accelerator": "auto", "devices": 1, "images": 64, "seed": 3})]
    assert json.loads(done.stdout) == {"weights": str(tmp_path / "parts.safetensors"), "accuracy": 0.75}
