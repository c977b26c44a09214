"""`foveal demo`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foveal.cli.command import command
from foveal.cli.console import info, print_lines, progress


@command
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the report goes.")] = Path("demo"),
) -> None:
    """Explain the bundled pictures, and write a report.

    \b
      foveal demo
      foveal demo -o somewhere/

    Needs no internet and no GPU: the network and the pictures ship with foveal.
    """
    from foveal.demo import run

    with progress("starting") as move:
        for step in run(out):
            move(step.description, step.done, step.total, "")
    info("Open it in a browser:")
    print_lines(out / "report.html")
