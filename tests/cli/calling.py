"""The command line called in this process, on drawn birds in a folder for each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image
from typer.testing import CliRunner

from foveal.cli.app import app
from foveal.synthetic import class_scene, render

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


def called(*words: object) -> Result:
    return CliRunner().invoke(app, [*map(str, words)])


def labeled_birds(folder: Path, each: int) -> Path:
    """So many of each of two species."""
    for name in ("Coral Ibis", "Coral Spoonbill"):
        (folder / name).mkdir()
        for seed in range(each):
            Image.fromarray(render(class_scene(name, seed))[0]).save(folder / name / f"{seed}.png")
    return folder
