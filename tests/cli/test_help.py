"""`foveal help`: the pages of docs/, also where foveal was installed from a wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

import foveal
from foveal.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = sorted(page.stem for page in (ROOT / "docs").glob("*.md"))


def test_every_page_is_a_topic() -> None:
    done = CliRunner().invoke(app, ["help"])
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == PAGES


@pytest.mark.parametrize("topic", ["models", "Models", "docs/models.md"])
def test_a_topic_is_its_page(topic: str) -> None:
    done = CliRunner().invoke(app, ["help", topic])
    assert done.stdout.rstrip("\n") == (ROOT / "docs" / "models.md").read_text(encoding="utf-8").rstrip("\n")


def test_a_command_is_its_help() -> None:
    done = CliRunner().invoke(app, ["help", "explain"])
    assert done.exit_code == 0 and "explain [OPTIONS]" in done.stdout


def test_an_unknown_topic_is_misuse() -> None:
    near = CliRunner().invoke(app, ["help", "modles"])
    far = CliRunner().invoke(app, ["help", "qqqq"])
    assert near.exit_code == far.exit_code == 2
    assert "did you mean models?" in near.stderr and "the topics are" in far.stderr


def test_a_wheel_holds_the_pages(tmp_path: Path) -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert "/docs/*.md" in wheel["wheel"]["include"] and wheel["wheel"]["sources"]["docs"] == "foveal/docs"
    # What such a wheel unpacks to, away from the repository.
    shutil.copytree(Path(foveal.__file__).parent, tmp_path / "foveal", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "foveal" / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "models.md", tmp_path / "foveal" / "docs")
    done = subprocess.run(
        [sys.executable, "-m", "foveal", "help", "models"], capture_output=True, text=True, timeout=120, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)}, encoding="utf-8",
    )  # fmt: skip
    assert done.stdout.startswith("# Models"), done.stderr


def test_sentences_name_topics_that_exist() -> None:
    import re

    named = {
        topic
        for file in Path(foveal.__file__).parent.rglob("*.py")
        for topic in re.findall(r"foveal help ([a-z]+)", file.read_text(encoding="utf-8"))
    }
    assert "models" in named and named <= {*PAGES}
    for file in (Path(foveal.__file__).parent / "cli").glob("*.py"):
        assert "docs/" not in re.sub(
            r'removeprefix\("docs/"\)|"docs"|of docs/', "", file.read_text(encoding="utf-8")
        ), file
