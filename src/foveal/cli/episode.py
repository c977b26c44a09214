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
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="FILE.csv",
            help="The class of each query: columns file and label. Default: the names of sub-folders of QUERY.",
        ),
    ] = None,
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
        float,
        typer.Option(
            "--temperature", metavar="X", help="Temperature of the softmax over classes: 0.1 is meant for cosines."
        ),
    ] = 0.1,
    layer: options.Layer = None,
    embedding: options.Embedding = None,
    parts: options.JoinedParts = 0,
    *,
    output: options.OutputOptions,
) -> None:
    """Classify with a few examples per class, and show the evidence for each class.

    \b
      foveal episode query.jpg support/ -m embed
      foveal episode queries/ support/ -m timm:resnet50     queries/jay/7.jpg: accuracy
      foveal episode queries/ support/ -m timm:resnet50 --metric euclidean

    SUPPORT holds support/jay/1.jpg, support/crow/1.jpg and so on. Any network will do, also one that was not trained
    on these classes: they are compared by its embedding. If queries lie in sub-folders too, or with --labels, the
    command says which queries are wrong. The folder gets episode.png (the examples above, and below for each query the
    evidence for each class less the mean over all classes), the photos and the maps; with --parts also, for each query,
    the parts that it shares with the examples of its class. Prints the path of episode.png.
    """
    network = source.load()
    from foveal.api.episode import episode as run_episode
    from foveal.cli.gallery_labels import query_labels
    from foveal.images import labeled_pictures, pictures_in
    from foveal.similarity import find_metric

    default = "average" if find_metric(metric).local else "mean"
    with pictures(network, json=output.json) as read, progress("classifying images") as move:
        files, names = labeled_pictures(support)
        queries, kept = read.readable(pictures_in([query])), read.numbers(files)
        result = run_episode(
            network, queries, [files[i] for i in kept], [names[i] for i in kept], method=method, metric=metric,
            query_labels=query_labels(queries, query, labels), rule=rule or default,  # type: ignore[arg-type]
            temperature=temperature, layer=layer, embedding=embedding, parts=parts,
            progress=move,
        )  # fmt: skip
        sheet = result.save(output.out) / "episode.png"
        info(str(result))
        if output.json:
            print_json([*_rows(result, queries, sheet), *read.failures()])
        else:
            print_lines(sheet)


def _rows(result: Episode, queries: Sequence[Path], sheet: Path) -> list[dict[str, Any]]:
    """The same for machines, a query each."""
    columns = enumerate(zip(queries, result.decided, result.chances.tolist(), strict=True))
    return [
        {
            "query": str(query),
            "class": name,
            **(
                {"label": result.labels[i], "right": {"right": True, "wrong": False}.get(result.verdict(i))}
                if result.labels
                else {}
            ),
            "chances": dict(zip(result.classes, chances, strict=True)),
            **({"parts": [part.to_dict() for part in result.parts(i)]} if result.joined else {}),
            "notes": list(result.notes),
            "sheet": str(sheet),
        }
        for i, (query, name, chances) in columns
    ]
