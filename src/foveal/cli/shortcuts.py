"""`foveal shortcuts`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foveal.cli import options
from foveal.cli.command import command
from foveal.cli.console import info, print_json, print_lines, progress
from foveal.cli.pictures import pictures
from foveal.engine.numerals import whole
from foveal.storage.atomic import whole_file, write_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.results.shortcuts import Shortcuts


@command
def shortcuts(
    photos: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", show_default=False, help="A folder with a folder for each class, or with images."
        ),
    ],
    source: options.ClassifierOptions,
    method: Annotated[
        str,
        typer.Option("--method", "--methods", metavar="METHOD", help="Method of the maps that are clustered."),
    ] = "hirescam",
    layer: options.Layer = None,
    ring: Annotated[
        float, typer.Option("--ring", metavar="SHARE", help="Share of each side that counts as surroundings.")
    ] = 0.125,
    *,
    output: options.OutputOptions,
) -> None:
    """Does the network use the object, or its surroundings?

    \b
      foveal shortcuts photos/ -m timm:resnet50
      foveal shortcuts photos/ -m weights.safetensors --ring 0.2

    Folders are classes: photos/jay/1.jpg, photos/crow/1.jpg. For each class: can its surroundings alone identify it,
    and how far does its probability fall with the surroundings of other classes? A class is suspicious if both are
    high. The maps of each class are clustered by where the evidence is. If the folders do not have the names of
    classes, the predicted classes are used.

    The output folder gets a sheet for each suspicious class (or for the first class) and shortcuts.json. Prints the
    paths of the sheets.
    """
    import json

    network = source.load()
    from foveal.api.shortcuts import shortcuts as looked_for
    from foveal.errors import ImageError, TargetError
    from foveal.images import labeled_pictures, pictures_in

    classes: list[int] | None = None
    try:
        files, names = labeled_pictures(photos)
        classes = _numbered(names, network.labels)
    except (ImageError, TargetError) as error:
        files = pictures_in([photos])
        info(f"note: the predicted classes are used, because the folders do not name classes ({error})")
    with pictures(network, json=output.json) as read, progress("searching classes") as move:
        kept = read.numbers(files)
        result = looked_for(
            network, [files[i] for i in kept], classes and [classes[i] for i in kept], method=method, layer=layer,
            ring=ring, progress=move,
        )  # fmt: skip
        sheets = _drawn(result, output.out)
        facts = {
            **result.to_dict(),
            "pictures": [str(files[i]) for i in kept],
            "sheets": sheets,
            "unread": read.failures(),
        }
        write_text(output.out / "shortcuts.json", json.dumps(facts, indent=1) + "\n")
        info(str(result))
        if output.json:
            print_json(facts)
        else:
            print_lines(*sheets)


def _drawn(result: Shortcuts, out: Path) -> list[str]:
    """A sheet for each class that is suspicious, else for the first."""
    sheets = []
    for k, suspect in enumerate(result.suspects):
        if suspect.flagged or k == 0:
            path = out / f"class-{suspect.index}.png"
            with whole_file(path) as aside:
                result.figure(k=k).save(aside)
            sheets.append(str(path))
    return sheets


def _numbered(names: list[str], labels: Sequence[str] | None) -> list[int]:
    """Folder names as classes of the network."""
    from foveal.errors import TargetError
    from foveal.targets.class_names import class_index

    if not labels and any(whole(name) is None for name in names):
        raise TargetError("the network has no class names, and the names of the folders are not numbers: give --labels")
    choices = (f"not {labels[0]}", labels[0]) if labels and len(labels) == 1 else labels  # as of one logit
    return [class_index(name, choices, len(choices), parts=False) if choices else int(name) for name in names]
