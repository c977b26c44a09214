"""Options that several commands share, and what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foveal.cli.console import busy, info
from foveal.engine.numerals import whole
from foveal.errors import FovealError, ModelError
from foveal.storage.naming import distinct_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.images import Preprocessing
    from foveal.models import Model

MODEL_HELP = (
    "demo, embed, parts, timm:NAME, torchvision:NAME, FILE.safetensors (with FILE.json), package.module:factory or "
    "file.py:factory; see `foveal models`."
)

Photos = Annotated[
    list[Path],
    typer.Argument(metavar="PHOTO...", show_default=False, help="Any pictures Pillow reads, or folders of them."),
]
TargetOption = Annotated[
    str | None, typer.Option("--target", "-t", metavar="TARGET", help="The decision to explain; see above.")
]
Layer = Annotated[
    list[str] | None,
    typer.Option("--layer", "-l", metavar="LAYER", help="Name, wildcard, stage number, or all; may be repeated."),
]
ModelOption = Annotated[str, typer.Option("--model", "-m", metavar="MODEL", show_default=False, help=MODEL_HELP)]
Weights = Annotated[
    Path | None,
    typer.Option("--weights", metavar="FILE", help="Weights for it, .safetensors or .pth, instead of a download."),
]
Pretrained = Annotated[
    bool, typer.Option("--pretrained/--no-pretrained", help="Trained or random weights, for timm and torchvision.")
]
Labels = Annotated[
    Path | None, typer.Option("--labels", metavar="FILE", help="Names of the classes, one a line or a JSON list.")
]
PreprocessingOption = Annotated[
    str | None,
    typer.Option(
        "--preprocessing",
        metavar="NAME|FILE",
        help="How a photo becomes its input, where the model does not say: imagenet, or a JSON file "
        '({"size": [224, 224], …}, as in docs/models.md).',
    ),
]
TaskOption = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="TASK",
        help="What the output means, where the model does not say: classes, labels, value or embedding.",
    ),
]
Device = Annotated[str | None, typer.Option("--device", metavar="DEVICE", help="Where to run: cpu, cuda, cuda:1, mps.")]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]


def loaded(
    spec: str,
    *,
    weights: Path | None,
    pretrained: bool,
    labels: Path | None,
    preprocessing: str | None,
    task: str | None,
    device: str | None,
) -> Model:
    """The model these options ask for."""
    with busy(f"loading {spec}"):
        from foveal.engine.task import check_task
        from foveal.models import load_model

        model = load_model(
            spec,
            weights=weights,
            pretrained=pretrained,
            labels=labels,
            preprocessing=_preprocessing(preprocessing),
            task=check_task(task),
            device=device,
        )
    if model.preprocessing is None:
        raise ModelError(
            f"{spec} does not say how a photo becomes its input: "
            "add --preprocessing imagenet, or a JSON file (docs/models.md)."
        )
    info(*(f"note: {note}" for note in model.notes))
    return model


def _preprocessing(text: str | None) -> Preprocessing | None:
    if text is None:
        return None
    from foveal.images import Preprocessing
    from foveal.storage.reading import DAMAGE, read_json, reason

    if text == "imagenet":
        return Preprocessing(size=(224, 224), resize_to=256)
    try:
        return Preprocessing.from_dict(read_json(Path(text)))
    except FovealError as error:
        raise ModelError(f"Cannot use {text} as preprocessing. {error}") from error
    except DAMAGE as error:
        raise ModelError(
            f"Cannot read the preprocessing {text!r}: it is neither 'imagenet' nor a JSON file ({reason(error)})."
        ) from error


def folders(photos: Sequence[Path], out: Path) -> tuple[list[Path], list[Path]]:
    """All photos, also of folders, and for each a folder of its own, named after it: out/bird, out/bird-2 …"""
    from foveal.images import pictures_in

    files = pictures_in(photos)
    return files, [out / name for name in distinct_names(photo.stem for photo in files)]


def layer_spec(layers: Sequence[str] | None) -> tuple[str | int, ...] | None:
    """Layer names as they are, stage numbers as numbers."""
    each = [(one, whole(one)) for one in layers or ()]
    return tuple(name if number is None else number for name, number in each) or None
