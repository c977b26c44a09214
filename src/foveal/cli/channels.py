"""`foveal channels`"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import options
from foveal.cli.command import command
from foveal.cli.console import info, print_json, print_lines, progress
from foveal.cli.contact_sheet import contact_sheet
from foveal.cli.output_folder import OutputFolder
from foveal.cli.pictures import pictures
from foveal.storage.atomic import whole_file, write_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from foveal.results.channel_examples import ChannelExamples


@command
def channels(
    photos: options.Photos,
    source: options.NetworkOptions,
    layer: options.Layers = None,
    channel: Annotated[
        list[int] | None,
        typer.Option("--channel", metavar="N", help="Draw this channel of each layer; may be repeated."),
    ] = None,
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, metavar="N", help="Number of channels to draw without --channel.")
    ] = 8,
    most: Annotated[int, typer.Option("--most", min=1, metavar="N", help="Images per channel.")] = 9,
    workers: options.Workers = 0,
    *,
    output: options.OutputOptions,
    work: OutputFolder,
) -> None:
    """What each channel responds to: the images where it is strongest, cropped to the receptive field.

    \b
      foveal channels photos/ -m demo
      foveal channels photos/ -m timm:resnet50 --layer layer4 --channel 42
      foveal channels photos/ -m timm:resnet50 --layer all --most 16 --json

    --layer: stages by name, number, wildcard, or all. Default: the last stage. The folder gets channels.json, with the
    images, positions and values of every channel, and a strip of crops for each channel drawn, the strongest on the
    left. Results are cached, so that a repeat is fast and an interrupted search continues (FOVEAL_CACHE, or
    ~/.cache/foveal). Prints the paths of the strips.
    """
    network = source.load()
    from foveal.api.channels import cache_folder
    from foveal.api.channels import channels as looked_through
    from foveal.images import pictures_in

    work.goes_on("*.parts/*", folder=cache_folder())
    with pictures(network, json=output.json) as read, progress("reading images") as move:
        files = read.readable(pictures_in(photos))
        result = looked_through(
            network, files, layer=options.layer_spec(layer), most=most, workers=workers, progress=move
        )
        work.goes_on("*.pt", folder=cache_folder())
        drawn = {name: channel or _strongest(result, name, count) for name in result.stages}
        strips = [path for name, numbers in drawn.items() for path in _drawn(result, name, numbers, output.out)]
        stages = {name: [_examples(result, name, k) for k in range(len(result.values[name]))] for name in result.stages}
        document = {
            "model": result.model,
            "stages": stages,
            "strips": [str(path) for path in strips],
            "notes": list(result.notes),
            "unread": read.failures(),
        }
        write_text(output.out / "channels.json", json.dumps(document, indent=1) + "\n")
        info(f"{result.model}: {len(files)} image{'s' * (len(files) != 1)} searched")
        info(*(f"  {name}: channels {', '.join(map(str, numbers))} drawn of {len(result.values[name])}"
               for name, numbers in drawn.items()))  # fmt: skip
        info(*(f"note: {note}" for note in result.notes))
        if output.json:
            print_json(document)
        else:
            print_lines(*strips)


def _strongest(result: ChannelExamples, layer: str, count: int) -> list[int]:
    """The channels whose largest activation is largest."""
    peaks = result.values[layer]
    numbers: list[int] = peaks[:, 0].topk(min(count, len(peaks))).indices.tolist()
    return numbers


def _drawn(result: ChannelExamples, layer: str, numbers: Sequence[int], out: Path) -> list[Path]:
    """A strip of crops for each channel that responds to some image."""
    from foveal.storage.naming import safe_name

    crops = result.crops_of([(layer, number) for number in numbers])
    paths = []
    for (_, number), squares in crops.items():
        if squares:
            path = out / f"{safe_name(layer)}-{number}.png"
            with whole_file(path) as aside:
                contact_sheet(squares, columns=len(squares)).save(aside)
            paths.append(path)
    return paths


def _examples(result: ChannelExamples, layer: str, number: int) -> list[dict[str, Any]]:
    """Where one channel is strongest, for machines."""
    return [
        {"picture": str(example.file), "row": example.place[0], "column": example.place[1], "value": example.value}
        for example in result.entries(layer, number)
    ]
