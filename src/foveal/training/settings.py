"""Everything that decides the outcome of a training, as a TOML file."""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from foveal.errors import FovealError, UnknownName, shown
from foveal.storage.atomic import write_text
from foveal.storage.reading import DAMAGE, read_text, reason

if TYPE_CHECKING:
    import os

    from pydantic_core import ErrorDetails

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
DRAWN = ("synthetic", "individuals", "novel")


class SettingsError(FovealError, ValueError):
    """Settings that do not exist, or do not fit together."""


class UnknownSetting(UnknownName, SettingsError):
    """A setting that does not exist."""


@dataclass(frozen=True)
class Settings:
    """What is learned, from what, and how. Two runs with the same settings end with the same weights (CPU).

    data            a folder (a folder a class; train/ and test/ of such; CUB-200-2011; Market-1501), or drawn birds:
                    "synthetic", "individuals", "novel" (`foveal.training.datasets`).
    backbone        "timm:resnet50", "torchvision:resnet50", "demo"; trained unless `pretrained` is off.
    pooling, count, layer, resolution, mode     of `PartsNet`.
    teacher         weights of a low-resolution network to learn from (.safetensors), or nothing.
    weight, temperature     λ and T of `distillation`.
    start           "backbone", or "teacher": begin with the teacher's weights.
    side, crop      images of `side` pixels, cut from a photo whose short side is side / crop.
    shift           pixels by which an image may move, filled from its edge.
    flip, brightness, saturation    mirrored with this probability; changed by up to these shares.
    validation      share of the training images held out, by which the best epoch is chosen; never the test images.
    epochs, batch, accumulate       images a step are batch · accumulate.
    optimizer, rate, momentum, decay, dropout, schedule     "adamw", "adam", "amsgrad" or "sgd"; "cosine", "step"
                    (times 0.9 every two epochs) or "constant".
    precision       as Lightning Fabric has it: "32-true", "bf16-mixed", "16-mixed".
    checkpointing   of activations, to save memory; in mode "stride".
    images, tests   drawn, where data is drawn.
    """

    data: str = "synthetic"
    backbone: str = "timm:resnet50"
    pretrained: bool = True
    pooling: Literal["brnpa", "average", "attention"] = "brnpa"
    count: Count = 3
    layer: str = ""
    resolution: Count = 1
    mode: Literal["dilate", "stride"] = "dilate"
    teacher: str = ""
    weight: Share = 0.5
    temperature: Annotated[float, Field(gt=0)] = 6.0
    start: Literal["backbone", "teacher"] = "backbone"
    side: Count = 224
    crop: Annotated[float, Field(gt=0, le=1)] = 0.875
    shift: int = 0
    flip: float = 0.5
    brightness: float = 0.126
    saturation: float = 0.5
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    epochs: Count = 50
    batch: Count = 12
    accumulate: Count = 1
    optimizer: Literal["adamw", "adam", "amsgrad", "sgd"] = "sgd"
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
        for name, value in _validated(vars(self)).items():
            object.__setattr__(self, name, value)
        if self.start == "teacher" and not self.teacher:
            raise SettingsError(
                "start = 'teacher' needs a teacher: set teacher to its weights, or use start = 'backbone'"
            )

    @property
    def drawn(self) -> bool:
        """The images are drawn."""
        return self.data in DRAWN


SYNTHETIC_DEFAULTS = {
    "backbone": "demo", "side": 160, "crop": 1.0, "shift": 3, "brightness": 0.0, "saturation": 0.0, "epochs": 3,
    "batch": 64, "optimizer": "adamw", "rate": 1e-3, "decay": 0.02, "schedule": "cosine",
}  # fmt: skip
"""What else is usual for drawn birds, which come in their own light and pose."""


def usual(data: str, **wanted: Any) -> Settings:
    """The settings for this data, with what is wanted in place of what is usual."""
    drawn = SYNTHETIC_DEFAULTS if data in DRAWN else {}
    return changed(Settings(data=data), {**drawn, **wanted})


def changed(settings: Settings, values: dict[str, Any]) -> Settings:
    """The same with other values, each of the type it has to be.

    Raises:
        SettingsError: for what is no setting, or no such value.
    """
    return Settings(**_validated({**asdict(settings), **values}))


def _validated(values: dict[str, Any]) -> dict[str, Any]:
    """The values as pydantic reads them, whole numbers made floats where floats belong."""
    try:
        return _schema().model_validate(values).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        kind = UnknownSetting if first["type"] == "extra_forbidden" else SettingsError
        raise kind(_sentence(first)) from error


@cache
def _schema() -> type[BaseModel]:
    """What the annotations of `Settings` say, checked without turning text into numbers or the like."""
    fields: dict[str, Any] = {name: (hint, ...) for name, hint in get_type_hints(Settings, include_extras=True).items()}
    return create_model("Settings", __config__=ConfigDict(extra="forbid", strict=True, allow_inf_nan=False), **fields)


def _sentence(error: ErrorDetails) -> str:
    name = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"there is no setting {name!r}: the settings are {', '.join(_schema().model_fields)}"
    return f"{name}: {error['msg'][0].lower()}{error['msg'][1:]}, not {shown(error['input'])}"


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
