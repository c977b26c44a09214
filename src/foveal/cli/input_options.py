"""The options of how an image file becomes the network's input; `foveal.cli.preprocessing` reads what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

INPUT_PANEL = "About the input"


@dataclass(frozen=True)
class InputOptions:
    """Settings of `Preprocessing` by the names that they have there; None where the option is left out."""

    preprocessing: Annotated[
        str | None,
        typer.Option(
            "--preprocessing", metavar="NAME|FILE", rich_help_panel=INPUT_PANEL,
            help="How to prepare an image if the model does not say: imagenet, gray (one channel, values "
            'from -1 to 1), or a JSON file ({"size": [224, 224], …}, see `foveal help inputs`).',
        ),
    ] = None  # fmt: skip
    input_size: Annotated[
        str | None,
        typer.Option(
            "--input-size", metavar="SIZE", rich_help_panel=INPUT_PANEL,
            help="Size of the input in pixels: 128, or 128x96 (height x width).",
        ),
    ] = None  # fmt: skip
    mean: Annotated[
        str | None,
        typer.Option(
            "--mean", metavar="LIST", rich_help_panel=INPUT_PANEL,
            help="Mean to subtract from pixels in 0..1: one number, or one per channel: .5,.4,.4.",
        ),
    ] = None  # fmt: skip
    std: Annotated[
        str | None,
        typer.Option(
            "--std", metavar="LIST", rich_help_panel=INPUT_PANEL,
            help="Standard deviation to divide by: one number, or one per channel.",
        ),
    ] = None  # fmt: skip
    resize: Annotated[
        str | None,
        typer.Option(
            "--resize", metavar="WAY", rich_help_panel=INPUT_PANEL, autocompletion=lambda: ["short", "exact", "pad"],
            help="How a photo of another shape fits: short (its center, edges are cut off), exact (squeezed), pad "
            "(whole, with bars).",
        ),
    ] = None  # fmt: skip
    range: Annotated[
        str | None,
        typer.Option(
            "--range", metavar="BLACK,WHITE", rich_help_panel=INPUT_PANEL,
            help="The file's values that are black and white, if it does not say so: 0,4095, or -160,240.",
        ),
    ] = None  # fmt: skip
    clip: Annotated[
        bool | None,
        typer.Option(
            "--clip/--no-clip", rich_help_panel=INPUT_PANEL, show_default=False,
            help="Cut values beyond the range to black and white (default), or keep them.",
        ),
    ] = None  # fmt: skip
    bands: Annotated[
        str | None,
        typer.Option(
            "--bands", metavar="LIST", rich_help_panel=INPUT_PANEL,
            help="The file's bands that are the network's channels, in this order, counted from 0: 3,2,1,7.",
        ),
    ] = None  # fmt: skip
    composite: Annotated[
        str | None,
        typer.Option(
            "--composite", metavar="LIST", rich_help_panel=INPUT_PANEL,
            help="With --bands: three bands to show as red, green and blue, or one.",
        ),
    ] = None  # fmt: skip
    frame: Annotated[
        int | None,
        typer.Option(
            "--frame", min=0, metavar="N", rich_help_panel=INPUT_PANEL, show_default=False,
            help="The frame, page or slice of each file, counted from 0 (default: the first; of a volume the middle).",
        ),
    ] = None  # fmt: skip
    axis: Annotated[
        int | None,
        typer.Option(
            "--axis", min=0, max=2, metavar="N", rich_help_panel=INPUT_PANEL, show_default=False,
            help="The axis of a volume along which slices are counted: 0, 1 or 2 (default).",
        ),
    ] = None  # fmt: skip
