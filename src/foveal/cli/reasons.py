"""`foveal reasons`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foveal.cli import options
from foveal.cli.command import command
from foveal.cli.console import info, print_json, print_lines, progress
from foveal.storage.atomic import whole_file


@command
def reasons(
    folder: Annotated[Path, typer.Argument(metavar="RUN", show_default=False, help="The folder of a run.")],
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="NAME", help="The network of the run; else by its name there."),
    ] = None,
    by: Annotated[
        str, typer.Option("--by", metavar="COLUMN", help="The column of classes: predicted, label or target.")
    ] = "predicted",
    grouping: Annotated[
        str, typer.Option("--grouping", metavar="WAY", help="mixture (Gaussian), or spectral (clusters).")
    ] = "mixture",
    effects: Annotated[
        bool, typer.Option("--effects/--no-effects", help="Test odd groups by altering their photos.")
    ] = True,
    *,
    output: options.OutputOptions,
) -> None:
    """Why were photos decided so? The decisions of each class in groups, and small groups with a reason of their own.

    \b
      foveal run photos/ -m demo --contributions -o run/
      foveal reasons run/ -o reasons/

    A group is odd if it is a minority of its class and lies clearly apart from the rest by what channels contribute.
    The rest is grouped by which channels contribute, and where evidence lies. Odd groups are tested in two ways: the
    evidence that sets them apart is hidden, and their photos get the colors and texture of others of the class. Where
    one of these lowers their score more than that of others of the class, they are flagged: look whether what they
    share should decide.

    The output folder gets the result, which foveal.Reasons.load reads, and a picture for each class that is flagged
    (or for the first). Prints the paths of these; --json the groups.
    """
    from foveal.runs.group_reasons import reasons as grouped
    from foveal.runs.result import Run

    run = Run.load(folder)
    with progress("testing groups") as move:
        result = grouped(run, model, by=by, grouping=grouping, effects=effects, progress=move)
    result.save(output.out)
    names = dict.fromkeys(group.class_name for group in (result.flagged or result.groups[:1]))
    sheets = []
    for number, name in enumerate(names, 1):
        path = output.out / f"class-{number}.png"
        with whole_file(path) as aside:
            result.figure(class_name=name).save(aside)
        sheets.append(str(path))
    info(str(result))
    if output.json:
        print_json({**result.to_dict(), "sheets": sheets})
    else:
        print_lines(*sheets)
