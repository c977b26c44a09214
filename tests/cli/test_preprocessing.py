"""--preprocessing, --input-size, --mean and --std, and what is said of networks that take other channels."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from foveal.cli.app import app

NETWORKS = """
from torch import nn

def network(channels):
    return nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))

def gray():
    return network(1)

def color():
    return network(3)

def five():
    return network(5)

def told():
    made = network(1)
    made.img_size = (48, 40)
    return made
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text(NETWORKS)
    Image.effect_noise((40, 40), 90).convert("RGB").save("photo.png")


def run(words: str) -> Result:
    return CliRunner().invoke(app, words.split())


@pytest.mark.parametrize(
    ("words", "channels", "size"),
    [
        ("nets.py:gray --input-size 32 --mean .5 --std .25", "L", [32, 32]),
        ("nets.py:color --input-size 32x24", "RGB", [32, 24]),
        ("nets.py:gray --preprocessing grey --input-size 32", "L", [32, 32]),
        ("nets.py:color --preprocessing imagenet --mean .5", "RGB", [224, 224]),
        ("demo --input-size 96", "RGB", [96, 96]),
    ],
)
def test_settings_are_shown_and_can_be_saved(words: str, channels: str, size: list[int]) -> None:
    done = run(f"stages {words} --show-preprocessing")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["channels"] == channels and said["size"] == size
    Path("said.json").write_text(done.stdout)
    again = run(f"stages {words.split()[0]} --preprocessing said.json --show-preprocessing")
    assert json.loads(again.stdout) == said


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("nets.py:gray", "takes 1 channel and does not say .* --preprocessing gray --input-size 224"),
        ("nets.py:told", "takes 1 channel and does not say .* --preprocessing gray --input-size 48x40"),
        ("nets.py:color", "takes 3 channels and does not say .* --preprocessing imagenet"),
        ("nets.py:five --input-size 32", "takes 5 channels .* with bands, range, mean and std"),
        ("nets.py:gray --preprocessing imagenet", "convolution, 0, takes 1 channel, .* has 3; .* --preprocessing gray"),
        (
            "nets.py:color --preprocessing gray",
            "takes 3 channels, .* has 1; .*--preprocessing imagenet",
        ),
        ("nets.py:gray --preprocessing gra", r"did you mean gray\?"),
        ("nets.py:gray --input-size big", "write 128, or 128x96"),
        ("nets.py:gray --mean a", "write numbers with commas"),
        ("nets.py:gray --input-size 9 --mean 1,2", "mean must be 1"),
    ],
)
def test_what_does_not_fit_says_what_would(words: str, problem: str) -> None:
    done = run(f"explain photo.png -m {words}")
    assert done.exit_code != 0 and done.stdout == ""
    assert re.search(problem, " ".join(done.stderr.replace("│", " ").split())), done.stderr
