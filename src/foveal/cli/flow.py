"""`foveal flow`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import options
from foveal.cli.choices import one_of
from foveal.cli.command import command
from foveal.cli.console import info, print_json, print_lines, progress
from foveal.cli.lists import repeatable
from foveal.cli.output_folder import OutputFolder
from foveal.cli.pictures import pictures
from foveal.storage.atomic import whole_file

if TYPE_CHECKING:
    from pathlib import Path

    from foveal.results.flow import Audit, Flow


MODES = ("exact", "project", "cascade", "cascade_all", "damped")

COEFFICIENTS = ("contribution", "positive", "margin", "linear", "gradient", "difference")


@command
def flow(
    photos: options.Photos,
    source: options.ClassifierOptions,
    question: options.TargetOptions,
    mode: Annotated[
        list[str] | None,
        repeatable(
            "mode",
            metavar="MODE",
            help="exact (default), project, cascade, cascade_all or damped.",
            callback=one_of(*MODES),
        ),
    ] = None,
    layer: options.Layers = None,
    mass: Annotated[
        float,
        typer.Option(
            "--mass",
            metavar="SHARE",
            help="Keep the smallest number of neurons with this share of the evidence (above 0, at most 1).",
        ),
    ] = 1.0,
    coefficients: Annotated[
        str,
        typer.Option(
            "--coefficients",
            metavar="NAME",
            callback=one_of(*COEFFICIENTS),
            help="difference: at every layer, maps sum to the score minus the score of a reference. For a similarity "
            "also positive, margin, linear or gradient.",
        ),
    ] = "contribution",
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            metavar="NAME|PHOTO",
            show_default=False,
            help="Of difference: blur (default), zero, mean or a photo.",
        ),
    ] = None,
    iterations: Annotated[
        int, typer.Option("--iterations", min=1, metavar="N", help="Solver iterations (modes project, cascade).")
    ] = 30,
    audit: Annotated[
        bool,
        typer.Option("--audit", help="Test: rerun without the left-out neurons, and without the kept ones."),
    ] = False,
    *,
    output: options.OutputOptions,
    work: OutputFolder,
) -> None:
    """How attention forms, from the first stage to the decision.

    \b
      foveal flow bird.jpg -m demo
      foveal flow bird.jpg -m timm:resnet50 --target "jay - crow" --audit
      foveal flow bird.jpg -m torchvision:vgg16 --mode exact --mode project
      foveal flow bird.jpg -m timm:resnet50 --coefficients difference
      foveal flow query.jpg -m timm:resnet50 --like shelf.jpg
      foveal flow bird.jpg -m timm:convnext_tiny --mass 0.99

    \b
    --target and --layer as in `foveal explain`. Default: all stages.
    --mode: how the activation of a layer is rebuilt from the next deeper layer
      exact         its own activation, at the kept neurons
      project       its projection onto what the kept neurons of the next
                    layer depend on
      cascade       rebuilt from the last layer to the first, each layer from
                    the next one; cascade_all with all neurons
      damped        exact with a correction that is zero in theory; for checks

    Neurons that do not influence the score are left out. Each photo gets a folder FOLDER/PHOTO/MODE with a strip of
    maps from the first layer to the last, an animation, maps (maps.npz, flow.npz) and manifest.json. Prints the paths
    of the strips.
    """
    network = source.load()
    from foveal.api.audit import audit as audited
    from foveal.api.flow import flow as flowed
    from foveal.render.flow import mode_sheet

    target = question.resolve(network)
    rows: list[dict[str, Any]] = []
    files, places = options.folders(photos, output.out)
    with pictures(network, json=output.json) as read, progress("following photos") as move:
        for i, batch in read.one_by_one(files):
            photo, folder = files[i], places[i]
            flows = []
            for name in mode or ["exact"]:
                result = flowed(
                    network, batch, target, mode=name, layer=options.layer_spec(layer) or "all", mass=mass,  # type: ignore[arg-type]
                    coefficients=coefficients, reference=reference, iterations=iterations, progress=move,
                )  # fmt: skip
                runs = result.audit(move) if audit else None
                result.save(folder / name, audit=runs)
                test = audited(network, batch, target, explanations=result)[0] if audit else None
                info(str(result), *([str(runs)] if runs else []), *([test.summary] if test else []))
                rows.append(_row(result, runs, photo, folder / name) | {"hiding": test.to_dict() if test else None})
                flows.append(result)
            if len(flows) > 1:
                with whole_file(folder / "modes.png") as aside:
                    mode_sheet(flows).save(aside)
            move("following photos", i + 1, len(files), photo.name)
            work.done(len(rows) // len(mode or ["exact"]), len(files))
        if output.json:
            print_json([*rows, *read.failures()])
        else:
            print_lines(*(row["strip"] for row in rows))


def _row(flow: Flow, audit: Audit | None, photo: Path, folder: Path) -> dict[str, Any]:
    """The same for machines."""
    measured = ("kept", "total", "offset", "residual", "iterations")
    return {
        "photo": str(photo),
        "model": flow.model,
        "target": flow.target[0],
        "score": float(flow.score[0]) if flow.score is not None else None,
        "mode": flow.parameters["mode"],
        "layers": [{"layer": at, **{what: flow.number(at, what) for what in measured}} for at in flow.layers],
        "audit": [run.to_dict() for run in audit] if audit else None,
        "notes": list(flow.notes),
        "seconds": flow.seconds,
        "strip": str(folder / "strip.png"),
    }
