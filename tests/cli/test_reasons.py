"""`foveal reasons`: the decisions of a run in groups, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import foveal
from tests.cli.calling import called, labeled_birds


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labeled_birds(tmp_path_factory.mktemp("photos"), 3)


def test_groups_are_printed_saved_and_drawn(photos: Path, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "reasons"
    assert called("run", photos, "-m", "demo", "--contributions", "-o", run).exit_code == 0
    done = called("reasons", run, "-o", out, "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert [group["class"] for group in said["groups"]] == ["Coral Ibis", "Coral Spoonbill"]
    assert [Path(sheet).name for sheet in said["sheets"]] == ["class-1.png"] and Path(said["sheets"][0]).exists()
    assert "fewer than 12 decisions" in done.stderr
    assert len(foveal.Reasons.load(out)) == 6
    wrong = called("reasons", run, "-o", out, "--by", "color")
    assert wrong.exit_code != 0 and "color" in wrong.stderr


def test_a_run_without_contributions_says_how_to_make_one(photos: Path, tmp_path: Path) -> None:
    assert called("run", photos, "-m", "demo", "-o", tmp_path / "run").exit_code == 0
    done = called("reasons", tmp_path / "run", "-o", tmp_path / "out")
    assert done.exit_code == 1 and "--contributions" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "out").exists()
