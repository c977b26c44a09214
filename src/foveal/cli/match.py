"""`foveal match`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import options
from foveal.cli.command import command
from foveal.cli.console import info, print_json, print_lines, progress
from foveal.cli.pictures import pictures
from foveal.storage.atomic import whole_file

if TYPE_CHECKING:
    from foveal.models import Model
    from foveal.results import Match

Query = Annotated[
    Path, typer.Argument(metavar="QUERY", show_default=False, help="The picture in question, or a folder of them.")
]
METRIC_HELP = "cosine, dot, euclidean, squared; emd, nearest, crossattention."


@command
def match(
    query: Query,
    references: Annotated[
        list[Path],
        typer.Argument(metavar="REFERENCE", show_default=False, help="Pictures, or folders of pictures."),
    ],
    source: options.NetworkOptions,
    metric: Annotated[str, typer.Option("--metric", "--metrics", metavar="NAME", help=METRIC_HELP)] = "cosine",
    channels: Annotated[
        str,
        typer.Option("--channels", metavar="RULE", help="How channels weigh: contribution, positive or linear."),
    ] = "contribution",
    layer: options.Layer = None,
    embedding: options.Embedding = None,
    top: Annotated[int, typer.Option("--top", min=1, metavar="N", help="How many references the sheet shows.")] = 6,
    lines: Annotated[
        int | None,
        typer.Option("--lines", min=0, metavar="N", help="Lines between places, a pair; 8 where they cost little."),
    ] = None,
    audit: Annotated[
        bool, typer.Option("--audit", help="Say what hiding the marked places of a query does to its best match.")
    ] = False,
    *,
    output: options.OutputOptions,
) -> None:
    """Why two pictures match: evidence on both, lines between places, channels that carry it.

    \b
      foveal match query.jpg shelf1.jpg shelf2.jpg -m timm:resnet50
      foveal match query.jpg gallery/ -m embed --metric euclidean --top 10
      foveal match query.jpg gallery/ -m timm:resnet50 --embedding layer4 --metric emd
      foveal match queries/ gallery/ -m timm:resnet50    a rank list each

    References are ranked by similarity. The folder gets a sheet and a rank list a query, the photos, all maps
    (match.npz) and manifest.json. Prints the sheets' paths. To decide between classes of which there are a few
    examples, see `foveal episode`.
    """
    network = source.load()
    from foveal.api.match import match as matched
    from foveal.images import pictures_in

    with pictures(network.preprocessing, json=output.json) as read:
        gallery = pictures_in(references, but=query)
        queries, gallery = read.readable(pictures_in([query])), read.readable(gallery)
        both = len({path.resolve() for path in queries} & {path.resolve() for path in gallery})
        if both:
            info(f"note: {both} of the queries are among the references, where each is its own best match")
        with progress("matching images") as move:
            result = matched(
                network, queries, gallery, metric=metric, weights=channels, layer=layer, embedding=embedding,
                lines=lines, progress=move,
            )  # fmt: skip
        result.save(output.out)
        sheets = [_drawn(result, i, top, output.out) for i in range(len(queries))]
        info(str(result))
        if audit:
            info(*(_audited(network, result, i, queries, gallery, metric, embedding) for i in range(len(queries))))
        if output.json:
            rows = [_row(result, i, gallery, output.out) for i in range(len(queries))]
            unread = read.failures()
            print_json([*rows, *unread] if query.is_dir() else {**rows[0], "unread": unread})
        else:
            print_lines(*sheets)


def _drawn(result: Match, i: int, top: int, out: Path) -> Path:
    """The sheet of query i, beside which its rank list lies."""
    number = f"-{i}" if len(result.queries) > 1 else ""
    sheet = out / f"match{number}.png"
    with whole_file(sheet) as aside:
        result.figure(i=i, most=top).save(aside)
    with whole_file(out / f"ranks{number}.png") as aside:
        result.figure("strip", i=i, most=top).save(aside)
    return sheet


def _audited(
    network: Model, result: Match, i: int, queries: list[Path], gallery: list[Path], metric: str, embedding: str | None
) -> str:
    """The map of query i for its best match, put to the network."""
    from foveal.api.audit import audit
    from foveal.targets import Similar

    j = result.ranking(i)[0]
    target = Similar(gallery[j], metric=metric, embedding=embedding)
    (test,) = audit(network, queries[i], target, explanations={"match": result.query_maps[i, j][None]})
    return f"{queries[i].name}: {test.summary}"


def _row(result: Match, i: int, gallery: list[Path], out: Path) -> dict[str, Any]:
    """The same for machines, the most similar first."""
    return {
        "query": result.queries[i].source,
        "model": result.model,
        "metric": result.metric,
        "embedding": result.embedding,
        "layer": result.layer,
        "references": [
            {
                "picture": str(gallery[j]),
                result.metric: result.value(i, j),
                "channels": [
                    {"channel": int(k), "adds": float(result.contributions[i, j, k])}
                    for k in result.contributions[i, j].abs().topk(min(5, result.contributions.shape[2])).indices
                ],
            }
            for j in result.ranking(i)
        ],
        "notes": list(result.notes),
        "seconds": result.seconds,
        "folder": str(out),
    }
