"""`foveal benchmark …`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foveal.cli import options
from foveal.cli.command import command
from foveal.cli.console import error, info, print_json, print_lines, print_text, progress
from foveal.cli.lists import repeatable
from foveal.cli.output_folder import OutputFolder
from foveal.errors import shown
from foveal.storage.atomic import write_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from foveal.benchmark.index import Shot
    from foveal.results import Scores

KEPT = "*.parts/*"
"""The measurements of a folder, from which an interrupted command goes on."""
ABOUT_PHOTOS = (
    "Faithfulness metrics, and agreement with the object where the index has boxes or masks. "
    "Made by foveal benchmark folder."
)
ABOUT = (
    "Drawn birds, whose parts can be removed from the scene: the true importance of a part is what the score loses "
    "without it. "
    "hit: the map's highest position lies on the part that matters most. share: share of the positive evidence on that "
    "part. rank: rank correlation of the evidence per part with its true importance. distraction: share of the parts "
    "without importance that the map leaves alone. Made by foveal benchmark synthetic."
)

Methods = Annotated[list[str] | None, repeatable("method", metavar="METHOD", help="A method, METHOD@LAYER, or fast.")]


@command
def synthetic(
    target: Annotated[
        list[str] | None,
        repeatable("target", metavar="KIND", help="class, margin, similar or prototypes (default: all)."),
    ] = None,
    method: Methods = None,
    count: Annotated[int, typer.Option("--count", min=2, metavar="N", help="Number of images per target.")] = 60,
    network: Annotated[
        bool,
        typer.Option(
            "--network/--truth-only",
            help="Also measure deletion, insertion, drop and ROAD, which take most of the time.",
        ),
    ] = True,
    seed: Annotated[int, typer.Option("--seed", help="Random seed of the images.")] = 77,
    workers: options.Workers = 0,
    *,
    output: options.OutputOptions,
    latex: options.Latex = False,
    work: OutputFolder,
) -> None:
    """Every method against true importance, on drawn birds whose parts are removed from the scene.

    \b
      foveal benchmark synthetic --count 100 --truth-only
      foveal benchmark synthetic --target margin --method fast -o birds/

    The folder gets synthetic.csv (one row per image and method), synthetic.md, synthetic.tex and synthetic.html.
    Prints their paths. An interrupted run continues when started again, from synthetic.parts. A run with other methods
    adds them: it measures only what is new.
    """
    options.one_format(json=output.json, latex=latex)
    work.goes_on(KEPT)
    from foveal.benchmark.measurements import Measurements
    from foveal.benchmark.summary import markdown, page
    from foveal.benchmark.truth import DECISIONS, NETWORK, TRUTH, USUAL, in_order, made_with, spelled
    from foveal.benchmark.truth import measure_synthetic as measured

    chosen = target or list(DECISIONS)
    if unknown := [kind for kind in chosen if kind not in DECISIONS]:
        raise typer.BadParameter(f"there is no target {unknown[0]!r}: say {', '.join(DECISIONS)}")
    metrics = (*TRUTH, *(NETWORK if network else ()))
    methods = method or USUAL
    log = Measurements(output.out / "synthetic.csv", metrics, made_with(seed, methods))
    total = len(chosen) * count
    with progress("measuring images") as move:
        for done in measured(
            log, decisions=chosen, methods=methods, count=count, seed=seed, setting=None, workers=workers,
            moved=lambda done: move("measuring images", done, total),
        ):  # fmt: skip
            work.done(done, total, "images")
    log.read()
    subjects, first = in_order(log.subjects), spelled(methods)
    parts = [
        (f"Target: {kind}", log.scores(own, first, applying=True), "share" if kind == "margin" else "rank", "share")
        for kind, own in subjects.items()
    ]
    text = "\n".join(markdown(scores, title=title, by=by, truth=truth) for title, scores, by, truth in parts)
    html = page(parts, title="Methods against true importance", about=ABOUT)
    by_title = {title: scores for title, scores, _, _ in parts}
    everything = [subject for own in subjects.values() for subject in own]
    log.write(everything, first)
    _finish(log.path, log.rows(everything, first), by_title, text, html, json=output.json, latex=latex)


@command
def folder(
    photos: Annotated[
        Path, typer.Argument(metavar="FOLDER", show_default=False, help="Photos, with or without an index.csv.")
    ],
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
        Path | None,
        typer.Option(
            "--index", metavar="FILE", help="Targets, boxes and masks of the photos. Default: FOLDER/index.csv."
        ),
    ] = None,
    count: Annotated[int | None, typer.Option("--count", min=1, metavar="N", help="Only the first N photos.")] = None,
    predicted: Annotated[
        bool, typer.Option("--predicted", help="Explain the predicted class instead of the target of the index.")
    ] = False,
    steps: options.Steps = 28,
    workers: options.Workers = 0,
    *,
    output: options.OutputOptions,
    latex: options.Latex = False,
    work: OutputFolder,
) -> None:
    """Every method on a folder of photos, with faithfulness metrics, and by boxes or masks of the object.

    \b
      foveal benchmark folder photos/ -m timm:resnet50
      foveal benchmark folder photos/ -m timm:resnet50 --metric deletion --metric energy
      foveal benchmark folder photos/ -m timm:resnet50 --method scorecam   # one more

    \b
    FOLDER/index.csv, or --index, has one line per photo; other columns are ignored:
      file,target,boxes,mask
      jay1.jpg,jay,"[[10, 20, 180, 160]]",
      jay2.jpg,jay,,masks/jay2.png

    The target is the number of a class, its name or a synonym. The folder gets photos.csv (one row per photo and
    method), photos.md, photos.tex and photos.html. Prints their paths. An interrupted run continues when started again,
    from photos.parts. A run with other methods adds them: it measures only what is new, and photos that have changed.
    A photo, mask or target that cannot be used is named at the end, and the exit status is 1.
    """
    options.one_format(json=output.json, latex=latex)
    work.goes_on(KEPT)
    network = source.load()
    from foveal.benchmark.folder import folder as measured
    from foveal.benchmark.folder import made_with, shots, subjects
    from foveal.benchmark.index import COLUMNS, is_there, unknown_columns, unlisted, untargeted
    from foveal.benchmark.measurements import Measurements
    from foveal.benchmark.summary import markdown, page
    from foveal.errors import ResultError
    from foveal.methods import USUAL, find_methods
    from foveal.models.network import Network
    from foveal.targets.heads import COMPARE

    photos_there = shots(photos, index)
    left_out = unlisted(photos, photos_there)
    if left_out:
        others = [path.relative_to(photos).as_posix() for path in left_out]
        info(f"note: {_not_indexed(others, len(photos_there) + len(others), index)}")
    listed = photos_there[:count]
    if columns := unknown_columns(photos, index):
        info(f"note: {columns}; read are {', '.join(COLUMNS)}")
    if not predicted and untargeted(photos, index):
        info("note: the index has no column `target`: the predicted class of each photo is explained")
    if absent := [shot.name for shot in listed if not is_there(shot.path)]:
        info(f"note: {_not_there(absent, len(listed), index)}")
    metrics = _metrics(listed, metric, columns)
    methods = find_methods(method or USUAL)
    setting = made_with(network, steps, predicted=predicted, methods=methods.values())
    log = Measurements(output.out / "photos.csv", metrics, setting)
    failed: dict[str, str] = {}
    asked = subjects(listed, predicted=predicted, failures=failed)
    if changed := log.changed(asked):
        info(f"note: {_changed(changed)}")
    with progress("measuring photos") as move:
        for done in measured(
            log, Network(source.network, network), asked, methods=methods, steps=steps, predicted=predicted,
            failures=failed, workers=workers, moved=lambda done: move("measuring photos", done, len(asked)),
        ):  # fmt: skip
            work.done(done, len(asked))
    faults = [failed[shot.name] for shot in listed if shot.name in failed]
    if len(faults) == len(listed):
        none = f"None of {len(listed)} photos" if len(listed) > 1 else "The photo"
        advice = f". `foveal measure {photos} --like PHOTO` measures a similarity" if COMPARE in faults[0] else ""
        raise ResultError(f"{none} could {'' if len(listed) > 1 else 'not '}be measured: {faults[0]}{advice}")
    log.read()
    first = [*methods]
    scores = log.scores(asked, first, model=network.name)
    text = markdown(scores, title=photos.name)
    html = page([(photos.name, scores, scores.metrics[0], None)], title="Methods on photos", about=ABOUT_PHOTOS)
    log.write(asked, first)
    _finish(log.path, log.rows(asked, first), {photos.name: scores}, text, html, json=output.json, latex=latex,
            unread=faults)  # fmt: skip
    if faults:
        for fault in faults:
            error(fault)
        raise typer.Exit(1)


def _metrics(listed: Sequence[Shot], asked: list[str] | None, columns: str) -> list[str]:
    """The metrics that can be measured with what is known of the photos; those named one by one must be."""
    from foveal.errors import MethodError
    from foveal.metrics.metric import METRICS, find_metrics

    chosen = find_metrics(asked or ["usual", "object"])
    known = {
        "object": any(shot.boxes or shot.mask for shot in listed), "boxes": any(shot.boxes for shot in listed),
        "explainer": False,
    }  # fmt: skip
    metrics = [name for name, kind in chosen.items() if known.get(kind.needs, True)]
    singly = [name for name in asked or () if name not in ("usual", "object", "all")]
    lacking = [name for name in (find_metrics(singly) if metrics else chosen) if name not in metrics]
    told = [name for name in lacking if METRICS[name].needs != "explainer"]
    if told:
        seen = f"{columns}; " if columns else ""
        raise MethodError(
            f"{', '.join(told)} need{'s' * (len(told) == 1)} the object: {seen}boxes must be in a column `boxes` of "
            "index.csv, masks in a column `mask`"
        )
    if lacking:
        raise MethodError(
            f"{', '.join(lacking)} cannot be measured here: altered images are explained again; use `foveal measure "
            "--no-baseline-maps`"
        )
    return metrics


def _not_indexed(names: Sequence[str], photos: int, index: Path | None) -> str:
    """ "1 photo of 2 is not in index.csv: b.jpg"."""
    are = f"{len(names)} photos of {photos} are" if len(names) > 1 else f"1 photo of {photos} is"
    return f"{are} not in {index.name if index else 'index.csv'}: {_few(names)}"


def _not_there(names: Sequence[str], photos: int, index: Path | None) -> str:
    """ "1 photo of 3 in index.csv is not there: b.jpg"."""
    are = f"{len(names)} photos of {photos} in" if len(names) > 1 else f"1 photo of {photos} in"
    return f"{are} {index.name if index else 'index.csv'} {'are' if len(names) > 1 else 'is'} not there: {_few(names)}"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(shown(name).strip("'") for name in names[:3]) + more


def _changed(names: Sequence[str]) -> str:
    are = (
        f"{len(names)} photos, or their lines in the index, have"
        if len(names) > 1
        else "1 photo, or its line in the index, has"
    )
    return f"{are} changed since the last run, and {'are' if len(names) > 1 else 'is'} measured again: {_few(names)}"


def _finish(
    table: Path, rows: Sequence[Mapping[str, str]], scores: Mapping[str, Scores], text: str, html: str, *,
    json: bool, latex: bool, unread: Sequence[str] = (),
) -> None:  # fmt: skip
    files = [table, *(table.with_suffix(end) for end in (".md", ".tex", ".html"))]
    tex = "\n".join(own.to_latex(pairs=True, by=own.metrics[0]) for own in scores.values())
    for path, content in zip(files[1:], (text + "\n", tex, html), strict=True):
        write_text(path, content)
    info(text)
    if json:
        tables = {
            title: {name: value for name, value in own.to_dict().items() if name in ("means", "pairwise")}
            for title, own in scores.items()
        }
        print_json({"rows": rows, "tables": tables, "files": [*map(str, files)], "unread": [*unread]})
    elif latex:
        print_text(tex)
    else:
        print_lines(*files)
