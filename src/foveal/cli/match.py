"""`foveal match`"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import options
from foveal.cli.choices import one_of
from foveal.cli.command import command
from foveal.cli.console import info, print_json, print_lines, progress
from foveal.cli.pictures import pictures
from foveal.storage.naming import distinct_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.images import Photo
    from foveal.models import Model
    from foveal.results import Match
    from foveal.results.retrieval import Retrieval

Query = Annotated[Path, typer.Argument(metavar="QUERY", show_default=False, help="A query image, or a folder of them.")]
METRIC_HELP = "cosine, dot, euclidean, squared; emd, nearest, crossattention."
SHOWN = 20  # queries with maps, where nobody says how many
TOLD = 5  # rankings without labels that the command prints


@command
def match(
    query: Query,
    references: Annotated[
        list[Path],
        typer.Argument(metavar="REFERENCE", show_default=False, help="Reference images, or folders of them."),
    ],
    source: options.NetworkOptions,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels", metavar="FILE.csv",
            help="Labels of all images: columns file and label. Default: the names of sub-folders, if both sides have "
            "them.",
        ),
    ] = None,
    show: Annotated[
        int | None,
        typer.Option(
            "--show", min=0, metavar="N",
            help=f"Number of queries with maps. Default: with labels the wrong ones, {SHOWN} at most.",
        ),
    ] = None,
    top: Annotated[
        int, typer.Option("--top", min=1, metavar="N", help="Number of references shown per query.")
    ] = 6,
    metric: Annotated[str, typer.Option("--metric", "--metrics", metavar="NAME", help=METRIC_HELP)] = "cosine",
    channels: Annotated[
        str,
        typer.Option(
            "--channels",
            metavar="RULE",
            help="Channel weights of FAM: contribution, positive or linear.",
            callback=one_of("contribution", "positive", "linear"),
        ),
    ] = "contribution",
    layer: options.Layer = None,
    embedding: options.Embedding = None,
    lines: Annotated[
        int | None,
        typer.Option(
            "--lines", min=0, metavar="N",
            help="Number of lines between positions per pair. Default: 8 if they are cheap.",
        ),
    ] = None,
    parts: options.JoinedParts = 0,
    audit: Annotated[
        bool, typer.Option("--audit", help="Deletion test: hide the positions that a map marks for the first match.")
    ] = False,
    *,
    output: options.OutputOptions,
) -> None:  # fmt: skip
    """Why do images match, and why are wrong matches wrong?

    \b
      foveal match query.jpg shelf1.jpg shelf2.jpg -m timm:resnet50
      foveal match query.jpg gallery/ -m embed --metric euclidean --top 10
      foveal match queries/ gallery/ -m embed          queries/NAME/1.jpg: rank-1, mAP
      foveal match queries/ gallery/ -m embed --labels who.csv --show 40

    References are ranked by similarity. With labels, from sub-folders or --labels, the command counts wrong first
    matches (rank-1, mAP) and shows for each where the wrong reference won over the right one, and how much of the query
    must be hidden until the first match is right. Writes match.html, queries.csv, and for each query that is shown a
    folder with match.png, ranks.png and its maps; with --parts also the parts that make two images alike, of its first
    references. Prints the path of match.html. For classes with a few examples each,
    see `foveal episode`.
    """
    network = source.load()
    from foveal.api.retrieve import retrieve
    from foveal.cli.gallery_labels import labels_of
    from foveal.images import load_images, pictures_in
    from foveal.report.retrieval import write_retrieval

    with pictures(network, json=output.json) as read, progress("matching images") as move:
        gallery = pictures_in(references, but=query)
        queries, gallery = read.readable(pictures_in([query])), read.readable(gallery)
        sides, note = labels_of(queries, gallery, [query, *references], labels)
        info(*([f"note: {note}"] if note else []))
        found = retrieve(
            network, queries, gallery, query_labels=sides and sides[0], reference_labels=sides and sides[1], show=show,
            metric=metric, layer=layer, embedding=embedding, progress=move,
        )  # fmt: skip
        found.save(output.out)
        sheets = _Sheets(network, found, queries, gallery, top, output.out, partial(
            _matched, network, metric=metric, weights=channels, layer=layer, embedding=embedding, lines=lines,
            parts=parts,
        ))  # fmt: skip
        shown = [contrast.query for contrast in found.contrasts]
        if not sides:
            shown = [*range(len(queries))][: SHOWN if show is None else show]
            if show is None and len(queries) > SHOWN:
                info(f"note: sheets are made for the first {SHOWN} of {len(queries)} queries: --show N for more")
        stems = distinct_names(str(Path(found.names[0][i]).with_suffix("")) for i in shown)
        folders = dict(zip(shown, stems, strict=True))
        rows = {}
        for done, (i, folder) in enumerate(folders.items(), 1):
            rows[i] = sheets.saved(i, folder)
            move("drawing sheets", done, len(folders))

        def photo(path: str) -> Photo:
            return load_images(path, network.preprocessing).photos[0]

        links = {i: f"{folder}/match.png" for i, folder in folders.items()}
        joined = {i: [f"{name}/{sheet.name}" for sheet in sorted((output.out / name).glob("parts*.png"))]
                  for i, name in folders.items() if parts}  # fmt: skip
        page = write_retrieval(found, output.out / "match.html", photo, sheets=links, parts=joined)
        info(str(found), *(line for i in [*rows][:TOLD] if not sides for line in rows[i].ranking_lines(0, paths=True)))
        more = dict.fromkeys(note for pair in rows.values() for note in pair.notes if note not in found.notes)
        info(*(f"  note: {note}" for note in more))
        if audit:
            info(*(_audited(network, rows[i], queries[i], metric, embedding) for i in rows))
        if output.json:
            print_json([*(sheets.row(i, rows.get(i), folders.get(i)) for i in range(len(queries))), *read.failures()])
        else:
            print_lines(page)


def _matched(network: Model, query: Path, references: Sequence[Path], **options: Any) -> Match:
    from foveal.api.match import match as matched

    return matched(network, [query], [*references], **options)


@dataclass(frozen=True)
class _Sheets:
    """A folder for each query that is shown, with its first references."""

    network: Model
    found: Retrieval
    queries: Sequence[Path]
    gallery: Sequence[Path]
    top: int
    out: Path
    matched: Any

    def saved(self, i: int, folder: str) -> Match:
        """The query with its first references, and its best right one if it is not among them."""
        order = self.found.ranking(i)
        right = [j for j in order if self.found.right[i, j]][:1]
        shown = list(dict.fromkeys([*order[: self.top], *right]))
        pair: Match = self.matched(self.queries[i], [self.gallery[j] for j in shown])
        pair = replace(
            pair, query_labels=self.found.query_labels[i : i + 1], ranks=(tuple(order.index(j) + 1 for j in shown),),
            reference_labels=tuple(self.found.reference_labels[j] for j in shown if self.found.reference_labels),
        )  # fmt: skip
        pair.save(self.out / folder)
        return pair

    def row(self, i: int, pair: Match | None, folder: str | None) -> dict[str, Any]:
        """The same for machines, the most similar first."""
        found = self.found
        facts = found.rows()[i] if found.query_labels else {"query": found.queries[i]}
        return {
            **facts,
            "model": found.model,
            "metric": found.metric,
            "embedding": found.embedding,
            "layer": found.layer,
            "references": [self._reference(i, j, rank, pair) for rank, j in enumerate(found.ranking(i)[: self.top])],
            "notes": list(found.notes),
            "seconds": found.seconds,
            "folder": None if folder is None else str(self.out / folder),
            "page": str(self.out / "match.html"),
        }

    def _reference(self, i: int, j: int, rank: int, pair: Match | None) -> dict[str, Any]:
        found, channels = self.found, []
        if pair is not None:
            each = pair.contributions[0, rank]
            strongest = each.abs().topk(min(5, len(each))).indices
            channels = [{"channel": int(k), "adds": float(each[k])} for k in strongest]
        label = {"label": found.reference_labels[j]} if found.reference_labels else {}
        parts = {"parts": [part.to_dict() for part in pair.parts(0, rank)]} if pair and pair.joined else {}
        return {"image": str(self.gallery[j]), **label, found.metric: found.value(i, j), "channels": channels, **parts}


def _audited(network: Model, pair: Match, query: Path, metric: str, embedding: str | None) -> str:
    """The map of a query for its first match, tested by hiding what it marks."""
    from foveal.api.audit import audit
    from foveal.targets import Similar

    j = pair.ranking()[0]
    target = Similar(pair.references[j].source, metric=metric, embedding=embedding)
    (test,) = audit(network, query, target, explanations={"match": pair.query_maps[0, j][None]})
    return f"{query}: {test.summary}"
