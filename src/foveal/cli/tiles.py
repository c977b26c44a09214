"""`foveal tiles`"""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer

from foveal.cli import options
from foveal.cli.choices import one_of
from foveal.cli.command import command
from foveal.cli.console import info, libraries_silent, print_json, print_lines, progress
from foveal.cli.output_folder import OutputFolder
from foveal.cli.pictures import pictures
from foveal.errors import ImageError
from foveal.storage.atomic import write_text

POOLINGS = ("mean", "max", "logsumexp")


@command
def tiles(
    photos: options.Photos,
    source: options.ClassifierOptions,
    question: options.TargetOptions,
    method: Annotated[
        str,
        typer.Option("--method", "--methods", metavar="METHOD", help="A method, see `foveal methods`; or my.py:mine."),
    ] = "gradcam",
    layer: options.Layer = None,
    side: Annotated[
        int | None,
        typer.Option("--side", min=1, metavar="PIXELS", help="Side of a tile. Default: the network's input size."),
    ] = None,
    overlap: Annotated[
        float,
        typer.Option(
            "--overlap", min=0, max=0.9, metavar="SHARE", help="By how much of their side neighboring tiles overlap."
        ),
    ] = 0.25,
    pooling: Annotated[
        str | None,
        typer.Option(
            "--pooling",
            metavar="RULE",
            callback=one_of(*POOLINGS),
            help="One decision in all, by the mean, max or logsumexp of the tiles' scores. Default: one for each tile.",
        ),
    ] = None,
    *,
    output: options.OutputOptions,
    work: OutputFolder,
) -> None:
    """An image much larger than the network's input, explained by overlapping tiles: which tiles are it, and why.

    \b
      foveal tiles slide.tif -m slides.safetensors --target tumor
      foveal tiles scene.png -m timm:resnet50 --side 448 --overlap 0.5
      foveal tiles slide.tif -m slides.safetensors --target tumor --pooling mean

    Every tile keeps the image's own pixels instead of shrinking all of it to the network's input. --target as in
    `foveal explain`; the default is the class with the largest score in any tile.

    Each photo gets a folder with tiles.png (the map, and the tiles of the highest scores), tiles.csv (all tiles with
    their scores), the map (maps.npz) and manifest.json. Prints the paths of tiles.png.
    """
    network = source.load()
    from foveal.api.tiles import tiles as tiles_of

    target = question.resolve(network)
    rows: list[dict[str, Any]] = []
    files, places = options.folders(photos, output.out)
    with pictures(network, json=output.json) as read, progress("explaining tiles") as move:
        for photo, folder in zip(files, places, strict=True):
            try:
                with libraries_silent():
                    result = tiles_of(
                        network, photo, target, method=method, layer=layer, side=side, overlap=overlap,
                        pooling=cast("Any", pooling), progress=move,
                    )  # fmt: skip
            except ImageError as reason:
                read.unread.setdefault(photo, str(reason))
                continue
            result.save(folder)
            write_text(folder / "tiles.csv", result.to_csv())
            info(str(result))
            rows.append({"photo": str(photo), **result.to_dict(), "picture": str(folder / "tiles.png")})
            work.done(len(rows), len(files))
        if output.json:
            print_json([*rows, *read.failures()])
        else:
            print_lines(*(row["picture"] for row in rows))
