"""`foveal run`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foveal.cli import options
from foveal.cli.command import command
from foveal.cli.console import info, print_json, print_lines, progress
from foveal.cli.output_folder import OutputFolder
from foveal.cli.run_verb import VerbOptions
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
            help="A folder, a .csv or .parquet table of paths or images, .tar files, or image files.",
        ),
    ],
    source: options.ClassifierOptions,
    question: options.TargetOptions,
    asks: VerbOptions,
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
    """A whole data set: the same asked of every photo, and all of it kept in one folder.

    \b
      foveal run photos/ -m demo -o run/
      foveal run photos/ -m timm:resnet50 --method hirescam --workers 8 -o run/
      foveal run val.csv -m timm:resnet50 --target label --audit -o run/
      foveal run train-*.tar -m timm:resnet50 -o run/
      foveal run photos/ -m timm:resnet50 --verb measure --metric road -o run/
      foveal run photos/ -m embed --verb match --references shelf/ -o run/
      foveal run photos/ -m timm:resnet50 --part 3/100 -o /shared/run/

    In a folder with a folder for each class these are the labels; a table has a column of paths (uri, path or file) and
    may have one called label. In .tar files as of WebDataset, the label of 01.jpg is in 01.cls, 01.json or 01.txt; a
    .parquet file, or a folder that Hugging Face's save_to_disk wrote, may hold the images themselves. --target as in
    `foveal explain`, or label: the label of each photo.

    Interrupted with Ctrl-C, or killed? The same command goes on where it stopped. A photo that cannot be read is a row
    with an error. --part lets many machines share a folder: start one with 1/100, one with 2/100 and so on, in a loop
    of the shell or an array of Slurm (--part $SLURM_ARRAY_TASK_ID/100).

    --verb asks another question: flow (maps of all layers), measure (a number for each metric of faithfulness), match
    (the most similar of --references, and why), parts (maps of the ranked parts).

    The folder gets Parquet files with a row for each photo (predicted, target, score, probability, map …), which
    DuckDB, polars and pandas read, and foveal.Run.load in Python; sheet.png shows some of the maps, numbers.png how the
    numbers are distributed, classes.png how each class came out. Prints the paths of these; --json a summary.
    """
    from foveal.models.network import Network
    from foveal.runs.question import OWN, RunQuestion
    from foveal.runs.run import doing, explained

    work.goes_on("part-*.parquet")
    number = _part(part)
    verb = asks.find()
    own = question.target == OWN
    network = source.load()
    target = None if own else question.resolve(network)
    asked = RunQuestion(Network(source.network, network), verb, target, own=own)
    given = [str(photo) for photo in photos]
    with progress(doing(verb)) as move:
        result = explained(
            asked, given[0] if len(given) == 1 else given, output.out, workers=workers, ray=ray, threads=threads,
            batch=batch, part=number, bits="float32" if float32 else "float16", progress=move,
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
