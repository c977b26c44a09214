"""Options that several commands share, and what they mean: a frozen dataclass a group, see `foveal.cli.command`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli.console import busy, info
from foveal.engine.numerals import whole
from foveal.errors import FovealError, ModelError
from foveal.storage.naming import distinct_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from foveal.images import Preprocessing
    from foveal.models import Model

MODEL_PANEL, OUTPUT_PANEL = "About the model", "Output"
MODEL_HELP = (
    "demo, embed, parts, timm:NAME, torchvision:NAME, FILE.safetensors (with FILE.json), package.module:factory or "
    "file.py:factory; see `foveal models`."
)
TASKS = ("classes", "labels", "value", "embedding")

Photos = Annotated[
    list[Path],
    typer.Argument(metavar="PHOTO", show_default=False, help="Any pictures Pillow reads, or folders of them."),
]
Methods = Annotated[
    list[str] | None,
    typer.Option("--method", metavar="METHOD", help="gradcam if left out; repeat it; see `foveal methods`."),
]
Layers = Annotated[
    list[str] | None,
    typer.Option("--layer", "-l", metavar="LAYER", help="Name, wildcard, stage number, or all; repeat it."),
]
Layer = Annotated[
    str | None,
    typer.Option("--layer", "-l", metavar="LAYER", help="Where maps are made: a name or stage number; the last stage."),
]
Embedding = Annotated[
    str | None,
    typer.Option("--embedding", metavar="LAYER", help="What is compared: a layer, or fc.input; found if left out."),
]
Steps = Annotated[
    int, typer.Option("--steps", min=1, metavar="N", help="Number of steps in the deletion and insertion curves.")
]
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metric", metavar="METRIC", help="Default: the usual set. A name or `all`; may be repeated."),
]
Audit = Annotated[
    bool, typer.Option("--audit", help="Say what hiding the marked places costs, and what hiding others does.")
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device", metavar="DEVICE", help="Where to run: cpu, cuda, cuda:1, mps.", rich_help_panel=MODEL_PANEL,
        autocompletion=lambda: ["cpu", "cuda", "mps"],
    ),
]  # fmt: skip
Latex = Annotated[
    bool,
    typer.Option(
        "--latex", help="Print the table as LaTeX on standard output; it needs no package.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]  # fmt: skip
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, on standard output.", rich_help_panel=OUTPUT_PANEL)]


def _models(incomplete: str) -> list[str]:
    """What completes a model's name: nothing slow is asked for it."""
    names = ["demo", "embed", "parts", "timm:", "torchvision:"]
    return [name for name in names if name.startswith(incomplete)]


@dataclass(frozen=True)
class NetworkOptions:
    """Which network, and what it does not say of itself."""

    model: Annotated[
        str,
        typer.Option("--model", "-m", metavar="MODEL", show_default=False, help=MODEL_HELP, autocompletion=_models),
    ]
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights", metavar="FILE", rich_help_panel=MODEL_PANEL,
            help="Weights for it, .safetensors or .pth, instead of a download.",
        ),
    ] = None  # fmt: skip
    pretrained: Annotated[
        bool,
        typer.Option(
            "--pretrained/--no-pretrained", rich_help_panel=MODEL_PANEL,
            help="Trained or random weights, for timm and torchvision.",
        ),
    ] = True  # fmt: skip
    preprocessing: Annotated[
        str | None,
        typer.Option(
            "--preprocessing", metavar="NAME|FILE", rich_help_panel=MODEL_PANEL,
            help="How a photo becomes its input, where the model does not say: imagenet, or a JSON file "
            '({"size": [224, 224], …}, as in docs/models.md).',
        ),
    ] = None  # fmt: skip
    task: Annotated[
        str | None,
        typer.Option(
            "--task", metavar="TASK", rich_help_panel=MODEL_PANEL, autocompletion=lambda: list(TASKS),
            help=f"What the output means, where the model does not say: {', '.join(TASKS)}.",
        ),
    ] = None  # fmt: skip
    device: Device = None

    def load(self) -> Model:
        """The network, ready for photos; what is to be known of it is said."""
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
                f"{self.model} does not say how a photo becomes its input: "
                "add --preprocessing imagenet, or a JSON file (docs/models.md)."
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
            help="Names of the classes, one a line or a JSON list.",
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
            help='Explain this: jay, 17, "jay - crow", neuron:LAYER:CHANNEL; the predicted class if left out.',
        ),
    ] = None  # fmt: skip
    like: Annotated[
        Path | None,
        typer.Option("--like", metavar="PHOTO", help="Explain the similarity to this picture instead of a class."),
    ] = None

    def resolve(self, network: Model) -> Any:
        """The target that a verb takes."""
        from foveal.cli.target import parse_target
        from foveal.targets import Similar

        if self.like and self.target:
            raise typer.BadParameter("the target is a class by --target or a similarity by --like: give one of them")
        return Similar(self.like) if self.like else parse_target(self.target, network.labels)


@dataclass(frozen=True)
class OutputOptions:
    """Where results go, and how they are told."""

    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where files go.", rich_help_panel=OUTPUT_PANEL)
    ] = Path("out")
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


def one_format(*, json: bool, latex: bool) -> None:
    """Standard output holds one document."""
    if json and latex:
        raise typer.BadParameter("--json and --latex both write to standard output: give one of them")


def layer_spec(layers: Iterable[str] | str | None) -> tuple[str | int, ...] | None:
    """Layer names as they are, stage numbers as numbers; None where none is named."""
    names = [layers] if isinstance(layers, str) else [*(layers or ())]
    numbers = [whole(name) for name in names]
    return tuple(name if number is None else number for name, number in zip(names, numbers, strict=True)) or None
