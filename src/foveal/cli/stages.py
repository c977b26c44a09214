"""`foveal stages`"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from foveal.cli import options
from foveal.cli.command import command
from foveal.cli.console import busy, print_json, print_lines, print_table


@dataclass(frozen=True)
class NamedNetwork(options.NetworkOptions):
    """The same, the model as an argument."""

    model: Annotated[str, typer.Argument(metavar="MODEL", show_default=False, help=options.MODEL_HELP)]


@command
def stages(
    source: NamedNetwork,
    photo: Annotated[
        Path | None,
        typer.Argument(metavar="PHOTO", show_default=False, help="A photo to run the network on (default: noise)."),
    ] = None,
    show_preprocessing: Annotated[
        bool,
        typer.Option("--show-preprocessing", help="Print how an image becomes the input, as JSON for --preprocessing."),
    ] = False,
    json: options.Json = False,
) -> None:
    """The stages of a network: what can follow --layer.

    \b
      foveal stages timm:resnet50
      foveal stages net.py:shells --preprocessing imagenet
      foveal stages timm:resnet50 --show-preprocessing > resnet50.json

    A stage is the last feature map of its resolution that all paths to the output pass through. Stride and receptive
    field are in pixels of the input. --layer also takes any other module by name, and wildcards.
    """
    network = source.load()
    if show_preprocessing and network.preprocessing:
        print_lines(*network.preprocessing.to_json().splitlines())
        return
    with busy(f"tracing {source.model}"):
        from foveal.api.explain import stages as traced
        from foveal.results.stages import HEAD

        every = traced(network, photo)
    if json:
        print_json([{"number": number, **asdict(stage)} for number, stage in enumerate(every, 1)])
        return
    print_table(every.rows(), head=HEAD)
