"""`foveal benchmark …`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foveal.cli import options
from foveal.cli.command import command
from foveal.cli.console import error, info, print_json, print_lines, progress
from foveal.cli.lists import repeatable
from foveal.cli.output_folder import OutputFolder
from foveal.storage.atomic import write_text

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from foveal.benchmark.csv_log import CsvLog
    from foveal.methods import MethodLike

Methods = Annotated[list[str] | None, repeatable("method", metavar="METHOD", help="A method, METHOD@LAYER, or fast.")]


@command
def synthetic(
    target: Annotated[
        list[str] | None,
        repeatable("target", metavar="KIND", help="class, margin, similar or prototypes (default: all)."),
    ] = None,
    method: Methods = None,
    count: Annotated[int, typer.Option("--count", min=2, metavar="N", help="Pictures, a target each.")] = 60,
    network: Annotated[
        bool, typer.Option("--network/--truth-only", help="Also deletion, insertion, drop and ROAD: most of the time.")
    ] = True,
    seed: Annotated[int, typer.Option("--seed", help="Of the pictures.")] = 77,
    *,
    output: options.OutputOptions,
    work: OutputFolder,
) -> None:
    """Every method against true importance, on drawn birds whose parts are taken out of the scene.

    \b
      foveal benchmark synthetic --count 100 --truth-only
      foveal benchmark synthetic --target margin --method fast -o birds/

    The folder gets synthetic.csv (a row a picture and method), synthetic.md and synthetic.html. Prints their paths. A
    run that was broken off goes on where it stopped when started again with the same options.
    """
    from foveal.benchmark.csv_log import CsvLog
    from foveal.benchmark.summary import markdown, page
    from foveal.benchmark.truth import DECISIONS, NETWORK, TRUTH, USUAL, made_with
    from foveal.benchmark.truth import measure_synthetic as measured

    chosen = target or list(DECISIONS)
    if unknown := [kind for kind in chosen if kind not in DECISIONS]:
        raise typer.BadParameter(f"there is no target {unknown[0]!r}: say {', '.join(DECISIONS)}")
    metrics = (*TRUTH, *(NETWORK if network else ()))
    log = CsvLog(output.out / "synthetic.csv", metrics, made_with(method or USUAL, seed))
    with progress("measuring images") as move:
        for what, done, total in measured(
            log, decisions=chosen, methods=method or USUAL, count=count, seed=seed, setting=None
        ):
            move(f"measuring images ({what})", done, total)
            work.done(done, total, f"images ({what})", resumes=True)
    parts = [(f"Target: {kind}", log.scores(kind), "rank" if kind != "margin" else "share", "share")
             for kind in log.decisions]  # fmt: skip
    text = "\n".join(markdown(scores, title=title, by=by, truth=truth) for title, scores, by, truth in parts)
    html = page(parts, title="Methods against true importance", about="Drawn birds; foveal benchmark synthetic.")
    _finish(log, output.out / "synthetic", text, html, json=output.json)


@command
def folder(
    photos: Annotated[Path, typer.Argument(metavar="FOLDER", show_default=False, help="Photos, maybe with index.csv.")],
    source: options.ClassifierOptions,
    method: Annotated[
        list[str] | None,
        repeatable(
            "method",
            metavar="METHOD",
            help="A method (default: usual: gradcam, hirescam, layercam, lrp-gamma).",
        ),
    ] = None,
    metric: Annotated[
        list[str] | None, repeatable("metric", metavar="METRIC", help="A metric (default: usual and object).")
    ] = None,
    index: Annotated[
        Path | None, typer.Option("--index", metavar="FILE", help="What is known of the photos; FOLDER/index.csv.")
    ] = None,
    count: Annotated[int | None, typer.Option("--count", min=1, metavar="N", help="The first N photos only.")] = None,
    predicted: Annotated[
        bool, typer.Option("--predicted", help="Explain the predicted class, whatever the index says.")
    ] = False,
    steps: Annotated[
        int, typer.Option("--steps", min=1, metavar="N", help="Number of steps in the deletion and insertion curves.")
    ] = 28,
    *,
    output: options.OutputOptions,
    work: OutputFolder,
) -> None:
    """Every method on a folder of photos, by what the network says, and by boxes or masks of the object.

    \b
      foveal benchmark folder photos/ -m timm:resnet50
      foveal benchmark folder photos/ -m timm:resnet50 --metric deletion --metric energy

    \b
    FOLDER/index.csv, or --index, has a line a photo; columns that are not known are left out:
      file,target,boxes,mask
      jay1.jpg,jay,"[[10, 20, 180, 160]]",
      jay2.jpg,jay,,masks/jay2.png

    The folder gets photos.csv (a row a photo and method), photos.md and photos.html. Prints their paths. A run that
    was broken off goes on where it stopped when started again with the same options, and several may share a folder.
    A photo, mask or target that cannot be used is named at the end, and the exit status is 1.
    """
    network = source.load()
    from foveal.benchmark.csv_log import CsvLog
    from foveal.benchmark.folder import folder as measured
    from foveal.benchmark.folder import made_with, shots
    from foveal.benchmark.summary import markdown, page
    from foveal.errors import ResultError
    from foveal.methods import USUAL, WORDS, find_methods
    from foveal.metrics.metric import find_metrics

    listed = shots(photos, index)[:count]
    needs = {"object": any(s.boxes or s.mask for s in listed), "boxes": any(s.boxes for s in listed)}
    chosen = find_metrics(metric or ["usual", "object"])
    metrics = [name for name, kind in chosen.items() if needs.get(kind.needs, True)]
    methods: dict[str, MethodLike] = {name: name for name in method or () if name in WORDS}
    methods |= find_methods([name for name in method or USUAL if name not in WORDS])
    log = CsvLog(output.out / "photos.csv", metrics, made_with(network, methods, steps, predicted=predicted))
    faults: list[str] = []
    with progress("measuring photos") as move:
        for _, done, total in measured(
            log, network, listed, methods=methods, steps=steps, predicted=predicted, failures=faults
        ):
            move("measuring photos", done, total)
            work.done(done, total, resumes=True)
    names = {shot.name for shot in listed}
    if len(faults) == len(listed):
        raise ResultError(f"None of {len(listed)} photos could be measured. {faults[0]}")
    scores = log.scores("photo", model=network.name, pictures=names)
    text = markdown(scores, title=f"{network.name}, {photos.name}")
    html = page(
        [(network.name, scores, scores.metrics[0], None)], title="Methods on photos", about="foveal benchmark folder."
    )
    _finish(log, output.out / "photos", text, html, json=output.json, pictures=names, unread=faults)
    if faults:
        for fault in faults:
            error(fault)
        raise typer.Exit(1)


def _finish(
    log: CsvLog,
    stem: Path,
    text: str,
    html: str,
    *,
    json: bool,
    pictures: Collection[str] | None = None,
    unread: Sequence[str] = (),
) -> None:
    files = [log.path, stem.with_suffix(".md"), stem.with_suffix(".html")]
    write_text(files[1], text + "\n")
    write_text(files[2], html)
    info(text)
    if json:
        print_json({"rows": log.rows(pictures), "files": [*map(str, files)], "unread": [*unread]})
    else:
        print_lines(*files)
