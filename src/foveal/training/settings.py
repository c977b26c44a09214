"""Everything that decides the outcome of a training, as a TOML file."""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from foveal.errors import FovealError, UnknownName
from foveal.storage.atomic import write_text
from foveal.storage.reading import DAMAGE, read_text, reason

if TYPE_CHECKING:
    import os

DRAWN = ("world", "individuals", "novel")


class SettingsError(FovealError, ValueError):
    """Settings that do not exist, or do not fit together."""


class UnknownSetting(UnknownName, SettingsError):
    """A setting that does not exist."""


@dataclass(frozen=True)
class Settings:
    """What is learnt, from what, and how. Two runs with the same settings end with the same weights (CPU).

    data            a folder (a folder a class; train/ and test/ of such; CUB-200-2011; Market-1501), or drawn birds:
                    "world", "individuals", "novel" (`foveal.training.datasets`).
    backbone        "timm:resnet50", "torchvision:resnet50", "demo"; trained unless `pretrained` is off.
    pooling, count, layer, resolution, mode     of `PartsNet`.
    teacher         weights of a low-resolution network to learn from (.safetensors), or nothing.
    weight, temperature     λ and T of `distillation`.
    start           "backbone", or "teacher": begin with the teacher's weights.
    side, crop      pictures of `side` pixels, cut from a photo whose short side is side / crop.
    shift           pixels by which a picture may move, filled from its edge.
    flip, brightness, saturation    mirrored with this probability; changed by up to these shares.
    validation      share of the training pictures held out, by which the best epoch is chosen; never the test pictures.
    epochs, batch, accumulate       pictures a step are batch · accumulate.
    optimiser, rate, momentum, decay, dropout, schedule     "adamw", "adam", "amsgrad" or "sgd"; "cosine", "step"
                    (times 0.9 every two epochs) or "constant".
    precision       as Lightning Fabric has it: "32-true", "bf16-mixed", "16-mixed".
    checkpointing   of activations, to save memory; in mode "stride".
    images, tests   drawn, where data is drawn.
    """

    data: str = "world"
    backbone: str = "timm:resnet50"
    pretrained: bool = True
    pooling: Literal["brnpa", "average", "attention"] = "brnpa"
    count: int = 3
    layer: str = ""
    resolution: int = 1
    mode: Literal["dilate", "stride"] = "dilate"
    teacher: str = ""
    weight: float = 0.5
    temperature: float = 6.0
    start: Literal["backbone", "teacher"] = "backbone"
    side: int = 224
    crop: float = 0.875
    shift: int = 0
    flip: float = 0.5
    brightness: float = 0.126
    saturation: float = 0.5
    validation: float = 0.1
    epochs: int = 50
    batch: int = 12
    accumulate: int = 1
    optimiser: Literal["adamw", "adam", "amsgrad", "sgd"] = "sgd"
    rate: float = 1e-3
    momentum: float = 0.9
    decay: float = 0.0
    dropout: float = 0.0
    schedule: Literal["cosine", "step", "constant"] = "step"
    precision: str = "32-true"
    checkpointing: bool = False
    seed: int = 0
    images: int = 6_000
    tests: int = 1_000

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise SettingsError(f"{name} is one of {', '.join(choices)}, not {getattr(self, name)!r}")
        if self.start == "teacher" and not self.teacher:
            raise SettingsError("start = 'teacher' needs a teacher: name its weights, or start from the backbone")
        if not 0 <= self.weight <= 1 or not 0 < self.validation < 1 or not 0 < self.crop <= 1 or self.temperature <= 0:
            raise SettingsError("weight lies in 0..1, validation between 0 and 1, crop in 0..1, temperature above 0")
        if min(self.epochs, self.batch, self.accumulate, self.count, self.resolution, self.side) < 1:
            raise SettingsError("epochs, batch, accumulate, count, resolution and side are whole numbers from 1")

    @property
    def drawn(self) -> bool:
        """The pictures are drawn."""
        return self.data in DRAWN


CHOICES: dict[str, tuple[str, ...]] = {
    "pooling": ("brnpa", "average", "attention"),
    "mode": ("dilate", "stride"),
    "start": ("backbone", "teacher"),
    "optimiser": ("adamw", "adam", "amsgrad", "sgd"),
    "schedule": ("cosine", "step", "constant"),
}
OF_THE_WORLD = {
    "backbone": "demo", "side": 160, "crop": 1.0, "shift": 3, "brightness": 0.0, "saturation": 0.0, "epochs": 3,
    "batch": 64, "optimiser": "adamw", "rate": 1e-3, "decay": 0.02, "schedule": "cosine",
}  # fmt: skip
"""What else is usual for drawn birds, which come in their own light and pose."""


def usual(data: str, **wanted: Any) -> Settings:
    """The settings for this data, with what is wanted in place of what is usual."""
    drawn = OF_THE_WORLD if data in DRAWN else {}
    return changed(Settings(data=data), {**drawn, **wanted})


def changed(settings: Settings, values: dict[str, Any]) -> Settings:
    """The same with other values, each of the type it has to be.

    Raises:
        SettingsError: for what is no setting, or no such value.
    """
    known = {field.name: type(getattr(settings, field.name)) for field in fields(Settings)}
    fitted = {}
    for name, value in values.items():
        if name not in known:
            raise UnknownSetting(f"there is no setting {name!r}: the settings are {', '.join(known)}")
        kind = known[name]
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise SettingsError(f"{name} must be of type {kind.__name__}, but is {value!r}")
        fitted[name] = value
    return replace(settings, **fitted)


def read_settings(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The values in a TOML file."""
    try:
        return tomllib.loads(read_text(Path(path)))
    except DAMAGE as error:
        raise SettingsError(f"Cannot read the settings {str(path)!r}: {reason(error)}.") from error


def write_settings(settings: Settings, path: Path) -> None:
    """All of them, in their order; `read_settings` gives them back."""
    # A string in JSON is one in TOML, a number and a truth value too.
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in asdict(settings).items()]
    write_text(path, "\n".join(lines) + "\n")
