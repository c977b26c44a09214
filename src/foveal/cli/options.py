"""Options that several commands share, and what they mean: a frozen dataclass a group, see `foveal.cli.command`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli.choices import one_of
from foveal.cli.console import busy, info
from foveal.cli.input_options import InputOptions
from foveal.cli.lists import repeatable
from foveal.engine.numerals import whole
from foveal.errors import FovealError
from foveal.storage.naming import distinct_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from foveal.models import Model

COMMAND_FOLDER = Path("out", "COMMAND")
"""Stands for the default folder of a command, out/explain and so on."""

MODEL_PANEL, DRAWING_PANEL, OUTPUT_PANEL = "About the model", "Drawing", "Output"
MODEL_HELP = (
    "demo, embed, parts, timm:NAME, torchvision:NAME, hf:ORG/NAME, a folder of transformers, FILE.onnx, FILE.pt2, "
    "FILE.safetensors (with FILE.json), package.module:factory or file.py:factory; see `foveal models`."
)
TASKS = ("classes", "labels", "value", "embedding", "regions", "boxes")

Photos = Annotated[
    list[Path],
    typer.Argument(
        metavar="PHOTO", show_default=False, help="Image files, or folders of them (`foveal help inputs`: which)."
    ),
]
Methods = Annotated[
    list[str] | None,
    repeatable("method", metavar="METHOD", help="A method (default: gradcam), see `foveal methods`; or my.py:mine."),
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
        help="The embedding to compare: a layer, or fc.input (default: found automatically).",
    ),
]
JoinedParts = Annotated[
    int,
    typer.Option(
        "--parts",
        min=0,
        metavar="N",
        help="Divide each similarity among N parts that lie on both images; 0 for none.",
    ),
]
Steps = Annotated[
    int,
    typer.Option("--steps", min=1, metavar="N", help="Number of steps in the deletion and insertion curves."),
]
Workers = Annotated[
    int, typer.Option("--workers", "-j", min=0, metavar="N", help="Processes that work at once; 0: this one alone.")
]
Precision = Annotated[
    Any,
    typer.Option(
        "--precision", metavar="NAME", callback=one_of("float32", "bfloat16", "auto"),
        help="Precision of the forward passes on altered copies: float32, bfloat16, or auto: bfloat16 if it is faster "
        "and the scores agree.",
    ),
]  # fmt: skip
Metrics = Annotated[
    list[str] | None,
    repeatable(
        "metric", metavar="METRIC", help="A metric, or all (default: the usual set), see `foveal help measure`."
    ),
]
Audit = Annotated[
    bool,
    typer.Option("--audit", help="Deletion test: compare hiding the marked positions with hiding others."),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device", metavar="DEVICE", help="The device: cpu, cuda, cuda:1, mps.", rich_help_panel=MODEL_PANEL,
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
Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON.", rich_help_panel=OUTPUT_PANEL)]


def _models(incomplete: str) -> list[str]:
    """What completes a model's name: nothing slow is asked for it."""
    names = ["demo", "embed", "parts", "timm:", "torchvision:", "hf:"]
    return [name for name in names if name.startswith(incomplete)]


@dataclass(frozen=True)
class WeightsOptions:
    """Which network, with which weights."""

    model: Annotated[
        str,
        typer.Option("--model", "-m", metavar="MODEL", show_default=False, help=MODEL_HELP, autocompletion=_models),
    ]
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights", metavar="FILE", rich_help_panel=MODEL_PANEL,
            help="File with weights (.safetensors or .pth) to load instead of downloading.",
        ),
    ] = None  # fmt: skip
    pretrained: Annotated[
        bool,
        typer.Option(
            "--pretrained/--no-pretrained", rich_help_panel=MODEL_PANEL,
            help="Use pretrained or random weights (timm and torchvision).",
        ),
    ] = True  # fmt: skip


@dataclass(frozen=True)
class NetworkOptions(InputOptions, WeightsOptions):
    """Which network, and what the network does not state itself."""

    task: Annotated[
        str | None,
        typer.Option(
            "--task", metavar="TASK", rich_help_panel=MODEL_PANEL, autocompletion=lambda: list(TASKS),
            help=f"Meaning of the output, if the model does not state it: {', '.join(TASKS)}.",
        ),
    ] = None  # fmt: skip
    device: Device = None

    def load(self) -> Model:
        """The network, ready for images; prints its notes."""
        with busy(f"loading {self.model}"):
            model = self.network(silent=False)
        info(*(f"note: {note}" for note in model.notes))
        return model

    def network(self, *, silent: bool = True) -> Model:
        """The network, ready for images; `silent` as in a process that works for another."""
        from foveal.cli.preprocessing import PreprocessingOptions
        from foveal.engine.task import check_task
        from foveal.models import load_model

        wanted = PreprocessingOptions.of(self)
        model = load_model(
            self.model,
            weights=self.weights,
            pretrained=self.pretrained,
            labels=self._labels,
            task=check_task(self.task),
            device=self.device,
        )
        return wanted.applied(model, self.model, silent=silent)

    @property
    def _labels(self) -> Path | tuple[str, ...] | None:
        return None


@dataclass(frozen=True)
class ClassifierOptions(NetworkOptions):
    """The same, for commands that name classes."""

    labels: Annotated[
        str | None,
        typer.Option(
            "--labels", metavar="FILE|NAMES", rich_help_panel=MODEL_PANEL,
            help="Class names: a text file with one name per line, a JSON list, or the names with commas between. For "
            "one output, one name.",
        ),
    ] = None  # fmt: skip

    @property
    def _labels(self) -> Path | tuple[str, ...] | None:
        """The file, or the names themselves where the text cannot be meant as a file."""
        if self.labels is None:
            return None
        file = Path(self.labels)
        if file.exists() or ("," not in self.labels and (file.suffix or len(file.parts) != 1)):
            return file
        return tuple(name.strip() for name in self.labels.split(","))


@dataclass(frozen=True)
class TargetOptions:
    """What is explained: a class, a margin, a group or a neuron by --target; a similarity by --like."""

    target: Annotated[
        str | None,
        typer.Option(
            "--target", "-t", metavar="TARGET",
            help='What to explain: jay, 17, "jay - crow", group:151-268, "value down", "box 0", "region dog", '
            "neuron:LAYER:CHANNEL (default: the predicted class, the best box, the largest region).",
        ),
    ] = None  # fmt: skip
    against: Annotated[
        str | None,
        typer.Option(
            "--against", metavar="N|NAMES",
            help="Explain what tells the class from its N strongest rivals, or from those named: crow,rook.",
        ),
    ] = None  # fmt: skip
    strength: Annotated[
        float | None,
        typer.Option("--strength", metavar="SHARE", help="With --against: the share of the rivals' mean to take off."),
    ] = None
    like: Annotated[
        list[Path] | None,
        typer.Option(
            "--like", metavar="PHOTO", help="Explain the similarity to this image, or a folder of them, not a class."
        ),
    ] = None
    unlike: Annotated[
        list[Path] | None,
        typer.Option("--unlike", metavar="PHOTO", help="With --like: less the similarity to this image, or folder."),
    ] = None

    def resolve(self, network: Model, *, each_label: bool = False) -> Any:
        """The target that a verb takes; `each_label` where it can be all labels at once."""
        from foveal.cli.asked_target import asked_target
        from foveal.targets.parsing import parse_labels

        if labels := parse_labels(self.target, network.labels):
            if self.like or self.unlike or self.against:
                raise typer.BadParameter(f"--target {self.target} goes without --like, --unlike and --against")
            if not each_label:
                raise typer.BadParameter(
                    f"--target {self.target} is for foveal explain, measure and audit: name one label"
                )
            return labels
        return asked_target(
            network.labels, target=self.target, against=self.against, strength=self.strength, like=self.like,
            unlike=self.unlike,
        )  # fmt: skip


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


def folders(photos: Sequence[Path], out: Path) -> tuple[list[Path], list[Path]]:
    """All photos, also of folders, and for each a folder of its own, named after it: out/bird, out/bird-2 …"""
    from foveal.images import pictures_in

    files = pictures_in(photos)
    places: list[Path] = []
    for photo, name in zip(files, distinct_names(photo.stem for photo in files), strict=True):
        free = (out / (f"{name}-{number}" if number > 1 else name) for number in count(1))
        places.append(next(at for at in free if at not in places and _photo_of(at) in (None, str(photo))))
    return files, places


def _photo_of(place: Path) -> str | None:
    """The photo whose results of an earlier run are in a folder, by its path as it was given; None if there is none."""
    from foveal.storage.reading import DAMAGE, read_json

    for manifest in [place / "manifest.json", *sorted(place.glob("*/manifest.json"))]:
        try:
            content = read_json(manifest)
            (photo, *_others) = content.get("photos") or [content["photo"]]
            return str(photo["source"])
        except (*DAMAGE, FovealError, KeyError, TypeError, AttributeError, ValueError):
            continue
    return None


def one_format(*, json: bool, latex: bool) -> None:
    """Standard output holds one document."""
    if json and latex:
        raise typer.BadParameter("--json and --latex both write to standard output: give one of them")


def layer_spec(layers: Iterable[str] | str | None) -> tuple[str | int, ...] | None:
    """Layer names as they are, stage numbers as numbers; None where none is named."""
    names = [layers] if isinstance(layers, str) else [*(layers or ())]
    numbers = [whole(name) for name in names]
    return tuple(name if number is None else number for name, number in zip(names, numbers, strict=True)) or None
