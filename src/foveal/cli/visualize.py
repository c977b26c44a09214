"""`foveal visualize`"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import interrupts, options
from foveal.cli.choices import one_of
from foveal.cli.command import command
from foveal.cli.console import info, print_json, print_lines, progress
from foveal.cli.contact_sheet import contact_sheet
from foveal.cli.interrupts import INTERRUPTED
from foveal.cli.output_folder import OutputFolder
from foveal.cli.pictures import Pictures
from foveal.engine.numerals import whole
from foveal.storage.atomic import whole_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.featurevis.schedule import ScheduleStep
    from foveal.models import Model
    from foveal.results.feature_images import FeatureImages
    from foveal.targets import Target

CHECKPOINT = ".unfinished/checkpoint.pt"
CHOICES, KINDS = ("top_mean", "contrast", "mass", "variance"), ("fourier", "pixel", "phase")


@command
def visualize(
    source: options.ClassifierOptions,
    photos: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PHOTO", show_default=False, help="Images, or folders of images."),
    ] = None,
    layer: options.Layers = None,
    facets: Annotated[
        str, typer.Option("--facets", metavar="K|auto", help="Number of groups of similar images in the set.")
    ] = "auto",
    channel: Annotated[
        list[int] | None,
        typer.Option("--channel", metavar="N", help="Visualize this channel of --layer; may be repeated."),
    ] = None,
    neuron: Annotated[
        list[str] | None,
        typer.Option(
            "--neuron", metavar="N:Y,X", help="Visualize channel N at row Y, column X. Default: at the center."
        ),
    ] = None,
    class_: Annotated[
        list[str] | None, typer.Option("--class", metavar="CLASS", help="Visualize a class, by its name or number.")
    ] = None,
    choose: Annotated[
        str,
        typer.Option(
            "--choose",
            metavar="RULE",
            help="How channels are chosen: top_mean, contrast, mass or variance.",
            callback=one_of(*CHOICES),
        ),
    ] = "top_mean",
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=1, metavar="N", help="Number of channels chosen.")
    ] = None,
    distance_weight: Annotated[
        float,
        typer.Option(
            "--distance-weight",
            metavar="X",
            help="Weight of staying similar to the photos; a lower weight exaggerates more.",
        ),
    ] = 1.0,
    start: Annotated[
        str,
        typer.Option(
            "--start",
            metavar="WHAT",
            help="First image: mean or photo of the facet, noise, or a gray value from 0 to 1.",
            callback=lambda text: _checked_start(text),
        ),
    ] = "mean",
    parametrization: Annotated[
        str,
        typer.Option(
            "--parametrization",
            metavar="KIND",
            help="Parametrization of the image: fourier, pixel or phase.",
            callback=one_of(*KINDS),
        ),
    ] = "fourier",
    steps: Annotated[
        int, typer.Option("--steps", min=1, metavar="N", help="Optimization steps at the network's input size.")
    ] = 256,
    octave: Annotated[
        list[str] | None,
        typer.Option(
            "--octave",
            metavar="SCALExSTEPS",
            help="Instead of --steps: scale x steps, such as 0.5x128; may be repeated.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, metavar="N", help="Images per facet or unit.")] = 1,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Random seed.")] = 0,
    published: Annotated[
        bool, typer.Option("--published", help="Use the settings of the published code, for comparison.")
    ] = False,
    half: Annotated[bool, typer.Option("--half", help="Run the network in bfloat16.")] = False,
    transfer: Annotated[
        str | None, typer.Option("--transfer", metavar="MODEL", help="Also test the images on this network.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, metavar="N", help="Number of processor threads.")
    ] = None,
    *,
    output: options.OutputOptions,
    work: OutputFolder,
) -> None:
    """Synthetic images of what a layer responds to in a set of images.

    \b
      foveal visualize birds/ -m demo --layer stage3 -o features
      foveal visualize birds/ -m timm:resnet50 --layer layer4 --facets 4
      foveal visualize birds/ -m timm:resnet50 --transfer timm:convnext_tiny
      foveal visualize -m demo --layer stage3 --channel 42 --channel 43
      foveal visualize -m timm:resnet50 --class jay --octave 0.5x128 --octave 1x256

    The set is divided into facets (groups of similar images). For each facet and layer an image is optimized to have
    the mean features of the photos, with the strongest channels stronger. Classes are not used. FOLDER/preview.png
    shows the progress. After Ctrl-C the best images so far are saved, and the same command continues. At the end
    FOLDER/features has sheet.png (photos and images), strip.png, plane.png, bars, raw numbers and manifest.json. Prints
    the path of the sheet.
    """
    work.goes_on(CHECKPOINT)
    network = source.load()
    import torch

    from foveal.api.visualize import optimize
    from foveal.errors import ResultError
    from foveal.images.folders import pictures_in

    if threads:
        torch.set_num_threads(threads)
    units = _units(network, layer, channel or [], neuron or [], class_ or [])
    if not units and not photos:
        raise typer.BadParameter("give images or a folder, or a unit by --channel, --neuron or --class")
    out = output.out
    read = Pictures(network.preprocessing, json=output.json)
    run = optimize(
        network,
        [str(file) for file in read.readable(pictures_in(photos))] if photos else None,
        units or None,
        layer=options.layer_spec(layer),
        facets=_facets(facets),
        objective_weights=_weights(choose, count, distance_weight),
        start=_start(start),
        parametrization=parametrization,  # type: ignore[arg-type]
        schedule=_plan(octave, steps, seed),
        seeds=seeds,
        published=published,
        precision="bfloat16" if half else "float32",
    )
    checkpoint = out / CHECKPOINT
    if run.resume(checkpoint):
        info(f"continuing from step {run.done}")
    with progress("optimizing steps") as move:

        def moved(step: ScheduleStep) -> None:
            move("optimizing steps", step.done, step.total, f"objective {sum(step.losses) / len(step.losses):.3f}")
            if step.checked:
                with suppress(ResultError):  # nobody gives up work for want of a preview
                    _preview(run, out / "preview.png")

        finished = run.run(checkpoint, moved)
    if not finished:
        info(
            f"foveal: interrupted: the images after {run.done} steps are in {out / 'features'}; "
            "run the same command again to continue"
        )
    features = run.result()
    features.save(out / "features")
    document = _document(features, network, transfer, out)
    if finished:
        _clear(checkpoint)
    info(
        str(features),
        *(f"  {row['name']}: {_classified(row['classes'])}" for row in document["images"] if row["classes"]),
    )
    info(*([str(document["transfer_words"])] if transfer else []))
    if output.json:
        print_json({k: v for k, v in document.items() if k != "transfer_words"} | {"unread": read.failures()})
    else:
        print_lines(document["sheet"])
    if not finished:
        interrupts.reported()
        read.tell()
        raise typer.Exit(INTERRUPTED)
    read.end()


def _preview(run: Any, file: Path) -> None:
    """All images as they are, side by side."""
    from foveal.render.feature_images import as_picture

    with whole_file(file) as aside:
        contact_sheet([as_picture(image) for image in run.shown()]).save(aside)


def _clear(checkpoint: Path) -> None:
    checkpoint.unlink(missing_ok=True)
    if checkpoint.parent.is_dir() and not any(checkpoint.parent.iterdir()):
        checkpoint.parent.rmdir()


def _document(features: FeatureImages, network: Model, transfer: str | None, out: Path) -> dict[str, Any]:
    """The same for machines."""
    from foveal.errors import MethodError
    from foveal.featurevis import transfer as transfers
    from foveal.models import load_model

    try:
        classes: Sequence[Any] = transfers.answers(features, network)
    except MethodError:  # a network without classes
        classes = [()] * len(features)
    transferred = transfers.transfer(features, load_model(transfer)) if transfer and features.facets else None
    return {
        "model": features.model,
        "sheet": str(out / "features" / "sheet.png"),
        "facets": [{"pictures": facet.size, "members": list(facet.members)} for facet in features.facets],
        "images": [
            {
                **image.to_dict(),
                "nearest": [{"picture": features.photos[k].source, "cosine": cos} for k, cos in features.nearest(i)],
                "classes": [{"class": a.label, "probability": a.probability} for a in classes[i]],
            }
            for i, image in enumerate(features)
        ],
        "retrieval": features.retrieval() if features.facets else None,
        "transfer": (
            {"model": transferred.model, "layer": transferred.layer, "share": transferred.share}
            if transferred
            else None
        ),
        "transfer_words": transferred,
        "notes": list(features.notes),
        "seconds": features.seconds,
    }


def _classified(classes: Sequence[dict[str, Any]]) -> str:
    return "classified as " + ", ".join(f"{c['class']} {100 * c['probability']:.0f} %" for c in classes[:3])


def _units(
    network: Model, layer: Sequence[str] | None, channels: Sequence[int], neurons: Sequence[str], classes: Sequence[str]
) -> list[Target]:
    """Targets for the units asked for."""
    from foveal.targets import Class, Neuron

    if (channels or neurons) and (not layer or len(layer) != 1):
        raise typer.BadParameter("--channel and --neuron need the layer: give one --layer")
    units: list[Target] = [Neuron(layer[0], n) for n in channels] if layer else []
    for text in neurons:
        number, _, place = text.partition(":")
        try:
            at = tuple(int(value) for value in place.split(",")) if place else _middle(network, (layer or [""])[0])
            units.append(Neuron((layer or [""])[0], int(number), (at[0], at[1])))
        except (ValueError, IndexError):
            raise typer.BadParameter(f"--neuron {text!r}: give 42, or 42:7,7 for channel, row and column") from None
    return [*units, *(Class(name) for name in classes)]


def _middle(network: Model, layer: str) -> tuple[int, int]:
    """The middle cell of a layer's map."""
    from foveal.errors import LayerError
    from foveal.featurevis.network import FeatureNetwork
    from foveal.featurevis.normalization import Normalization
    from foveal.models.model import weight_of

    features = FeatureNetwork(network.module, Normalization.of(network.preprocessing, None), weight_of(network.module))
    shape = features.structure.shapes.get(layer, ())
    if len(shape) != 4:
        raise LayerError(f"layer {layer!r} has no map, so its units have no position: use --channel")
    return shape[2] // 2, shape[3] // 2


def _weights(choose: str, count: int | None, distance_weight: float) -> Any:
    from foveal.featurevis.objective_weights import ObjectiveWeights

    return ObjectiveWeights(channels=choose, count=count, distance_weight=distance_weight)  # type: ignore[arg-type]


def _facets(text: str) -> Any:
    number = whole(text)
    if text != "auto" and (number is None or number < 1):
        raise typer.BadParameter(f"--facets {text!r}: give auto or a number from 1")
    return text if number is None else number


def _checked_start(text: str) -> str:
    _start(text)
    return text


def _start(text: str) -> Any:
    if text in ("mean", "photo", "noise"):
        return text
    try:
        gray = float(text)
    except ValueError:
        gray = -1.0
    if not 0 <= gray <= 1:
        raise typer.BadParameter(f"{text!r} is unknown: give mean, photo, noise, or a gray value from 0 to 1")
    return gray


def _plan(octaves: Sequence[str] | None, steps: int, seed: int) -> Any:
    from foveal.featurevis.schedule import Octave, Schedule

    try:
        pairs = [octave.split("x") for octave in octaves or [f"1x{steps}"]]
        return Schedule(tuple(Octave(float(scale), int(number)) for scale, number in pairs), seed=seed)
    except ValueError:
        raise typer.BadParameter("--octave: give a scale and a number of steps, such as 0.5x128") from None
