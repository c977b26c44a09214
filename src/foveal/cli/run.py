"""`foveal run`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foveal.cli import options
from foveal.cli.command import command
from foveal.cli.console import info, print_json, print_lines, progress
from foveal.cli.output_folder import OutputFolder
from foveal.storage.atomic import whole_file

if TYPE_CHECKING:
    from foveal.runs.result import Run

FAILED = 1


@command
def run(
    photos: Annotated[
        list[Path],
        typer.Argument(
            metavar="PHOTOS",
            show_default=False,
            help="A folder, a .csv or .parquet table with a column of paths, or image files.",
        ),
    ],
    source: options.ClassifierOptions,
    question: options.TargetOptions,
    method: Annotated[
        str,
        typer.Option("--method", "--methods", metavar="METHOD", help="A method, see `foveal methods`; or my.py:mine."),
    ] = "gradcam",
    layer: options.Layers = None,
    audit: options.Audit = False,
    workers: options.Workers = 0,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray", metavar="ADDRESS", help="A Ray cluster whose CPUs are the workers: its address, or local."
        ),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option("--part", metavar="K/N", help="Do only the K-th of N equal parts, such as 3/100."),
    ] = None,
    batch: Annotated[
        int, typer.Option("--batch", min=1, metavar="N", help="Photos that go through the network together.")
    ] = 8,
    threads: Annotated[
        int, typer.Option("--threads", min=1, metavar="N", help="Threads of the network in each process.")
    ] = 1,
    float32: Annotated[
        bool, typer.Option("--float32", help="Keep maps in 32 bits instead of 16: twice the size.")
    ] = False,
    *,
    output: options.OutputOptions,
    work: OutputFolder,
) -> None:
    """A whole data set: every photo explained once, and all of it kept in one folder.

    \b
      foveal run photos/ -m demo -o run/
      foveal run photos/ -m timm:resnet50 --method hirescam --workers 8 -o run/
      foveal run val.csv -m timm:resnet50 --target label --audit -o run/
      foveal run photos/ -m timm:resnet50 --part 3/100 -o /shared/run/

    In a folder with a folder for each class these are the labels; a table has a column of paths (uri, path or file) and
    may have one called label. --target as in `foveal explain`, or label: the label of each photo.

    Interrupted with Ctrl-C, or killed? The same command goes on where it stopped. A photo that cannot be read is a row
    with an error. --part lets many machines share a folder: start one with 1/100, one with 2/100 and so on, in a loop
    of the shell or an array of Slurm (--part $SLURM_ARRAY_TASK_ID/100).

    The folder gets Parquet files with a row for each photo (predicted, target, score, probability, map …), which
    DuckDB, polars and pandas read, and foveal.Run.load in Python; sheet.png shows some of the maps, numbers.png how the
    numbers are distributed, classes.png how each class came out. Prints the paths of these; --json a summary.
    """
    from foveal.errors import FovealError
    from foveal.methods import find_methods
    from foveal.models.network import Network
    from foveal.runs.question import OWN, RunQuestion
    from foveal.runs.run import explained

    number = _part(part)
    own = question.target == OWN
    network = source.load()
    target = None if own else question.resolve(network)
    chosen = find_methods([method])
    if len(chosen) != 1:
        raise FovealError(f"a run has one method, and {method} are {len(chosen)}: name one")
    ((name, formula),) = chosen.items()
    asked = RunQuestion(
        Network(source.network, network), name, formula, target, options.layer_spec(layer), own=own, audit=audit
    )
    given = [str(photo) for photo in photos]
    with progress("explaining photos") as move:

        def moved(what: str, done: int, total: int) -> None:
            move(what, done, total)
            work.done(done, total, resumes=True)

        result = explained(
            asked, given[0] if len(given) == 1 else given, output.out, workers=workers, ray=ray, threads=threads,
            batch=batch, part=number, bits="float32" if float32 else "float16", progress=moved,
        )  # fmt: skip
    sheets = _drawn(result, output.out)
    info(str(result))
    if output.json:
        print_json({**result.to_dict(), "files": [str(sheet) for sheet in sheets]})
    else:
        print_lines(*sheets)
    if len(result.failed):
        raise typer.Exit(FAILED)


def _part(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal()):
        raise typer.BadParameter(f"cannot read --part {text!r}: write 3/100, the third of a hundred")
    return int(number), int(count)


def _drawn(result: Run, out: Path) -> list[Path]:
    sheets = []
    for kind in ("sheet", "numbers", "classes"):
        with whole_file(out / f"{kind}.png") as aside:
            result.figure(kind).save(aside)
        sheets.append(out / f"{kind}.png")
    return sheets
