"""`foveal visualize`"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import options
from foveal.cli.console import answer_json, answer_lines, info, progress
from foveal.cli.errors import reported
from foveal.cli.pictures import Pictures
from foveal.engine.numerals import whole
from foveal.storage.atomic import whole_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.featurevis.schedule import ScheduleStep
    from foveal.models import Model
    from foveal.results.feature_images import FeatureImages
    from foveal.targets import Target


@reported
def visualize(
    pictures: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PICTURE...]", show_default=False, help="The set: pictures, or folders of them."),
    ] = None,
    model: options.ModelOption = "demo",
    layer: options.Layer = None,
    facets: Annotated[str, typer.Option("--facets", metavar="K|auto", help="Kinds of picture in the set.")] = "auto",
    channel: Annotated[
        list[int] | None,
        typer.Option("--channel", metavar="N", help="Portray this channel of --layer; may be repeated."),
    ] = None,
    neuron: Annotated[
        list[str] | None,
        typer.Option("--neuron", metavar="N[:Y,X]", help="The same, at one place: its middle if left out."),
    ] = None,
    class_: Annotated[
        list[str] | None, typer.Option("--class", metavar="CLASS", help="Portray a class, by its name or number.")
    ] = None,
    choose: Annotated[
        str, typer.Option("--choose", metavar="RULE", help="Informative channels: top_mean, contrast, mass, variance.")
    ] = "top_mean",
    count: Annotated[int | None, typer.Option("--count", min=1, metavar="N", help="How many of them.")] = None,
    fidelity: Annotated[float, typer.Option("--fidelity", metavar="X", help="Less exaggerates more.")] = 1.0,
    start: Annotated[
        str, typer.Option("--start", metavar="WHAT", help="mean or photo of the facet, or noise.")
    ] = "mean",
    canvas: Annotated[str, typer.Option("--canvas", metavar="KIND", help="fourier, pixel or phase.")] = "fourier",
    steps: Annotated[int, typer.Option("--steps", min=1, metavar="N", help="At the network's size.")] = 256,
    octave: Annotated[
        list[str] | None,
        typer.Option("--octave", metavar="SCALExSTEPS", help="Instead: 0.5x128 then 1x256, one option each."),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, metavar="N", help="Images of each facet or unit.")] = 1,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Decides everything random.")] = 0,
    literal: Annotated[bool, typer.Option("--literal", help="Near the published code, for comparison.")] = False,
    half: Annotated[bool, typer.Option("--half", help="Run the network in bfloat16.")] = False,
    transfer: Annotated[
        str | None, typer.Option("--transfer", metavar="MODEL", help="Show the portraits to this network, too.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, metavar="N", help="Of the processor; fewer where others work.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the results go.")] = Path("out"),
    weights: options.Weights = None,
    pretrained: options.Pretrained = True,
    labels: options.Labels = None,
    preprocessing: options.PreprocessingOption = None,
    task: options.TaskOption = None,
    device: options.Device = None,
    json: options.Json = False,
) -> None:
    """What a layer responds to in a set of pictures, as images made for it.

    \b
      foveal portray birds/ --model demo --layer stage3 -o faces
      foveal portray birds/ -m timm:resnet50 --layer layer2 --layer layer4 --facets 4
      foveal portray birds/ -m timm:resnet50 --transfer timm:convnext_tiny
      foveal portray -m demo --layer stage3 --channel 42 --channel 43
      foveal portray -m timm:resnet50 --class jay --octave 0.5x128 --octave 1x256

    The set is divided into facets; for each facet and layer an image is made whose features are those of the photos,
    the strongest ones stronger. No class takes part. FOLDER/preview.png shows how far it is; Ctrl-C keeps the best so
    far, and the same command goes on from there, as it does when it was killed. At the end FOLDER/portraits holds
    sheet.png (photos and portraits), strip.png, plane.png, bars, raw numbers and manifest.json. Prints the path of the
    sheet.
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
    import torch

    from foveal.api.visualize import optimize
    from foveal.errors import ResultError
    from foveal.images.folders import pictures_in

    if threads:
        torch.set_num_threads(threads)
    units = _units(network, layer, channel or [], neuron or [], class_ or [])
    if not units and not pictures:
        raise typer.BadParameter("name pictures or a folder, or a unit by --channel, --neuron or --class")
    read = Pictures(network.preprocessing, json=json)
    session = optimize(
        network,
        [str(file) for file in read.readable(pictures_in(pictures))] if pictures else None,
        options.layer_spec(layer),
        units or None,
        facets=_facets(facets),
        wishes=_wishes(choose, count, fidelity),
        start=_start(start),
        canvas=canvas,  # type: ignore[arg-type]
        plan=_plan(octave, steps, seed),
        seeds=seeds,
        literal=literal,
        precision="bfloat16" if half else "float32",
    )
    work = out / ".unfinished" / "checkpoint.pt"
    if session.take_up(work):
        info(f"going on from step {session.done}")
    with progress("portraying") as move:

        def moved(step: ScheduleStep) -> None:
            move("portraying", step.done, step.total, f"objective {sum(step.losses) / len(step.losses):.3f}")
            if step.checked:
                with suppress(ResultError):  # nobody gives up work for want of a preview
                    _preview(session, out / "preview.png")

        finished = session.run(work, moved)
    if not finished:
        info(f"interrupted after {session.done} steps; the best so far is kept, and the same command goes on from here")
    faces = session.portraits()
    faces.save(out / "portraits")
    answer = _answer(faces, network, transfer, out)
    if finished:
        _clear(work)
    info(str(faces), *(f"  {one['name']}: {_named(one['answers'])}" for one in answer["portraits"] if one["answers"]))
    info(*([str(answer["transfer_words"])] if transfer else []))
    if json:
        answer_json({key: v for key, v in answer.items() if key != "transfer_words"} | {"unread": read.facts()})
    else:
        answer_lines(answer["sheet"])
    if not finished:
        read.tell()
        raise typer.Exit(130)
    read.end()


def _preview(session: Any, file: Path) -> None:
    """All images as they are, side by side."""
    from PIL import Image

    from foveal.render.feature_images import as_picture

    shown = [as_picture(image) for image in session.shown()]
    width = min(len(shown), 6)
    w, h = shown[0].size
    sheet = Image.new("RGB", (width * w, -(-len(shown) // width) * h), "white")
    for k, picture in enumerate(shown):
        sheet.paste(picture, (k % width * w, k // width * h))
    with whole_file(file) as aside:
        sheet.save(aside)


def _clear(work: Path) -> None:
    work.unlink(missing_ok=True)
    if work.parent.is_dir() and not any(work.parent.iterdir()):
        work.parent.rmdir()


def _answer(faces: FeatureImages, network: Model, transfer: str | None, out: Path) -> dict[str, Any]:
    """The same for machines."""
    from foveal.errors import MethodError
    from foveal.featurevis import transfer as transfers
    from foveal.models import load_model

    try:
        answers: Sequence[Any] = transfers.answers(faces, network)
    except MethodError:  # a network without classes
        answers = [()] * len(faces)
    seen = transfers.transfer(faces, load_model(transfer)) if transfer and faces.facets else None
    return {
        "model": faces.model,
        "sheet": str(out / "portraits" / "sheet.png"),
        "facets": [{"pictures": facet.size, "members": list(facet.members)} for facet in faces.facets],
        "portraits": [
            {
                **one.to_dict(),
                "nearest": [{"picture": faces.photos[k].source, "cosine": cos} for k, cos in faces.nearest(i)],
                "answers": [{"class": a.label, "probability": a.probability} for a in answers[i]],
            }
            for i, one in enumerate(faces)
        ],
        "retrieval": faces.retrieval() if faces.facets else None,
        "transfer": {"model": seen.model, "layer": seen.layer, "share": seen.share} if seen else None,
        "transfer_words": seen,
        "notes": list(faces.notes),
        "seconds": faces.seconds,
    }


def _named(answers: Sequence[dict[str, Any]]) -> str:
    return "the classifier says " + ", ".join(f"{a['class']} {100 * a['probability']:.0f} %" for a in answers[:3])


def _units(
    network: Model, layer: Sequence[str] | None, channels: Sequence[int], neurons: Sequence[str], classes: Sequence[str]
) -> list[Target]:
    """Decisions for the units asked for."""
    from foveal.targets import Class, Neuron

    if (channels or neurons) and (not layer or len(layer) != 1):
        raise typer.BadParameter("a channel or neuron is one of a layer: name it by --layer")
    found: list[Target] = [Neuron(layer[0], n) for n in channels] if layer else []
    for text in neurons:
        number, _, place = text.partition(":")
        try:
            at = tuple(int(value) for value in place.split(",")) if place else _middle(network, (layer or [""])[0])
            found.append(Neuron((layer or [""])[0], int(number), (at[0], at[1])))
        except (ValueError, IndexError):
            raise typer.BadParameter(f"cannot read neuron {text!r}: write 42 or 42:7,7, row and column") from None
    return [*found, *(Class(name) for name in classes)]


def _middle(network: Model, layer: str) -> tuple[int, int]:
    """The middle cell of a layer's map."""
    from foveal.errors import LayerError
    from foveal.featurevis.network import FeatureNetwork
    from foveal.featurevis.normalization import Normalization
    from foveal.models.model import weight_of

    eye = FeatureNetwork(network.module, Normalization.of(network.preprocessing, None), weight_of(network.module))
    shape = eye.structure.shapes.get(layer, ())
    if len(shape) != 4:
        raise LayerError(f"layer {layer!r} has no map, so its units have no place: use --channel")
    return shape[2] // 2, shape[3] // 2


def _wishes(choose: str, count: int | None, fidelity: float) -> Any:
    from foveal.featurevis.facet_objectives import ObjectiveWeights

    return ObjectiveWeights(channels=choose, count=count, fidelity=fidelity)  # type: ignore[arg-type]


def _facets(text: str) -> Any:
    number = whole(text)
    if text != "auto" and (number is None or number < 1):
        raise typer.BadParameter(f"cannot read facets {text!r}: say auto or a number")
    return text if number is None else number


def _start(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _plan(octaves: Sequence[str] | None, steps: int, seed: int) -> Any:
    from foveal.featurevis.schedule import Octave, Schedule

    try:
        pairs = [one.split("x") for one in octaves or [f"1x{steps}"]]
        return Schedule(tuple(Octave(float(scale), int(number)) for scale, number in pairs), seed=seed)
    except ValueError:
        raise typer.BadParameter("cannot read the octaves: write 0.5x128, a scale and a number of steps") from None
