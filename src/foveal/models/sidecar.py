"""The JSON file that lies beside a file of weights and says what they are.

{"format": "foveal-model/1", "name": "shells",
 "architecture": "timm:resnet18", "arguments": {"num_classes": 3},
 "preprocessing": {"size": [224, 224]}, "labels": ["cockle", "limpet", "whelk"],
 "task": "classes", "card": {"license": "CC0"}}

`save_model` adds the SHA-256 of the weights, `digest`, by which `models/pairing.py` knows what belongs together.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator

from foveal.engine.task import Task
from foveal.errors import ModelError
from foveal.images.preprocessing import Preprocessing
from foveal.storage.reading import DAMAGE, read_json, reason

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


class Earlier(BaseModel):
    """What stood here before, while new weights are on their way: the digest of the weights, and their sidecar."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    digest: str
    sidecar: dict[str, JsonValue] | None = None


class Sidecar(BaseModel):
    """What a sidecar says, checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    format: Literal["foveal-model/1"] = "foveal-model/1"
    name: str = Field(min_length=1)
    architecture: str = Field(pattern=r"^[^:]+:.+$")
    arguments: dict[str, JsonValue] = {}
    preprocessing: Preprocessing | None = None
    labels: tuple[str, ...] | None = Field(default=None, min_length=1)
    task: Task | None = None
    card: dict[str, JsonValue] = {}
    digest: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    before: Earlier | None = None

    @field_validator("preprocessing", mode="before")
    @classmethod
    def _read_preprocessing(cls, value: object) -> object:
        return Preprocessing.from_dict(value) if isinstance(value, dict) else value

    @field_validator("card")
    @classmethod
    def _check_notes(cls, card: dict[str, JsonValue]) -> dict[str, JsonValue]:
        notes = card.get("notes", [])
        if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
            raise ValueError("its notes must be a list of sentences")
        return card

    def to_json(self) -> str:
        """The text of the file."""
        fields: dict[str, Any] = {"format": self.format, "name": self.name, "architecture": self.architecture}
        fields["arguments"] = self.arguments
        fields["preprocessing"] = self.preprocessing.to_dict() if self.preprocessing else None
        fields["labels"] = self.labels
        fields["task"] = self.task
        fields["card"] = self.card
        if self.digest:
            fields["digest"] = self.digest
        if self.before:
            fields["before"] = self.before.model_dump()
        return json.dumps(fields, indent=1, ensure_ascii=False) + "\n"


def sidecar_path(weights: Path) -> Path:
    """Where the sidecar of a file of weights lies: file.safetensors has file.json."""
    return weights.with_suffix(".json")


def read_sidecar(path: Path) -> Sidecar:
    """The sidecar at `path`; ModelError in one sentence for anything wrong with it."""
    try:
        return Sidecar.model_validate(read_json(path))
    except FileNotFoundError as error:
        raise ModelError(
            f"No sidecar {path.name} beside the weights in {path.parent}: "
            "write one (see `foveal help models`), or name the architecture and pass the file as weights."
        ) from error
    except OSError as error:
        raise ModelError(f"Cannot read the sidecar {path}: {reason(error)}.") from error
    except ValidationError as error:
        raise ModelError(f"Cannot use the sidecar {path}: {_problem(error.errors()[0])}.") from error
    except DAMAGE as error:
        raise ModelError(f"Cannot read the sidecar {path}: it is not valid JSON ({reason(error)}).") from error


def find_sidecar(weights: Path) -> Sidecar | None:
    """The sidecar beside `weights` if there is one; other programs' JSON files are left alone."""
    path = sidecar_path(weights)
    try:
        claimed = read_json(path)
    except DAMAGE:
        return None
    if not isinstance(claimed, dict) or not str(claimed.get("format", "")).startswith("foveal-model"):
        return None
    return read_sidecar(path)


def _problem(error: ErrorDetails) -> str:
    where = ".".join(str(part) for part in error["loc"]) or "the whole file"
    what = error["msg"].removeprefix("Value error, ").rstrip(".")
    if error["type"] == "extra_forbidden":
        what = f"there is no such field; the fields are {', '.join(Sidecar.model_fields)}"
    if where == "architecture":
        what = 'write "timm:NAME", "torchvision:NAME" or "package.module:factory"'
    return f"{where}: {what}"
