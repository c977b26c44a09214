"""Options that several commands share, and what they mean: a frozen dataclass a group, see `foveal.cli.command`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli.console import busy, info
from foveal.cli.lists import repeatable
from foveal.engine.numerals import whole
from foveal.errors import FovealError, ModelError
from foveal.storage.naming import distinct_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from foveal.images import Preprocessing
    from foveal.models import Model

COMMAND_FOLDER = Path("out", "COMMAND")
"""Stands for the default folder of a command, out/explain and so on."""

MODEL_PANEL, OUTPUT_PANEL = "About the model", "Output"
MODEL_HELP = (
    "demo, embed, parts, timm:NAME, torchvision:NAME, FILE.safetensors (with FILE.json), package.module:factory or "
    "file.py:factory; see `foveal models`."
)
TASKS = ("classes", "labels", "value", "embedding")

Photos = Annotated[
    list[Path],
    typer.Argument(metavar="PHOTO", show_default=False, help="Image files that Pillow reads, or folders of them."),
]
Methods = Annotated[
    list[str] | None, repeatable("method", metavar="METHOD", help="A method (default: gradcam), see `foveal methods`.")
]
Layers = Annotated[
    list[str] | None, repeatable("layer", "-l", metavar="LAYER", help="A name, a wildcard, a stage number, or all.")
]
Layer = Annotated[
    str | None,
    typer.Option(
        "--layer", "--layers", "-l", metavar="LAYER",
        help="The layer of the maps: a name or a stage number (default: the last stage).",
    ),
]  # fmt: skip
Embedding = Annotated[
    str | None,
    typer.Option(
        "--embedding",
        metavar="LAYER",
        help="The embedding to compare: a layer, or fc.input (default: found by itself).",
    ),
]
Steps = Annotated[
    int,
    typer.Option("--steps", min=1, metavar="N", help="Number of steps in the deletion and insertion curves."),
]
Metrics = Annotated[
    list[str] | None,
    repeatable(
        "metric", metavar="METRIC", help="A metric, or all (default: the usual set), see `foveal help measure`."
    ),
]
Audit = Annotated[
    bool,
    typer.Option("--audit", help="Deletion test: hide the highlighted positions, and as many others, and compare."),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device", metavar="DEVICE", help="The device: cpu, cuda, cuda:1, mps.", rich_help_panel=MODEL_PANEL,
        autocompletion=lambda: ["cpu", "cuda", "mps"],
    ),
]  # fmt: skip
Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON.", rich_help_panel=OUTPUT_PANEL)]


def _models(incomplete: str) -> list[str]:
    """What completes a model's name: nothing slow is asked for it."""
    names = ["demo", "embed", "parts", "timm:", "torchvision:"]
    return [name for name in names if name.startswith(incomplete)]


@dataclass(frozen=True)
class NetworkOptions:
    """Which network, and what the network does not state itself."""

    model: Annotated[
        str,
        typer.Option("--model", "-m", metavar="MODEL", show_default=False, help=MODEL_HELP, autocompletion=_models),
    ]
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights", metavar="FILE", rich_help_panel=MODEL_PANEL,
            help="A file of weights, .safetensors or .pth, instead of a download.",
        ),
    ] = None  # fmt: skip
    pretrained: Annotated[
        bool,
        typer.Option(
            "--pretrained/--no-pretrained", rich_help_panel=MODEL_PANEL,
            help="Trained or random weights (timm and torchvision).",
        ),
    ] = True  # fmt: skip
    preprocessing: Annotated[
        str | None,
        typer.Option(
            "--preprocessing", metavar="NAME|FILE", rich_help_panel=MODEL_PANEL,
            help="How a photo becomes the network's input, if the model does not state it: imagenet, or a JSON file "
            '({"size": [224, 224], …}, see `foveal help models`).',
        ),
    ] = None  # fmt: skip
    task: Annotated[
        str | None,
        typer.Option(
            "--task", metavar="TASK", rich_help_panel=MODEL_PANEL, autocompletion=lambda: list(TASKS),
            help=f"What the output means, if the model does not state it: {', '.join(TASKS)}.",
        ),
    ] = None  # fmt: skip
    device: Device = None

    def load(self) -> Model:
        """The network, ready for photos; its notes are shown."""
        with busy(f"loading {self.model}"):
            from foveal.engine.task import check_task
            from foveal.models import load_model

            model = load_model(
                self.model,
                weights=self.weights,
                pretrained=self.pretrained,
                labels=self._labels,
                preprocessing=_preprocessing(self.preprocessing),
                task=check_task(self.task),
                device=self.device,
            )
        if model.preprocessing is None:
            raise ModelError(
                f"{self.model} does not state how a photo becomes its input: "
                "add --preprocessing imagenet, or a JSON file (see `foveal help models`)."
            )
        info(*(f"note: {note}" for note in model.notes))
        return model

    @property
    def _labels(self) -> Path | None:
        return None


@dataclass(frozen=True)
class ClassifierOptions(NetworkOptions):
    """The same, for commands that name classes."""

    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels", metavar="FILE", rich_help_panel=MODEL_PANEL,
            help="Class names: a text file with one name per line, or a JSON list.",
        ),
    ] = None  # fmt: skip

    @property
    def _labels(self) -> Path | None:
        return self.labels


@dataclass(frozen=True)
class TargetOptions:
    """What is explained: a class, a margin or a neuron by --target, a similarity by --like."""

    target: Annotated[
        str | None,
        typer.Option(
            "--target", "-t", metavar="TARGET",
            help='What to explain: jay, 17, "jay - crow", neuron:LAYER:CHANNEL (default: the predicted class).',
        ),
    ] = None  # fmt: skip
    like: Annotated[
        Path | None,
        typer.Option("--like", metavar="PHOTO", help="Explain the similarity to this image instead of a class."),
    ] = None

    def resolve(self, network: Model) -> Any:
        """The target that a verb takes."""
        from foveal.cli.target import parse_target
        from foveal.targets import Similar

        if self.like and self.target:
            raise typer.BadParameter("--target explains a class, --like a similarity: give one of them")
        return Similar(self.like) if self.like else parse_target(self.target, network.labels)


@dataclass(frozen=True)
class OutputOptions:
    """Where results go, and how they are shown.

    Each command has a folder of its own, out/COMMAND (`foveal.cli.command` puts it in place of `COMMAND_FOLDER`).
    """

    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="FOLDER",
            rich_help_panel=OUTPUT_PANEL,
            help="The folder for results; its index.html shows them.",
        ),
    ] = COMMAND_FOLDER
    open: Annotated[
        bool, typer.Option("--open", rich_help_panel=OUTPUT_PANEL, help="Open the folder's index.html in a browser.")
    ] = False
    json: Json = False


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


def layer_spec(layers: Iterable[str] | str | None) -> tuple[str | int, ...] | None:
    """Layer names as they are, stage numbers as numbers; None where none is named."""
    names = [layers] if isinstance(layers, str) else [*(layers or ())]
    numbers = [whole(name) for name in names]
    return tuple(name if number is None else number for name, number in zip(names, numbers, strict=True)) or None
