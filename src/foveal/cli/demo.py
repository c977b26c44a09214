"""`foveal demo`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foveal.cli.console import answer_lines, info, progress
from foveal.cli.errors import reported


@reported
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the report goes.")] = Path("demo"),
) -> None:
    """Explain the bundled pictures, and write a report.

    Needs no internet and no GPU: the network and the pictures ship with foveal.
    """
    from foveal.demo import run

    with progress("starting") as move:
        for step in run(out):
            move(step.description, step.done, step.total, "")
    info("Open it in a browser:")
    answer_lines(out / "report.html")
