"""`foveal tree`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import options
from foveal.cli.reported import reported
from foveal.cli.talk import answer_json, progress, say

if TYPE_CHECKING:
    from foveal.hierarchy.tree import Node


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
    audit: Annotated[
        bool, typer.Option("--audit", help="Measure each edge: the parent without the child's channel.")
    ] = False,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the results go.")] = Path("out"),
    weights: options.Weights = None,
    pretrained: options.Pretrained = True,
    labels: options.Labels = None,
    preprocessing: options.PreprocessingOption = None,
    device: options.Device = None,
    json: options.Json = False,
) -> None:
    """A decision taken apart, stage by stage, into the features that support it.

    \b
      foveal tree bird.jpg --model demo
      foveal tree bird.jpg -m torchvision:vgg16 --branch 5 --depth 3 --audit
      foveal tree bird.jpg -m timm:resnet50 --target "jay - crow" --rule exact

    --target as in `foveal explain`. Each photo gets FOLDER/PHOTO/tree.png, a page with the strongest features of each
    stage, tree.pdf, and tree.json with every node. Prints the pages' paths.
    """
    import json as plain

    network = options.loaded(
        model, weights=weights, pretrained=pretrained, labels=labels, preprocessing=preprocessing, device=device
    )
    from foveal.cli.target import parse_target
    from foveal.decomposing import decompose

    decision = parse_target(target, network.labels)
    answers: list[dict[str, Any]] = []
    with progress("growing") as move:
        for number, (photo, folder) in enumerate(options.folders(photos, out), 1):
            found = decompose(network, photo, decision, branch=branch, rule=rule, merge=merge).grow(depth)
            if audit:
                found.audit()
            folder.mkdir(parents=True, exist_ok=True)
            page = found.poster()
            page.save(folder / "tree.png")
            page.save(folder / "tree.pdf")
            answer = {
                "photo": str(photo),
                "model": found.model,
                "target": found.target,
                "score": found.decision.value,
                "kept": found.kept(),
                "features": len(found.features),
                "page": str(folder / "tree.png"),
                "notes": list(found.notes),
            }
            whole = {**answer, "parameters": dict(found.parameters), "tree": _plain(found.root)}
            (folder / "tree.json").write_text(plain.dumps(whole, indent=1) + "\n", encoding="utf-8")
            say(f"{photo.name}: {found.target}", *str(found).splitlines()[: 1 + branch * (1 + branch)])
            answers.append(answer)
            move("growing", number, len(photos), photo.name)
    if json:
        answer_json(answers)
    else:
        for answer in answers:
            typer.echo(answer["page"])


def _plain(node: Node) -> dict[str, Any]:
    """A node and everything below it that is known."""
    feature = node.feature
    return {
        "layer": feature.layer,
        "channel": feature.channel,
        "place": list(feature.place),
        "value": feature.value,
        "share": node.share,
        "path_share": node.path_share,
        "effect": node.edge.effect if node.edge else None,
        "children": [_plain(child) for child in node.children] if feature.edges else [],
    }
