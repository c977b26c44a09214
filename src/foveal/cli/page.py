"""`foveal page`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foveal.cli import options
from foveal.cli.command import command
from foveal.cli.console import print_json, print_lines


@command
def page(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER", show_default=False, help="Folders of saved results.")
    ],
    json: options.Json = False,
) -> None:
    """Make a page of a saved result: the studio's views, from disk.

    \b
      foveal page out/explain/bird
      foveal page out/flow/* --json

    Takes what explain, flow, parts, decompose and match wrote, and `save` of these results from Python. Writes
    page.html into the folder, one file that needs no network, no model and no other file. Prints its path.
    """
    from foveal.report.saved_page import load_result, save_page

    pages = [save_page(load_result(folder), folder / "page.html") for folder in folders]
    if json:
        print_json([{"folder": str(folder), "page": str(path)} for folder, path in zip(folders, pages, strict=True)])
    else:
        print_lines(*pages)
