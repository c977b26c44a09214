"""`foveal episode`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import options
from foveal.cli.command import command
from foveal.cli.console import info, print_json, print_lines, progress
from foveal.cli.match import METRIC_HELP, Query
from foveal.cli.pictures import pictures
from foveal.storage.atomic import whole_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.results.episode import Episode


@command
def episode(
    query: Query,
    support: Annotated[
        Path,
        typer.Argument(
            metavar="SUPPORT", show_default=False, help="A folder with one sub-folder of examples for each class."
        ),
    ],
    source: options.NetworkOptions,
    method: Annotated[
        str,
        typer.Option(
            "--method", "--methods", metavar="METHOD", help="Method of the evidence maps; see `foveal methods`."
        ),
    ] = "fam:weights=linear",
    metric: Annotated[str, typer.Option("--metric", "--metrics", metavar="NAME", help=METRIC_HELP)] = "cosine",
    rule: Annotated[
        str | None,
        typer.Option(
            "--rule",
            metavar="RULE",
            help="Compare with the mean, nearest or average example of a class; or fit logistic, svm.",
        ),
    ] = None,
    temperature: Annotated[
        float, typer.Option("--temperature", metavar="X", help="Temperature of the softmax over classes.")
    ] = 0.1,
    layer: options.Layer = None,
    embedding: options.Embedding = None,
    *,
    output: options.OutputOptions,
) -> None:
    """Classify with a few examples per class, and show the evidence for each class.

    \b
      foveal episode query.jpg support/ -m embed
      foveal episode queries/ support/ -m timm:resnet50 --metric euclidean

    SUPPORT holds support/jay/1.jpg, support/crow/1.jpg and so on. Works with any network, also if it was not trained
    on these classes: they are compared by its embedding. Writes episode.png: the examples at the top, and below for
    each query the evidence for each class minus the mean over all classes. Prints its path.
    """
    network = source.load()
    from foveal.api.episode import episode as run_episode
    from foveal.images import labeled_pictures, pictures_in
    from foveal.similarity import find_metric

    default = "average" if find_metric(metric).local else "mean"
    with pictures(network.preprocessing, json=output.json) as read, progress("classifying images") as move:
        files, names = labeled_pictures(support)
        queries, kept = read.readable(pictures_in([query])), read.numbers(files)
        result = run_episode(
            network, queries, [files[i] for i in kept], [names[i] for i in kept], method=method, metric=metric,
            rule=rule or default, temperature=temperature, layer=layer, embedding=embedding,  # type: ignore[arg-type]
            progress=move,
        )  # fmt: skip
        sheet = output.out / "episode.png"
        with whole_file(sheet) as aside:
            result.figure().save(aside)
        info(str(result))
        if output.json:
            print_json([*_rows(result, queries, sheet), *read.failures()])
        else:
            print_lines(sheet)


def _rows(result: Episode, queries: Sequence[Path], sheet: Path) -> list[dict[str, Any]]:
    """The same for machines, a query each."""
    columns = zip(queries, result.decided, result.chances.tolist(), strict=True)
    return [
        {
            "query": str(query),
            "class": name,
            "chances": dict(zip(result.classes, chances, strict=True)),
            "notes": list(result.notes),
            "sheet": str(sheet),
        }
        for query, name, chances in columns
    ]
