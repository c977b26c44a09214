"""`foveal sanity`"""

from __future__ import annotations

from typing import Annotated

import typer

from foveal.cli import options
from foveal.cli.command import command
from foveal.cli.console import info, print_json, print_lines, progress
from foveal.cli.pictures import pictures
from foveal.storage.atomic import whole_file, write_text


@command
def sanity(
    photos: options.Photos,
    source: options.ClassifierOptions,
    question: options.TargetOptions,
    method: options.Methods = None,
    layer: options.Layer = None,
    steps: Annotated[
        int,
        typer.Option("--steps", min=1, metavar="N", help="Steps of randomization, from the last layer to the first."),
    ] = 10,
    cascading: Annotated[
        bool,
        typer.Option(
            "--cascading/--independent", help="Randomize layers cumulatively, or the layers of one step at a time."
        ),
    ] = True,
    *,
    output: options.OutputOptions,
) -> None:
    """Sanity check: does the map depend on the weights? Layers are randomized, and the map should change.

    \b
      foveal sanity bird.jpg -m demo --method gradcam --method guidedbackprop
      foveal sanity photos/*.jpg -m timm:resnet50 --method hirescam --steps 17

    Also: how similar the maps of two classes are, and how much the map changes when the image changes a little.
    --target as in `foveal explain`. The folder gets sanity.png with the curves, and sanity.json. Prints the path of
    sanity.png.
    """
    import json

    network = source.load()
    from foveal.api.sanity import sanity as checked
    from foveal.images import pictures_in

    target = question.resolve(network)
    with pictures(network, json=output.json) as read, progress("checking maps") as move:
        result = checked(
            network, read.readable(pictures_in(photos)), target, methods=method or ["gradcam"], layer=layer,
            steps=steps, cascading=cascading, progress=move,
        )  # fmt: skip
        picture = output.out / "sanity.png"
        with whole_file(picture) as aside:
            result.figure().save(aside)
        write_text(output.out / "sanity.json", json.dumps(result.to_dict(), indent=1) + "\n")
        info(str(result))
        if output.json:
            print_json({**result.to_dict(), "picture": str(picture), "unread": read.failures()})
        else:
            print_lines(picture)
