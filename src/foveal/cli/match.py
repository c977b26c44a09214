"""`foveal match`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import options
from foveal.cli.reported import reported
from foveal.cli.talk import answer_json, progress, say

if TYPE_CHECKING:
    from foveal.results import Match


@reported
def match(
    query: Annotated[Path, typer.Argument(metavar="QUERY", show_default=False, help="The picture in question.")],
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
        str,
        typer.Option("--channels", metavar="RULE", help="How channels weigh: contribution, positive or linear."),
    ] = "contribution",
    layer: Annotated[
        str | None, typer.Option("--layer", "-l", metavar="LAYER", help="Where maps are drawn; the last stage.")
    ] = None,
    embedding: Annotated[
        str | None,
        typer.Option("--embedding", metavar="LAYER", help="What is compared: a layer, or fc.input; found if left out."),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, metavar="N", help="How many references the sheet shows.")] = 6,
    lines: Annotated[
        int | None,
        typer.Option("--lines", min=0, metavar="N", help="Lines between places, a pair; 8 where they cost little."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the results go.")] = Path("out"),
    weights: options.Weights = None,
    pretrained: options.Pretrained = True,
    preprocessing: options.PreprocessingOption = None,
    device: options.Device = None,
    json: options.Json = False,
) -> None:
    """Why two pictures match: evidence on both, lines between places, channels that carry it.

    \b
      foveal match query.jpg shelf1.jpg shelf2.jpg --model timm:resnet50
      foveal match query.jpg gallery/ -m embedder.safetensors --metric euclidean --top 10 -o why
      foveal match query.jpg gallery/ -m timm:resnet50 --embedding layer4 --metric emd

    References are ranked by similarity. The folder gets a sheet, the photos, all maps (match.npz) and
    manifest.json. Prints the sheet's path.
    """
    network = options.loaded(
        model, weights=weights, pretrained=pretrained, labels=None, preprocessing=preprocessing, device=device
    )
    from foveal.images import pictures_in
    from foveal.matching import match as matched

    shelf = pictures_in(references, but=query)
    with progress("matching") as move:
        pair = matched(
            network, query, shelf, metric=metric, weights=channels, layer=layer, embedding=embedding, lines=lines,
            progress=lambda what, done, total: move(what, done, total, ""),
        )  # fmt: skip
    pair.save(out)
    sheet = out / "match.png"
    pair.figure(most=top).save(sheet)
    say(str(pair))
    if json:
        answer_json(_answer(pair, shelf, out))
    else:
        typer.echo(str(sheet))


def _answer(pair: Match, shelf: list[Path], out: Path) -> dict[str, Any]:
    """The same for machines, the most similar first."""
    return {
        "query": pair.queries[0].source,
        "model": pair.model,
        "metric": pair.metric,
        "embedding": pair.embedding,
        "layer": pair.layer,
        "references": [
            {
                "picture": str(shelf[j]),
                pair.metric: pair.value(0, j),
                "channels": [
                    {"channel": int(k), "adds": float(pair.contributions[0, j, k])}
                    for k in pair.contributions[0, j].abs().topk(min(5, pair.contributions.shape[2])).indices
                ],
            }
            for j in pair.ranking()
        ],
        "notes": list(pair.remarks),
        "seconds": pair.seconds,
        "folder": str(out),
    }
