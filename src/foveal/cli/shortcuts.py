"""`foveal shortcut`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foveal.cli import options
from foveal.cli.console import answer_json, answer_lines, info, progress
from foveal.cli.errors import reported
from foveal.cli.pictures import pictures
from foveal.engine.numerals import whole
from foveal.storage.atomic import whole_file, write_text

if TYPE_CHECKING:
    from collections.abc import Sequence


@reported
def shortcut(
    photos: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", show_default=False, help="A folder for each class, or pictures of all."),
    ],
    model: options.ModelOption,
    method: Annotated[
        str, typer.Option("--method", metavar="METHOD", help="Of the maps that are grouped.")
    ] = "hirescam",
    layer: Annotated[
        str | None, typer.Option("--layer", "-l", metavar="LAYER", help="Where maps are made; the last stage.")
    ] = None,
    ring: Annotated[
        float, typer.Option("--ring", metavar="SHARE", help="How much of each side counts as surroundings.")
    ] = 0.125,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the sheets go.")] = Path("out"),
    weights: options.Weights = None,
    pretrained: options.Pretrained = True,
    labels: options.Labels = None,
    preprocessing: options.PreprocessingOption = None,
    task: options.TaskOption = None,
    device: options.Device = None,
    json: options.Json = False,
) -> None:
    """Does the network look at the thing, or at what stands around it?

    \b
      foveal shortcut photos/ -m timm:resnet50                 photos/jay/1.jpg, photos/crow/1.jpg: folders are classes
      foveal shortcut photos/ -m weights.safetensors --ring 0.2

    For each class: do its surroundings alone tell it from other classes, and how much of its probability is lost with
    the surroundings of others? Where both are large, it says so. Maps of each class are grouped by where evidence lies
    and on what. Folders whose names are no class of the network, and loose pictures, count by the predicted class.

    The folder gets a sheet for each class that is suspicious (else for the first) and shortcuts.json. Prints the
    paths of the sheets.
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
    from foveal.api.shortcuts import shortcuts
    from foveal.errors import ImageError, TargetError
    from foveal.images import labelled_pictures, pictures_in

    classes: list[int] | None = None
    try:
        files, names = labelled_pictures(photos)
        classes = _known(names, network.labels)
    except (ImageError, TargetError) as error:
        files = pictures_in([photos])
        info(f"note: classes are what the network predicts, because no folder names them ({error})")
    with pictures(network.preprocessing, json=json) as read, progress("looking") as move:
        kept = read.numbers(files)
        found = shortcuts(
            network, [files[i] for i in kept], classes and [classes[i] for i in kept], method=method, layer=layer,
            ring=ring, progress=lambda what, done, total: move(what, done, total, ""),
        )  # fmt: skip
        sheets = []
        for k, suspect in enumerate(found.suspects):
            if suspect.flagged or k == 0:
                path = out / f"class-{suspect.index}.png"
                with whole_file(path) as aside:
                    found.figure(k=k).save(aside)
                sheets.append(str(path))
        facts = {**found.to_dict(), "pictures": [str(files[i]) for i in kept], "sheets": sheets, "unread": read.facts()}
        write_text(out / "shortcuts.json", plain.dumps(facts, indent=1) + "\n")
        info(str(found))
        if json:
            answer_json(facts)
        else:
            answer_lines(*sheets)


def _known(names: list[str], labels: Sequence[str] | None) -> list[int]:
    """Folder names as classes of the network."""
    from foveal.errors import TargetError
    from foveal.targets.class_names import class_index

    numbers = [whole(name) for name in names]
    if not labels and None in numbers:
        raise TargetError("the network knows no names of classes, and folders are no numbers")
    return [class_index(name, labels, len(labels)) if labels else int(name) for name in names]
