"""`foveal match`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import options
from foveal.cli.console import answer_json, answer_lines, info, progress
from foveal.cli.errors import reported
from foveal.cli.pictures import pictures
from foveal.storage.atomic import whole_file

if TYPE_CHECKING:
    from foveal.cli.pictures import Pictures
    from foveal.models import Model
    from foveal.results import Match
    from foveal.targets.prototypes import RuleName


@reported
def match(
    query: Annotated[
        Path, typer.Argument(metavar="QUERY", show_default=False, help="The picture in question, or a folder of them.")
    ],
    references: Annotated[
        list[Path],
        typer.Argument(metavar="REFERENCE...", show_default=False, help="Pictures, or folders of pictures."),
    ],
    model: options.ModelOption,
    metric: Annotated[
        str,
        typer.Option("--metric", metavar="NAME", help="cosine, dot, euclidean, squared; emd, nearest, crossattention."),
    ] = "cosine",
    channels: Annotated[
        str | None,
        typer.Option(
            "--channels",
            metavar="RULE",
            help="How channels weigh: contribution (left out), positive or linear (left out, with --classes).",
        ),
    ] = None,
    layer: Annotated[
        str | None, typer.Option("--layer", "-l", metavar="LAYER", help="Where maps are drawn; the last stage.")
    ] = None,
    embedding: Annotated[
        str | None,
        typer.Option("--embedding", metavar="LAYER", help="What is compared: a layer, or fc.input; found if left out."),
    ] = None,
    top: Annotated[
        int | None, typer.Option("--top", min=1, metavar="N", help="How many references the sheet shows; 6.")
    ] = None,
    classes: Annotated[
        bool,
        typer.Option("--classes", help="The reference is a folder with a folder a class: decide between them."),
    ] = False,
    lines: Annotated[
        int | None,
        typer.Option("--lines", min=0, metavar="N", help="Lines between places, a pair; 8 where they cost little."),
    ] = None,
    audit: Annotated[
        bool, typer.Option("--audit", help="Say what hiding the marked places of a query does to its best match.")
    ] = False,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the results go.")] = Path("out"),
    weights: options.Weights = None,
    pretrained: options.Pretrained = True,
    preprocessing: options.PreprocessingOption = None,
    task: options.TaskOption = None,
    device: options.Device = None,
    json: options.Json = False,
) -> None:
    """Why two pictures match: evidence on both, lines between places, channels that carry it.

    \b
      foveal match query.jpg shelf1.jpg shelf2.jpg --model timm:resnet50
      foveal match query.jpg gallery/ -m embedder.safetensors --metric euclidean --top 10 -o why
      foveal match query.jpg gallery/ -m timm:resnet50 --embedding layer4 --metric emd

    \b
      foveal match queries/ gallery/ -m timm:resnet50                  every query, a rank list each
      foveal match query.jpg support/ -m timm:resnet50 --classes       few-shot: support/jay/1.jpg, support/crow/1.jpg

    References are ranked by similarity. The folder gets a sheet and a rank list a query, the photos, all maps
    (match.npz) and manifest.json. With --classes it gets one sheet, episode.png. Prints the sheets' paths.
    """
    network = options.loaded(
        model,
        weights=weights,
        pretrained=pretrained,
        labels=None,
        preprocessing=preprocessing,
        task=task,
        device=device,
    )
    from foveal.images import pictures_in

    if classes and (top is not None or lines is not None):
        raise typer.BadParameter("--top and --lines are of rank lists: leave them out with --classes")
    if classes and len(references) != 1:
        raise typer.BadParameter("with --classes give one reference, a folder that has a folder for each class")
    queries = pictures_in([query])
    with pictures(network.preprocessing, json=json) as read:
        if classes:
            _decide(
                network, read, queries, references[0], metric, channels or "linear", layer, embedding, out, json=json
            )
            return
        shelf = pictures_in(references, but=query)
        queries, shelf = read.readable(queries), read.readable(shelf)
        _match(
            network, queries, shelf, metric, channels or "contribution", layer, embedding, top or 6, lines, out,
            audit=audit, json=json, unread=read.facts(), listed=query.is_dir(),
        )  # fmt: skip


def _match(
    network: Model, queries: list[Path], shelf: list[Path], metric: str, channels: str, layer: str | None,
    embedding: str | None, top: int, lines: int | None, out: Path, *, audit: bool, json: bool,
    unread: list[dict[str, str]], listed: bool,
) -> None:  # fmt: skip
    """The references ranked for each query."""
    from foveal.api.match import match as matched

    own = len({path.resolve() for path in queries} & {path.resolve() for path in shelf})
    if own:
        info(f"note: {own} of the queries are among the references, where each is its own best match")
    with progress("matching") as move:
        pair = matched(
            network, queries, shelf, metric=metric, weights=channels, layer=layer,
            embedding=embedding, lines=lines,
            progress=lambda what, done, total: move(what, done, total, ""),
        )  # fmt: skip
    pair.save(out)
    info(
        str(pair),
        *(_audited(network, pair, i, queries, shelf, metric, embedding) for i in range(len(queries)) if audit),
    )
    answers = []
    for i in range(len(queries)):
        number = f"-{i}" if len(queries) > 1 else ""
        sheet = out / f"match{number}.png"
        with whole_file(sheet) as aside:
            pair.figure(i=i, most=top).save(aside)
        with whole_file(out / f"ranks{number}.png") as aside:
            pair.figure("strip", i=i, most=top).save(aside)
        answers.append(_answer(pair, i, shelf, out))
        if not json:
            answer_lines(sheet)
    if json:
        answer_json([*answers, *unread] if listed else {**answers[0], "unread": unread})


def _audited(
    network: Model, pair: Match, i: int, queries: list[Path], shelf: list[Path], metric: str, embedding: str | None
) -> str:
    """The map of query i for its best match, put to the network."""
    from foveal.api.audit import audit
    from foveal.targets import Similar

    j = pair.ranking(i)[0]
    target = Similar(shelf[j], metric=metric, embedding=embedding)
    (found,) = audit(network, queries[i], {"match": pair.query_maps[i, j][None]}, target)
    return f"{queries[i].name}: {found.summary}"


def _decide(
    network: Model, read: Pictures, queries: list[Path], support: Path, metric: str, channels: str, layer: str | None,
    embedding: str | None, out: Path, *, json: bool,
) -> None:  # fmt: skip
    """Few-shot: which of the folders' classes."""
    from foveal.api.episode import episode
    from foveal.images import labelled_pictures
    from foveal.similarity import find_metric

    files, labels = labelled_pictures(support)
    queries, kept = read.readable(queries), read.numbers(files)
    rule: RuleName = "average" if find_metric(metric).local else "mean"
    with progress("deciding") as move:
        found = episode(
            network, queries, [files[i] for i in kept], [labels[i] for i in kept], method=f"fam:weights={channels}",
            metric=metric, rule=rule, layer=layer, embedding=embedding,
            progress=lambda what, done, total: move(what, done, total, ""),
        )  # fmt: skip
    sheet = out / "episode.png"
    with whole_file(sheet) as aside:
        found.figure().save(aside)
    info(str(found))
    if json:
        rows = zip(queries, found.decided, found.chances.tolist(), strict=True)
        answer_json(
            [
                {"query": str(query), "class": name, "chances": dict(zip(found.classes, chances, strict=True))}
                for query, name, chances in rows
            ]
            + read.facts()
        )
    else:
        answer_lines(sheet)


def _answer(pair: Match, i: int, shelf: list[Path], out: Path) -> dict[str, Any]:
    """The same for machines, the most similar first."""
    return {
        "query": pair.queries[i].source,
        "model": pair.model,
        "metric": pair.metric,
        "embedding": pair.embedding,
        "layer": pair.layer,
        "references": [
            {
                "picture": str(shelf[j]),
                pair.metric: pair.value(i, j),
                "channels": [
                    {"channel": int(k), "adds": float(pair.contributions[i, j, k])}
                    for k in pair.contributions[i, j].abs().topk(min(5, pair.contributions.shape[2])).indices
                ],
            }
            for j in pair.ranking(i)
        ],
        "notes": list(pair.notes),
        "seconds": pair.seconds,
        "folder": str(out),
    }
