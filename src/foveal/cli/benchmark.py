"""`foveal bench …`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foveal.cli import options
from foveal.cli.console import answer_json, answer_lines, complain, info, progress
from foveal.cli.errors import reported
from foveal.storage.atomic import write_text

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from foveal.benchmark.csv_log import CsvLog

Out = Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where tables go; a run there is resumed.")]
Methods = Annotated[
    list[str] | None, typer.Option("--method", metavar="METHOD", help="Name, name@layer, or fast; may be repeated.")
]


@reported
def world(
    decision: Annotated[
        list[str] | None,
        typer.Option("--decision", metavar="NAME", help="class, margin, similar, prototypes; all if left out."),
    ] = None,
    method: Methods = None,
    count: Annotated[int, typer.Option("--count", min=2, metavar="N", help="Pictures, a decision each.")] = 60,
    network: Annotated[
        bool, typer.Option("--network/--truth-only", help="Also deletion, insertion, drop and ROAD: most of the time.")
    ] = True,
    seed: Annotated[int, typer.Option("--seed", help="Of the pictures.")] = 77,
    out: Out = Path("bench"),
    json: options.Json = False,
) -> None:
    """Every method against true importance, on drawn birds whose parts are taken out of the scene.

    \b
      foveal bench world --count 100 --truth-only
      foveal bench world --decision margin --method fast --method occlusion -o bench/

    The folder gets world.csv (a row a picture and method), world.md and world.html. Prints their paths. A run that was
    broken off goes on where it stopped when started again with the same options.
    """
    from foveal.benchmark.csv_log import CsvLog
    from foveal.benchmark.summary import markdown, page
    from foveal.benchmark.truth import DECISIONS, NETWORK, TRUTH, USUAL, made_with
    from foveal.benchmark.truth import measure_synthetic as measured

    chosen = decision or list(DECISIONS)
    if unknown := [one for one in chosen if one not in DECISIONS]:
        raise typer.BadParameter(f"there is no decision {unknown[0]!r}: say {', '.join(DECISIONS)}")
    metrics = (*TRUTH, *(NETWORK if network else ()))
    ledger = CsvLog(out / "world.csv", metrics, made_with(method or USUAL, seed))
    with progress("drawing") as move:
        for what, done, total in measured(
            ledger, decisions=chosen, methods=method or USUAL, count=count, seed=seed, setting=None
        ):
            move(what, done, total, "")
    parts = [(f"Decision: {one}", ledger.scores(one), "rank" if one != "margin" else "share", "share")
             for one in ledger.decisions]  # fmt: skip
    text = "\n".join(markdown(scores, title=title, by=by, truth=truth) for title, scores, by, truth in parts)
    html = page(parts, title="Methods against true importance", about="Drawn birds; foveal bench world.")
    _finish(ledger, out / "world", text, html, json=json)


@reported
def folder(
    photos: Annotated[Path, typer.Argument(metavar="FOLDER", show_default=False, help="Photos, maybe with index.csv.")],
    model: options.ModelOption,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", metavar="METHOD", help="Repeat it; gradcam, hirescam, layercam, lrp-gamma if left out."
        ),
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", metavar="METRIC", help="usual and object if left out.")
    ] = None,
    index: Annotated[
        Path | None, typer.Option("--index", metavar="FILE", help="What is known of the photos; FOLDER/index.csv.")
    ] = None,
    count: Annotated[int | None, typer.Option("--count", min=1, metavar="N", help="The first N photos only.")] = None,
    predicted: Annotated[
        bool, typer.Option("--predicted", help="Explain the predicted class, whatever the index says.")
    ] = False,
    steps: Annotated[int, typer.Option("--steps", min=1, metavar="N", help="Of deletion and insertion.")] = 28,
    out: Out = Path("bench"),
    weights: options.Weights = None,
    pretrained: options.Pretrained = True,
    labels: options.Labels = None,
    preprocessing: options.PreprocessingOption = None,
    task: options.TaskOption = None,
    device: options.Device = None,
    json: options.Json = False,
) -> None:
    """Every method on a folder of photos, by what the network says, and by boxes or masks of the object.

    \b
      foveal bench folder photos/ -m timm:resnet50
      foveal bench folder photos/ -m timm:resnet50 --method gradcam --method lrp-gamma --metric deletion --metric energy

    \b
    FOLDER/index.csv, or --index, has a line a photo; columns that are not known are left out:
      file,target,boxes,mask
      jay1.jpg,jay,"[[10, 20, 180, 160]]",
      jay2.jpg,jay,,masks/jay2.png

    The folder gets photos.csv (a row a photo and method), photos.md and photos.html. Prints their paths. A run that
    was broken off goes on where it stopped when started again with the same options, and several may share a folder.
    A photo, mask or target that cannot be used is named at the end, and the exit status is 1.
    """
    network = options.loaded(
        model,
        weights=weights,
        pretrained=pretrained,
        labels=labels,
        preprocessing=preprocessing,
        task=task,
        device=device,
    )
    from foveal.benchmark.csv_log import CsvLog
    from foveal.benchmark.folder import folder as measured
    from foveal.benchmark.folder import made_with, shots
    from foveal.benchmark.summary import markdown, page
    from foveal.errors import ResultError
    from foveal.methods import find_methods
    from foveal.metrics.metric import find_metrics

    found = shots(photos, index)[:count]
    known = {"object": any(s.boxes or s.mask for s in found), "boxes": any(s.boxes for s in found)}
    chosen = find_metrics(metric or ["usual", "object"])
    metrics = [name for name, one in chosen.items() if known.get(one.needs, True)]
    methods = list(find_methods(method or ["gradcam", "hirescam", "layercam", "lrp-gamma"]))
    ledger = CsvLog(out / "photos.csv", metrics, made_with(network, methods, steps, predicted=predicted))
    faults: list[str] = []
    with progress("measuring") as move:
        for _, done, total in measured(
            ledger, network, found, methods=methods, steps=steps, predicted=predicted, failures=faults
        ):
            move("photos", done, total, "")
    names = {shot.name for shot in found}
    if len(faults) == len(found):
        raise ResultError(f"None of {len(found)} photos could be measured. {faults[0]}")
    scores = ledger.scores("photo", model=network.name, pictures=names)
    text = markdown(scores, title=f"{network.name}, {photos.name}")
    html = page(
        [(network.name, scores, scores.metrics[0], None)], title="Methods on photos", about="foveal bench folder."
    )
    _finish(ledger, out / "photos", text, html, json=json, pictures=names, unread=faults)
    if faults:
        for fault in faults:
            complain(fault)
        raise typer.Exit(1)


def _finish(
    ledger: CsvLog,
    stem: Path,
    text: str,
    html: str,
    *,
    json: bool,
    pictures: Collection[str] | None = None,
    unread: Sequence[str] = (),
) -> None:
    files = [ledger.path, stem.with_suffix(".md"), stem.with_suffix(".html")]
    write_text(files[1], text + "\n")
    write_text(files[2], html)
    info(text)
    if json:
        answer_json({"rows": ledger.rows(pictures), "files": [*map(str, files)], "unread": [*unread]})
    else:
        answer_lines(*files)
