"""`foveal tree`"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import options
from foveal.cli.console import answer_json, answer_lines, info, progress
from foveal.cli.errors import reported
from foveal.cli.pictures import pictures
from foveal.storage.atomic import whole_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from foveal.cli.pictures import Pictures
    from foveal.models import Model
    from foveal.results.channel_examples import ChannelExamples
    from foveal.results.tree import Tree

    Move: TypeAlias = Callable[[str, int, int, str], None]


@reported
def tree(
    photos: options.Photos,
    model: options.ModelOption,
    target: options.TargetOption = None,
    depth: Annotated[
        int | None, typer.Option("--depth", min=1, metavar="N", help="Levels; all stages if left out.")
    ] = None,
    branch: Annotated[int, typer.Option("--branch", min=1, metavar="N", help="Children of a node, at most.")] = 3,
    rule: Annotated[
        str, typer.Option("--rule", metavar="RULE", help="pool_up as published; exact or window, which add up.")
    ] = "pool_up",
    merge: Annotated[
        bool, typer.Option("--merge", help="Channels that contribute in the same places are one.")
    ] = False,
    decide: Annotated[
        str,
        typer.Option("--decide", metavar="WHAT", help="What a node stands for: neuron, sum or map of its channel."),
    ] = "neuron",
    against: Annotated[
        int, typer.Option("--against", min=0, metavar="N", help="Also show N features that speak against each node.")
    ] = 0,
    patterns: Annotated[
        str | None,
        typer.Option("--patterns", metavar="KIND", help="Show what drives each neuron: guided or smoothgrad."),
    ] = None,
    channels: Annotated[
        Path | None,
        typer.Option("--channels", metavar="FOLDER", help="Show where each channel is strongest in these pictures."),
    ] = None,
    audit: Annotated[
        bool,
        typer.Option("--audit", help="Measure each edge, the parent without the child's channel; and the whole map."),
    ] = False,
    together: Annotated[
        bool, typer.Option("--together", help="Also join the trees of all photos: how a class is put together.")
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
    """A decision taken apart, stage by stage, into the features that support it.

    \b
      foveal tree bird.jpg --model demo
      foveal tree bird.jpg -m torchvision:vgg16 --branch 5 --depth 3 --audit
      foveal tree bird.jpg -m timm:resnet50 --target "jay - crow" --rule exact --against 3
      foveal tree bird.jpg -m torchvision:vgg16 --patterns guided --dictionary photos/
      foveal tree jays/ -m timm:resnet50 --together

    --target as in `foveal explain`. Each photo gets a folder FOLDER/PHOTO with the strongest features of each stage on
    one page (tree.png, .pdf, .svg), the whole tree to click through (tree.html), and everything in numbers
    (manifest.json, tree.npz). --together adds FOLDER/together.png, all photos by channel. Prints the pages' paths.
    """
    network = options.loaded(
        model,
        weights=weights,
        pretrained=pretrained,
        labels=labels,
        preprocessing=preprocessing,
        task=task,
        device=device,
    )
    from foveal.api.audit import audit as audited
    from foveal.api.decompose import decompose
    from foveal.cli.target import parse_target

    decision = parse_target(target, network.labels)
    answers: list[dict[str, Any]] = []
    trees = []
    files, places = options.folders(photos, out)
    with pictures(network.preprocessing, json=json) as read, progress("growing") as move:
        words = _dictionary(network, read, channels, move) if channels else None
        for i, batch in read.each(files):
            photo, folder = files[i], places[i]
            found = decompose(
                network, batch, decision, branch=branch, rule=rule, merge=merge, decide=decide, against=against
            ).grow(depth)
            found = replace(found, examples=words)
            if patterns:
                found.look(patterns)
            if audit:
                found.audit()
            found.save(folder)
            hiding = audited(network, batch, found, decision)[0] if audit else None
            said = str(found).splitlines()[: 1 + branch * (1 + branch)]
            info(f"{photo.name}: {found.target}", *said, *([hiding.summary] if hiding else []))
            answers.append(_answer(found, photo, folder) | {"hiding": hiding.to_dict() if hiding else None})
            if together:
                trees.append(found)
            move("growing", i + 1, len(files), photo.name)
        if trees:
            from foveal.results.class_tree import ClassTree

            joined = ClassTree(tuple(trees))
            with whole_file(out / "together.png") as aside:
                joined.figure().save(aside)
            info(str(joined))
        if json:
            answer_json([*answers, *read.facts()])
        else:
            answer_lines(*(answer["page"] for answer in answers))


def _dictionary(network: Model, read: Pictures, folder: Path, move: Move) -> ChannelExamples:
    """Where each channel is strongest in the pictures of a folder."""
    from foveal.api.channels import channels
    from foveal.images import pictures_in

    files = read.readable(pictures_in([folder]))
    return channels(network, files, progress=lambda what, done, total: move(what, done, total, ""))


def _answer(tree: Tree, photo: Path, folder: Path) -> dict[str, Any]:
    """The same for machines."""
    return {
        "photo": str(photo),
        "model": tree.model,
        "target": tree.target,
        "score": tree.decision.value,
        "kept": tree.kept(),
        "features": len(tree.features),
        "page": str(folder / "tree.png"),
        "notes": list(tree.notes),
    }
