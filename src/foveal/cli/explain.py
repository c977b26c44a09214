"""`foveal explain`"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import options
from foveal.cli.console import answer_json, answer_lines, progress
from foveal.cli.errors import reported
from foveal.cli.pictures import Pictures, pictures

if TYPE_CHECKING:
    from collections.abc import Iterator


@reported
def explain(
    photos: options.Photos,
    model: options.ModelOption,
    target: options.TargetOption = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", metavar="METHOD", help="gradcam if left out; repeat it, or say all; see `foveal methods`."
        ),
    ] = None,
    layer: options.Layer = None,
    fuse: Annotated[
        str | None,
        typer.Option("--fuse", metavar="RULE", help="One map of all layers asked for: mean, product or max."),
    ] = None,
    resolution: Annotated[
        int,
        typer.Option("--resolution", metavar="N", help="Maps N times finer, 2 or 4 mostly: strides become dilations."),
    ] = 1,
    scales: Annotated[
        str, typer.Option("--scales", metavar="LIST", help="The mean over the photo at several sizes: 1,1.5,2.")
    ] = "1",
    audit: Annotated[
        bool, typer.Option("--audit", help="Say what hiding the marked places costs, and what hiding others does.")
    ] = False,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the results go.")] = Path("out"),
    weights: options.Weights = None,
    pretrained: options.Pretrained = True,
    labels: options.Labels = None,
    preprocessing: options.PreprocessingOption = None,
    task: options.TaskOption = None,
    device: options.Device = None,
    json: options.Json = False,
) -> None:
    """What mattered for a decision, drawn on the photo.

    \b
      foveal explain bird.jpg --model demo
      foveal explain *.jpg -m timm:resnet50 --target padlock --method hirescam --method layercam -o padlocks
      foveal explain bird.jpg -m torchvision:vgg16 --weights mine.pth --labels names.txt --layer all
      foveal explain bird.jpg -m timm:resnet50 --resolution 2

    \b
    --target is one of
      (left out)                 the class the network predicts
      "padlock" or 695           a class: its name in any case, a part of the name that only it has, or its number
      "jay - crow"               why jay and not crow; also "predicted - crow", "jay - runner-up"
      neuron:layer3:17           channel 17 of layer3, averaged; neuron:layer3:17:4,9 at row 4, column 9

    \b
    --layer is one of
      (left out)                 the last stage
      layer3, features.12        a module by name;  "layer*" matches names within a level, "features.**" below it
      2, -1                      a stage by number, from the input or from the end: see `foveal layers MODEL`
      all                        every stage

    Each photo and method gets a folder FOLDER/PHOTO/METHOD with overlays, raw maps (maps.npz) and manifest.json.
    Prints the overlays' paths.
    """
    from foveal.cli.explain_photo import Question, answer
    from foveal.cli.target import parse_target

    network = options.loaded(
        model,
        weights=weights,
        pretrained=pretrained,
        labels=labels,
        preprocessing=preprocessing,
        task=task,
        device=device,
    )
    question = Question(
        network,
        parse_target(target, network.labels),
        tuple(method or ()),
        options.layer_spec(layer),
        fuse=fuse,
        resolution=resolution,
        scales=_scales(scales),
        audit=audit,
    )
    answers: list[dict[str, Any]] = []
    files, places = options.folders(photos, out)
    with (
        pictures(network.preprocessing, json=json) as read,
        _told(answers, read, json=json),
        progress("explaining") as move,
    ):
        for i, batch in read.each(files):
            answers += answer(
                question, files[i], batch, places[i], lambda what, done, total: move(what, done, total, "")
            )
            move("explaining", i + 1, len(files), files[i].name)


@contextmanager
def _told(answers: list[dict[str, Any]], read: Pictures, *, json: bool) -> Iterator[None]:
    """Say at the end, or when interrupted, what there is by then."""
    try:
        yield
    finally:
        if not json:
            answer_lines(*(file for answer in answers for file in answer["files"]))
        elif answers or read.unread:
            answer_json([*answers, *read.facts()])


def _scales(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(one) for one in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"cannot read {text!r}: write numbers with commas between, 1,1.5,2") from None
