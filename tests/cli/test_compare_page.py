"""The page of `foveal compare` while it is being made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from foveal.cli import measured_photos
from foveal.cli.app import app
from foveal.synthetic import Split
from tests.recorded import answers


@pytest.mark.parametrize(("precision", "first"), [("auto", (1, 2, 0)), ("float32", (1, 1, 0))])
def test_maps_stand_on_the_page_before_the_first_number(
    precision: str, first: tuple[int, int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i, drawn in enumerate(Split("classes", 2, train=False, seed=3)):
        Image.fromarray(drawn.image).save(tmp_path / f"{i}.png")
    words = ["compare", str(tmp_path / "0.png"), str(tmp_path / "1.png"), "--model", "demo", "--metrics", "drop"]
    words += ["--precision", precision]
    words += ["--methods", "gradcam,layercam", "--out", str(tmp_path / "out")]
    seen: dict[str, list[tuple[int, int, int]]] = {"0.png": [], "1.png": []}

    def looked(row: Mapping[str, Any], **rest: object) -> None:
        seen[Path(row["picture"]).name].append(found())

    def found() -> tuple[int, int, int]:
        """Photos, explanations and tables on the page."""
        page = (tmp_path / "out" / "compare.html").read_text()
        photos = sum(len(library["photos"]) for _, library in answers(page, "library"))
        return photos, len(answers(page, "decision")), len(answers(page, "measured"))

    monkeypatch.setattr(measured_photos, "tell_row", looked)
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert seen["0.png"] == [first, *[(1, 2, 0)] * 6]  # gradcam; layercam and the baseline maps
    assert seen["1.png"] == [(1, 2, 1)] * 7
    assert found() == (2, 4, 1)
