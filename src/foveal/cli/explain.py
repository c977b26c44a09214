"""`foveal explain`"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import options
from foveal.cli.command import command
from foveal.cli.console import print_json, print_lines, progress
from foveal.cli.figure import Figure
from foveal.cli.pictures import Pictures, pictures

if TYPE_CHECKING:
    from collections.abc import Iterator


@command
def explain(
    photos: options.Photos,
    source: options.ClassifierOptions,
    question: options.TargetOptions,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="METHOD",
            help="Default: gradcam. Repeat it, or say all; see `foveal methods`, or my.py:mine.",
        ),
    ] = None,
    layer: options.Layers = None,
    fuse: Annotated[
        str | None,
        typer.Option("--fuse", metavar="RULE", help="One map of all layers asked for: mean, product or max."),
    ] = None,
    resolution: Annotated[
        int,
        typer.Option(
            "--resolution", "-r", metavar="N", help="Maps at N times the resolution (2, 4 or 8), same weights."
        ),
    ] = 1,
    scales: Annotated[
        str, typer.Option("--scales", metavar="LIST", help="Mean of the maps of the photo at several sizes: 1,1.5,2.")
    ] = "1",
    audit: options.Audit = False,
    flat: Annotated[
        bool,
        typer.Option(
            "--flat",
            rich_help_panel=options.OUTPUT_PANEL,
            help="Overlays alone, all in one folder: FOLDER/PHOTO-METHOD-LAYER.png.",
        ),
    ] = False,
    *,
    drawing: options.DrawingOptions,
    output: options.OutputOptions,
) -> None:
    """The evidence for a decision, drawn on the photo.

    \b
      foveal explain bird.jpg -m demo
      foveal explain *.jpg -m timm:resnet50 --target jay --method hirescam
      foveal explain bird.jpg -m timm:resnet50 --target "jay - crow" --resolution 2
      foveal explain query.jpg -m timm:resnet50 --like shelf.jpg --method fam
      foveal explain bird.jpg -m torchvision:vgg16 --weights mine.pth --layer all
      foveal explain bird.jpg -m demo --method gradcam --figure fig.pdf --contour

    \b
    --target is one of
      (left out)         the class the network predicts
      jay, 17            a class: its name in any case, a part of the name that
                         only it has, or its number
      "jay - crow"       why jay and not crow; also "predicted - crow" and
                         "jay - runner-up"
      neuron:layer3:17   channel 17 of layer3, averaged;
                         neuron:layer3:17:4,9 at row 4, column 9

    \b
    --layer is one of
      (left out)         the last stage
      layer3             a module by name; "layer*" matches names within a
                         level, "features.**" below it
      2, -1              a stage by number, from the input or from the end:
                         see `foveal stages MODEL`
      all                every stage

    Each photo and method gets a folder FOLDER/PHOTO/METHOD with overlays, raw maps (maps.npz) and manifest.json.
    --flat gives the overlays alone, in one folder. --figure puts all photos, methods and layers into one figure for a
    paper. Prints the paths of figure and overlays.
    """
    from foveal.cli.explain_photo import PhotoRequest, explain_photo

    drawing.check()
    network = source.load()
    request = PhotoRequest(
        network,
        question.resolve(network),
        tuple(method or ()),
        options.layer_spec(layer),
        fuse=_fusing(fuse),
        resolution=resolution,
        scales=_scales(scales),
        audit=audit,
        drawing=drawing.drawing(),
        flat=flat,
    )
    figure = Figure(drawing)
    rows: list[dict[str, Any]] = []
    files, places = options.folders(photos, output.out)
    with (
        pictures(network.preprocessing, json=output.json) as read,
        _printed(rows, read, json=output.json),
        progress("explaining") as move,
    ):
        for i, batch in read.one_by_one(files):
            answer = explain_photo(request, files[i], batch, places[i], move)
            rows += answer.rows
            figure.add(answer.explanations)
            move("explaining", i + 1, len(files), files[i].name)
        if rows and (saved := figure.save()):
            rows[0]["files"].insert(0, str(saved))


@contextmanager
def _printed(rows: list[dict[str, Any]], read: Pictures, *, json: bool) -> Iterator[None]:
    """Print at the end, or when interrupted, what there is by then."""
    try:
        yield
    finally:
        if not json:
            print_lines(*(file for row in rows for file in row["files"]))
        elif rows or read.unread:
            print_json([*rows, *read.failures()])


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
