"""`foveal flow`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import options
from foveal.cli.console import answer_json, answer_lines, info, progress
from foveal.cli.errors import reported
from foveal.cli.pictures import pictures
from foveal.storage.atomic import whole_file

if TYPE_CHECKING:
    from foveal.results.flow import Audit, Flow


@reported
def flow(
    photos: options.Photos,
    model: options.ModelOption,
    target: options.TargetOption = None,
    like: Annotated[
        Path | None,
        typer.Option("--like", metavar="PHOTO", help="Explain the similarity to this picture instead of a class."),
    ] = None,
    mode: Annotated[
        list[str] | None,
        typer.Option(
            "--mode", metavar="MODE", help="exact if left out; project, cascade, cascade_all, damped; may be repeated."
        ),
    ] = None,
    layer: options.Layer = None,
    mass: Annotated[
        float,
        typer.Option("--mass", metavar="SHARE", help="Keep the fewest neurons that hold this share of the evidence."),
    ] = 1.0,
    iterations: Annotated[
        int, typer.Option("--iterations", min=1, metavar="N", help="Of the solver, in modes that invert.")
    ] = 30,
    audit: Annotated[
        bool,
        typer.Option("--audit", help="Put the claim to the network: run on without the abandoned, without the kept."),
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
    """How attention forms, from the first stage to the decision.

    \b
      foveal flow bird.jpg --model demo
      foveal flow bird.jpg -m timm:resnet50 --target "jay - crow" --audit
      foveal flow bird.jpg -m torchvision:vgg16 --layer "features.*" --mode exact --mode project -o film
      foveal flow query.jpg -m timm:resnet50 --like shelf.jpg
      foveal flow bird.jpg -m timm:convnext_tiny --mass 0.99

    \b
    --target and --layer as in `foveal explain`; all stages if --layer is left out.
    --mode is how a layer is rebuilt from the one above it:
      exact         its own activation, where neurons take part: one forward, one backward
      project       the part of it that the neurons above can see
      cascade       from the last layer down, each from the one above; cascade_all with all neurons
      damped        a correction of exact, which comes out as zero; for checks

    Neurons that take no part in the decision are abandoned. Each photo gets a folder FOLDER/PHOTO/MODE with a strip
    from shallow to deep, an animation, maps (maps.npz, flow.npz) and manifest.json. Prints the strips' paths.
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
    from foveal.api.flow import flow as flowed
    from foveal.cli.target import parse_target
    from foveal.render.flow import mode_sheet
    from foveal.targets import Similar

    if like and target:
        raise typer.BadParameter("the decision is a class by --target or a similarity by --like: give one of them")
    decision = Similar(like) if like else parse_target(target, network.labels)
    answers: list[dict[str, Any]] = []
    files, places = options.folders(photos, out)
    with pictures(network.preprocessing, json=json) as read, progress("flowing") as move:
        for i, batch in read.each(files):
            photo, folder = files[i], places[i]
            flows = []
            for one in mode or ["exact"]:
                found = flowed(
                    network, batch, decision, mode=one, layer=options.layer_spec(layer) or "all", mass=mass,  # type: ignore[arg-type]
                    iterations=iterations, progress=lambda what, done, total: move(what, done, total, ""),
                )  # fmt: skip
                asked = found.audit(lambda what, done, total: move(what, done, total, "")) if audit else None
                found.save(folder / one, audit=asked)
                hiding = audited(network, batch, found, decision)[0] if audit else None
                info(str(found), *([str(asked)] if asked else []), *([hiding.summary] if hiding else []))
                answers.append(
                    _answer(found, asked, photo, folder / one) | {"hiding": hiding.to_dict() if hiding else None}
                )
                flows.append(found)
            if len(flows) > 1:
                with whole_file(folder / "modes.png") as aside:
                    mode_sheet(flows).save(aside)
            move("flowing", i + 1, len(files), photo.name)
        if json:
            answer_json([*answers, *read.facts()])
        else:
            answer_lines(*(one["strip"] for one in answers))


def _answer(flow: Flow, audit: Audit | None, photo: Path, folder: Path) -> dict[str, Any]:
    """The same for machines."""
    measured = ("kept", "total", "offset", "residual", "iterations")
    return {
        "photo": str(photo),
        "model": flow.model,
        "target": flow.target[0],
        "score": float(flow.score[0]) if flow.score is not None else None,
        "mode": flow.parameters["mode"],
        "layers": [{"layer": at, **{what: flow.number(at, what) for what in measured}} for at in flow.layers],
        "audit": [one.to_dict() for one in audit] if audit else None,
        "notes": list(flow.notes),
        "seconds": flow.seconds,
        "strip": str(folder / "strip.png"),
    }
