"""`foveal decompose`"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import options
from foveal.cli.choices import one_of
from foveal.cli.command import command
from foveal.cli.console import info, print_json, print_lines, progress
from foveal.cli.joined_trees import joined_pages
from foveal.cli.output_folder import OutputFolder
from foveal.cli.pictures import pictures
from foveal.engine.numerals import whole

if TYPE_CHECKING:
    from foveal.images import Batch
    from foveal.results.tree import Tree


NODES, PATTERNS = ("neurons", "sums", "maps", "parts"), ("guided", "smoothgrad")
LINES = 13  # of a tree that the terminal shows
BRANCHING = {"parts": 5}  # others 3


@command
def decompose(
    photos: options.Photos,
    source: options.ClassifierOptions,
    question: options.TargetOptions,
    depth: Annotated[
        int | None, typer.Option("--depth", min=1, metavar="N", help="Levels of the tree. Default: all stages.")
    ] = None,
    branching: Annotated[
        str | None,
        typer.Option(
            "--branching",
            metavar="N",
            show_default=False,
            help="Maximum number of children per node (default: 3; parts: 5), or auto: as few as hold 90 % of it.",
        ),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            "--rule",
            metavar="RULE",
            show_default=False,
            help="pool_up (as published, default), or exact or window, whose shares add up. Of parts: difference "
            "(default), exact, or a method with rules, such as lrp-gamma.",
        ),
    ] = None,
    gate: Annotated[
        bool,
        typer.Option(
            "--gate/--no-gate",
            help="Keep the decision's own features only where Grad-CAM reaches half of its maximum, as published.",
        ),
    ] = True,
    merge: Annotated[
        bool, typer.Option("--merge", help="Join channels that contribute at the same positions.")
    ] = False,
    nodes: Annotated[
        str,
        typer.Option(
            "--nodes",
            metavar="WHAT",
            help="What a node is: neurons (as published), sums (of their channels), maps, or parts (groups of channels "
            "and positions that add up to the decision).",
            callback=one_of(*NODES),
        ),
    ] = "neurons",
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            metavar="NAME|PHOTO",
            show_default=False,
            help="What parts compare the photo with: blur (default), zero, mean or a photo.",
        ),
    ] = None,
    opponents: Annotated[
        int,
        typer.Option("--opponents", min=0, metavar="N", help="Also show N features with evidence against each node."),
    ] = 0,
    patterns: Annotated[
        str | None,
        typer.Option(
            "--patterns",
            metavar="KIND",
            help="Show the image pattern that activates each neuron: guided or smoothgrad.",
            callback=one_of(*PATTERNS),
        ),
    ] = None,
    channels: Annotated[
        Path | None,
        typer.Option(
            "--channels",
            metavar="FOLDER",
            help="Show where each channel, or part, is strongest in the images of this folder.",
        ),
    ] = None,
    feature_images: Annotated[
        int,
        typer.Option(
            "--feature-images", min=0, metavar="N", help="Make an image for the N strongest channels or parts."
        ),
    ] = 0,
    audit: Annotated[
        bool,
        typer.Option(
            "--audit", help="Measure each edge (the parent without the child's channel), and test the whole map."
        ),
    ] = False,
    together: Annotated[
        bool, typer.Option("--together", help="Also join the trees of all photos, channel by channel or part by part.")
    ] = False,
    contrast: Annotated[
        Path | None,
        typer.Option(
            "--contrast",
            metavar="FOLDER",
            help="Also compare the joined trees with those of the photos in this folder.",
        ),
    ] = None,
    right_and_wrong: Annotated[
        bool,
        typer.Option(
            "--right-and-wrong",
            help="Also compare photos that the network decides for the target with those it decides otherwise.",
        ),
    ] = False,
    *,
    output: options.OutputOptions,
    work: OutputFolder,
) -> None:
    """Decompose a decision, stage by stage, into the features that support it.

    \b
      foveal decompose bird.jpg -m demo
      foveal decompose bird.jpg -m timm:resnet50 --nodes parts --audit
      foveal decompose bird.jpg -m torchvision:vgg16 --branching 5 --depth 3
      foveal decompose bird.jpg -m timm:resnet50 --rule exact --opponents 3
      foveal decompose bird.jpg -m timm:resnet50 --channels photos/ --audit
      foveal decompose bird.jpg -m timm:resnet50 --nodes parts --channels photos/
      foveal decompose jays/ -m timm:resnet50 --nodes parts --together --contrast crows/

    --target as in `foveal explain`. Each photo gets a folder FOLDER/PHOTO with the strongest features of each stage on
    one page (tree.png, .pdf, .svg), the whole tree to click through (tree.html), and everything in numbers
    (manifest.json, tree.npz). --together adds FOLDER/together.png, all photos in one tree; --contrast and
    --right-and-wrong add contrast.png and right-and-wrong.png. Prints the pages' paths.
    """
    network = source.load()
    from foveal.api.audit import audit as audited
    from foveal.api.channels import channels as channel_examples
    from foveal.api.decompose import decompose as decomposed
    from foveal.images import pictures_in
    from foveal.report.saved_page import save_page

    children = _children(branching, nodes)
    target = question.resolve(network)
    joins = together or right_and_wrong or contrast is not None
    rows: list[dict[str, Any]] = []
    trees = []

    def grown(batch: Batch) -> Tree:
        return decomposed(
            network, batch, target, branching=children, rule=rule, gate=gate, merge=merge, nodes=nodes,
            opponents=opponents, reference=reference,
        ).grow(depth)  # fmt: skip

    files, places = options.folders(photos, output.out)
    against = pictures_in([contrast]) if contrast else []
    total = len(files) + len(against)
    with pictures(network, json=output.json) as read, progress("decomposing photos") as move:
        shown = read.readable(pictures_in([channels])) if channels else []
        examples = channel_examples(network, shown, progress=move) if shown and nodes != "parts" else None
        for i, batch in read.one_by_one(files):
            photo, folder = files[i], places[i]
            tree = replace(grown(batch), channel_examples=examples)
            if shown and nodes == "parts":
                tree.find_examples(shown, progress=move)
            if feature_images:
                tree.make_images(most=feature_images, progress=move)
            if patterns:
                tree.look(patterns)
            if audit:
                tree.audit()
            tree.save(folder)
            save_page(tree, folder / "tree.html")
            test = audited(network, batch, target, explanations=tree)[0] if audit else None
            info(f"{photo.name}: {tree.target}", *_begin(tree, folder), *([test.summary] if test else []))
            rows.append(_row(tree, photo, folder) | {"hiding": test.to_dict() if test else None})
            trees += [tree] if joins else []
            move("decomposing photos", i + 1, total, photo.name)
            work.done(len(rows), len(files))
        others = []
        for i, batch in read.one_by_one(against):
            others.append(grown(batch))
            move("decomposing photos", len(files) + i + 1, total, against[i].name)
        if trees and joins:
            rows += joined_pages(trees, others if contrast else None, output.out, right_and_wrong=right_and_wrong)
        if output.json:
            print_json([*rows, *read.failures()])
        else:
            print_lines(*(row["page"] for row in rows))


def _begin(tree: Tree, folder: Path) -> list[str]:
    """The decision and its own features, then as much below them as there is room for."""
    lines = str(tree).splitlines()
    if len(lines) <= LINES:
        return lines
    first = [line for line in lines if not line.startswith("    ")]
    return [*(first if len(first) <= LINES else lines[:LINES]), f"  … the whole tree: {folder / 'tree.html'}"]


def _children(branching: str | None, nodes: str) -> int | str:
    """How many children a node has at most, or "auto"."""
    if branching is None:
        return BRANCHING.get(nodes, 3)
    if branching != "auto" and (whole(branching) or 0) < 1:
        raise typer.BadParameter(f"--branching takes a number from 1 up, or auto, not {branching!r}")
    return branching if branching == "auto" else whole(branching) or 1


def _row(tree: Tree, photo: Path, folder: Path) -> dict[str, Any]:
    """The same for machines."""
    return {
        "photo": str(photo),
        "model": tree.model,
        "target": tree.target,
        "score": tree.decision.value,
        "kept": tree.kept(),
        "features": len(tree.features),
        "bias_shares": {f.name: share for f in tree.features.values() if (share := f.bias_share) is not None},
        "page": str(folder / "tree.png"),
        "notes": list(tree.notes),
    }
