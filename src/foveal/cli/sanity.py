"""`foveal sanity`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foveal.cli import options
from foveal.cli.console import answer_json, answer_lines, info, progress
from foveal.cli.errors import reported
from foveal.cli.measure import Methods
from foveal.cli.pictures import pictures
from foveal.storage.atomic import whole_file, write_text


@reported
def sanity(
    photos: options.Photos,
    model: options.ModelOption,
    target: options.TargetOption = None,
    method: Methods = None,
    layer: Annotated[
        str | None, typer.Option("--layer", "-l", metavar="LAYER", help="Where maps are made; the last stage.")
    ] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, metavar="N", help="Points of the curve.")] = 10,
    cascading: Annotated[
        bool, typer.Option("--cascading/--independent", help="Layers forget on top of one another, or one at a time.")
    ] = True,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the curves go.")] = Path("out"),
    weights: options.Weights = None,
    pretrained: options.Pretrained = True,
    labels: options.Labels = None,
    preprocessing: options.PreprocessingOption = None,
    task: options.TaskOption = None,
    device: options.Device = None,
    json: options.Json = False,
) -> None:
    """Does the explanation know the network? Layers are made random, and the map must change.

    \b
      foveal sanity bird.jpg --model demo --method gradcam --method guidedbackprop
      foveal sanity photos/*.jpg -m timm:resnet50 --method hirescam --steps 17

    Also how alike maps of two classes are, and how far the map moves when the picture hardly does. The folder gets
    sanity.png with the curves, and sanity.json. Prints the picture's path.
    """
    import json as plain

    network = options.loaded(
        model,
        weights=weights,
        pretrained=pretrained,
        labels=labels,
        preprocessing=preprocessing,
        task=task,
        device=device,
    )
    from foveal.api.sanity import sanity as checked
    from foveal.cli.target import parse_target
    from foveal.images import pictures_in

    decision = parse_target(target, network.labels)
    with pictures(network.preprocessing, json=json) as read, progress("checking") as move:
        found = checked(
            network, read.readable(pictures_in(photos)), decision, methods=method or ["gradcam"], layer=layer,
            steps=steps, cascading=cascading, progress=lambda what, done, total: move(what, done, total, ""),
        )  # fmt: skip
        with whole_file(out / "sanity.png") as aside:
            found.figure().save(aside)
        write_text(out / "sanity.json", plain.dumps(found.to_dict(), indent=1) + "\n")
        info(str(found))
        if json:
            answer_json({**found.to_dict(), "picture": str(out / "sanity.png"), "unread": read.facts()})
        else:
            answer_lines(out / "sanity.png")
