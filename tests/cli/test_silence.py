"""Every command prints its own words and nothing else, on pictures of noise, by a network that warns and talks."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import forked

COMMANDS = [
    ["explain", "noise.png", "--method", "gradcam", "--method", "smoothgrad"],
    ["decompose", "noise.png", "--depth", "2", "--patterns", "guided", "--channels", "shelf"],
    ["flow", "noise.png", "--audit"],
    ["parts", "noise.png", "-r", "2"],
    ["match", "noise.png", "shelf"],
    ["compare", "shelf", "--method", "gradcam", "--metric", "deletion", "--steps", "2"],
    ["sanity", "noise.png", "--steps", "1"],
    ["visualize", "shelf", "--layer", "1", "--steps", "2", "--facets", "1"],
    ["measure", "noise.png", "--metric", "drop", "--no-baseline-maps"],
    ["audit", "noise.png", "--draws", "2"],
    ["channels", "shelf"],
    ["episode", "noise.png", "classes"],
    ["stages"],
]

NOISY = """
import sys, warnings, os
from torch import nn
import foveal
class Loud(nn.Module):
    def __init__(self, inner):
        super().__init__(); self.inner = inner
    def forward(self, x):
        print("forward!")
        warnings.warn("not for everybody")
        return self.inner(x)
def loud():
    print("built!")
    warnings.warn("deprecated", DeprecationWarning)
    inner = nn.Sequential(
        nn.Conv2d(3, 8, 5, 2, 2), nn.ReLU(), nn.Conv2d(8, 8, 5, 2, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 4),
    )
    small = foveal.Preprocessing(size=(48, 48), mean=(0.5,) * 3, std=(0.25,) * 3)
    return foveal.models.Model(Loud(inner.eval()), "loud", small, ["a", "b", "c", "d"])
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("noise")
    random = np.random.default_rng(0)
    for name in ("noise.png", "shelf/a.png", "shelf/b.png", "classes/one/a.png", "classes/two/b.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (200, 260, 3), dtype=np.uint8)).save(folder / name)
    (folder / "net.py").write_text(NOISY)
    return folder


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_commands_print_their_own_words_only(words: list[str], place: Path) -> None:
    model = ["net.py:loud"] if words[0] == "stages" else ["-m", "net.py:loud", "-o", f"out-{words[0]}"]
    known = {**os.environ, "FOVEAL_CACHE": str(place / "cache")}
    done = forked.foveal(*words, *model, "--json", cwd=place, env=known)
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)
    for foreign in ("Suspension", "Warning", "warn", "Traceback", "not for everybody", "site-packages"):
        assert foreign not in done.stderr, done.stderr
    assert "built!" in done.stderr  # what a model prints is told, but is no answer
