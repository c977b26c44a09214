"""Several names of one option: repeated or with commas, under the singular and the plural."""

from __future__ import annotations

from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from foveal.cli.app import app
from foveal.cli.lists import separated


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("gradcam", ["gradcam"]),
        ("gradcam,lrp-gamma", ["gradcam", "lrp-gamma"]),
        (" a , b ,", ["a", "b"]),
        ("fam:weights=linear,metric=dot,gradcam", ["fam:weights=linear,metric=dot", "gradcam"]),
        ("scorecam:a=1,rise:b=2,c=3", ["scorecam:a=1", "rise:b=2,c=3"]),
        ("block[0,1],fc", ["block[0,1]", "fc"]),
        ("-1,2", ["-1", "2"]),
        ("open[", ["open["]),
        (",", []),
    ],
)
def test_names_are_separated(text: str, names: list[str]) -> None:
    assert separated(text) == names


def lists(group: Any, path: tuple[str, ...] = ()) -> list[tuple[str, list[str], bool]]:
    """Command, names and whether it repeats, of each option for methods, layers and metrics."""
    found = []
    for name, inner in group.commands.items():
        if hasattr(inner, "commands"):
            found += lists(inner, (*path, name))
        else:
            found += [
                (" ".join((*path, name)), list(option.opts), option.multiple)
                for option in inner.params
                if option.name in ("method", "layer", "metric", "mode")
                and (name, option.name) != ("run", "mode")  # which is one
            ]
    return found


def test_every_command_takes_both_spellings() -> None:
    options = lists(typer.main.get_command(app))
    assert len(options) > 25
    for where, names, _ in options:
        long = sorted(name for name in names if name[:2] == "--")
        assert len(long) == 2 and long[1] == f"{long[0]}s", where


@pytest.mark.parametrize("words", [["--methods", "qqq,gradcam"], ["--method", "gradcam", "--method", "qqq"]])
@pytest.mark.parametrize("command", ["explain", "measure", "compare", "audit", "sanity"])
def test_both_spellings_reach_the_verb(command: str, words: list[str], tmp_path: Any) -> None:
    from PIL import Image

    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    done = CliRunner().invoke(app, [command, str(tmp_path / "a.png"), "-m", "demo", "-o", str(tmp_path / "o"), *words])
    assert done.exit_code == 2 and "'qqq'" in done.stderr
