"""The network that ships as `parts`: a teacher with the resolution of the demo network, then its student.

The student has strides of 1 where the demo network has strides of 2, and no dilation, as published: its map is four
times as fine, and each of its positions sees 23 pixels of the image instead of 47.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from foveal._version import __version__
from foveal.models import Model, load_model
from foveal.models.save import save_model
from foveal.synthetic.dataset import LICENSE
from foveal.training.brnpa import train
from foveal.training.brnpa_network import network_arguments
from foveal.training.settings import Settings, usual
from foveal.training.train_step import TrainStep

TEACHER = usual("synthetic", epochs=2, batch=32, rate=5e-4, images=3_000, tests=500)
STUDENT = replace(
    TEACHER, resolution=4, mode="stride", start="teacher", teacher="teacher/brnpa.safetensors", rate=1e-3,
    images=6_000, precision="bf16-mixed",
)  # fmt: skip


def train_parts(
    out: str | Path, *, accelerator: str = "auto", devices: int | str = 1, **wanted: Any
) -> Iterator[TrainStep]:
    """Train the teacher in `out`/teacher, then the student; leaves parts.safetensors and its card in `out`.

    Yields a `TrainStep` after every batch of both. What was finished is not done again.

    Args:
        accelerator, devices: of `lightning_fabric.Fabric`: "cpu", "cuda"; how many, or "1," for the one of that number.
        wanted: settings of both, in place of `TEACHER` and `STUDENT`.

    Raises:
        FovealError: for settings that do not fit, in one sentence.
    """
    folder = Path(out)
    teacher = replace(TEACHER, **wanted)
    if not _trained(folder / "teacher", teacher):
        yield from train(teacher, folder / "teacher", accelerator=accelerator, devices=devices)
    student = replace(STUDENT, teacher=str(folder / "teacher" / "brnpa.safetensors"), **wanted)
    yield from train(student, folder, accelerator=accelerator, devices=devices)
    save_as_parts(folder, student)


def save_as_parts(folder: Path, settings: Settings) -> Path:
    """Copies the student in `folder` to parts.safetensors, with a card that says what it and its teacher are."""
    student, teacher = (load_model(str(path / "brnpa.safetensors")) for path in (folder, folder / "teacher"))
    card = {
        "data": "drawn world, split `classes`, train=True; parts are missing or borrowed in 60 % of the scenes",
        "recipe": student.card["recipe"],
        "accuracy": student.card["accuracy"],
        "decides": student.card["decides"],
        "foveal": __version__,
        "teacher": {"recipe": teacher.card["recipe"], "accuracy": teacher.card["accuracy"]},
        "license": LICENSE,
        "known shortcuts": "none planted: backgrounds, clutter and light are drawn independently of the species",
    }
    model = Model(student.module, "parts", student.preprocessing, student.labels, card, "classes")
    arguments = {"backbone": settings.backbone, **network_arguments(settings, len(student.labels or ()))}
    path = folder / "parts.safetensors"
    return save_model(model, path, architecture="foveal.models.brnpa:PartsNet", arguments=arguments, half=True)


def _trained(folder: Path, settings: Settings) -> bool:
    """Whether the folder holds weights that were trained with these settings to the end."""
    path = folder / "brnpa.safetensors"
    if not path.exists():
        return False
    recipe = dict(load_model(str(path)).card["recipe"])
    return {name: recipe.get(name) for name in asdict(settings)} == asdict(settings)
