"""`foveal explain`"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import options
from foveal.cli.command import command
from foveal.cli.console import info, print_json, print_lines, progress
from foveal.cli.drawing_options import DrawingOptions
from foveal.cli.figure import Figure
from foveal.cli.lists import repeatable
from foveal.cli.output_folder import OutputFolder
from foveal.cli.pictures import Pictures, pictures
from foveal.cli.unfinished import KEPT, UnfinishedRun, fingerprints

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@command
def explain(
    photos: options.Photos,
    source: options.ClassifierOptions,
    question: options.TargetOptions,
    method: Annotated[
        list[str] | None,
        repeatable(
            "method", metavar="METHOD", help="A method, or all (default: gradcam), see `foveal methods`; or my.py:mine."
        ),
    ] = None,
    layer: options.Layers = None,
    fuse: Annotated[
        str | None,
        typer.Option("--fuse", metavar="RULE", help="Combine the maps of all layers into one: mean, product or max."),
    ] = None,
    resolution: Annotated[
        int,
        typer.Option(
            "--resolution", "-r", metavar="N", help="Make maps N times finer (2, 4 or 8), with the same weights."
        ),
    ] = 1,
    scales: Annotated[
        str, typer.Option("--scales", metavar="LIST", help="Average the maps over several image sizes: 1,1.5,2.")
    ] = "1",
    audit: options.Audit = False,
    flat: Annotated[
        bool,
        typer.Option(
            "--flat",
            rich_help_panel=options.OUTPUT_PANEL,
            help="Write the overlays only, into one folder: FOLDER/PHOTO-METHOD-LAYER.png.",
        ),
    ] = False,
    save_map: Annotated[
        bool,
        typer.Option(
            "--save-map",
            rich_help_panel=options.OUTPUT_PANEL,
            help="Write each map as numbers at the image's place, too: GeoTIFF, of NIfTI files .nii.gz, of DICOM .dcm.",
        ),
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="After an interruption, explain the finished photos again, too.")
    ] = False,
    *,
    drawing: DrawingOptions,
    output: options.OutputOptions,
    work: OutputFolder,
) -> None:
    """The evidence for a decision, drawn on the photo.

    \b
      foveal explain bird.jpg -m demo
      foveal explain *.jpg -m timm:resnet50 --target jay --method hirescam
      foveal explain bird.jpg -m timm:resnet50 --target "jay - crow" --resolution 2
      foveal explain bird.jpg -m timm:resnet50 --target jay --against 3
      foveal explain query.jpg -m timm:resnet50 --like shelf.jpg --method fam
      foveal explain query.jpg -m timm:resnet50 --like jays/ --unlike crows/
      foveal explain bird.jpg -m torchvision:vgg16 --weights mine.pth --layer all
      foveal explain bird.jpg -m demo --method gradcam --figure fig.pdf --contour

    \b
    --target is one of
      (default)          the class that the network predicts
      jay, 17            a class: its name (upper or lower case), a unique part
                         of the name, or its number
      "jay - crow"       why jay and not crow; also "predicted - crow" and
                         "jay - runner-up"
      labels             every label of a multi-label network: a map each, and
                         a sheet of all; labels:edema,mass only these
      "value down"       what lowers the value of a regression; value, "value
                         above 2.5", "value below 2.5"; value:age of several
      "jay - rivals"     what tells jay from the three classes that score
                         next; "jay - rivals:5:1" five, at full strength
      group:151-268      any of these classes: numbers, names and patterns
                         such as "group:fox=*fox*,wolf", with a name
      "box 0", "box dog" of a detector, a box by number, best first, or the best
                         of a class; "box 0 left" where its left side is
      "region dog"       of a segmentation, where dog is predicted; "region dog
                         120,80" at row 120, column 80 of the output
      neuron:layer3:17   channel 17 of layer3, averaged;
                         neuron:layer3:17:4,9 at row 4, column 9

    \b
    --layer is one of
      (default)          the last stage
      layer3             a module by name; "layer*" matches names within a
                         level, "features.**" below it
      2, -1              a stage by number, from the input or from the end:
                         see `foveal stages MODEL`
      all                every stage

    Networks of signals and volumes take files of arrays, .npy, .npz or .csv, as they are.

    Each photo and method gets a folder FOLDER/PHOTO/METHOD with overlays, raw maps (maps.npz) and manifest.json.
    --flat writes the overlays only, into one folder. --figure puts all photos, methods and layers into one figure for a
    paper. --save-map writes map-LAYER.tif (.nii.gz, .dcm) beside the overlays (`foveal help inputs`). Prints the paths
    of figure, overlays and such maps. After an interruption the same command continues with the remaining
    photos; with --figure it repeats all of them.
    """
    from foveal.cli.explain_photo import PhotoRequest, explain_photo

    drawing.check()
    repeats = again or drawing.figure is not None
    work.goes_on(*([] if repeats else [KEPT]))
    network = source.load()
    request = PhotoRequest(
        network,
        question.resolve(network, each_label=True),
        tuple(method or ()),
        options.layer_spec(layer),
        fuse=_fusing(fuse),
        resolution=resolution,
        scales=_scales(scales),
        audit=audit,
        drawing=drawing.drawing(),
        flat=flat,
        save_map=save_map,
    )
    figure = Figure(drawing)
    rows: dict[int, list[dict[str, Any]]] = {}
    files, places = options.folders(photos, output.out)
    earlier = UnfinishedRun(output.out, again=repeats)
    marks = fingerprints(files, network, work.settings, places)
    with (
        pictures(network, json=output.json) as read,
        _printed(rows, read, json=output.json),
        progress("explaining photos") as move,
    ):
        rows |= {i: done for i, mark in enumerate(marks) if (done := earlier.rows(mark)) is not None}
        if rows:
            info(f"note: {len(rows)} of {len(files)} photos were done before the interruption (--again repeats them)")
        left = [i for i in range(len(files)) if i not in rows]
        work.done(len(rows), len(files))
        for number, batch in read.one_by_one([files[i] for i in left]):
            i = left[number]
            answer = explain_photo(request, files[i], batch, places[i], move)
            rows[i] = answer.rows
            figure.add(answer.explanations)
            earlier.add(marks[i], rows[i])
            move("explaining photos", len(files) - len(left) + number + 1, len(files), files[i].name)
            work.done(len(rows), len(files))
        if rows and (saved := figure.save()):
            rows[min(rows)][0]["files"].insert(0, str(saved))
    earlier.end()


@contextmanager
def _printed(rows: Mapping[int, list[dict[str, Any]]], read: Pictures, *, json: bool) -> Iterator[None]:
    """Print at the end, or when interrupted, what there is by then."""
    try:
        yield
    finally:
        told = [row for i in sorted(rows) for row in rows[i]]
        if not json:
            print_lines(*(file for row in told for file in row["files"]))
        elif told or read.unread:
            print_json([*told, *read.failures()])


def _fusing(rule: str | None) -> str | None:
    from foveal.results.fusion import RULES

    if rule is not None and rule not in RULES:
        raise typer.BadParameter(f"cannot fuse maps by {rule!r}: the rules are {', '.join(RULES)}")
    return rule


def _scales(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(scale) for scale in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"cannot read {text!r}: write numbers with commas between, 1,1.5,2") from None
