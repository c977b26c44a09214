"""What a training leaves in its folder: settings, checkpoints and a log on the way, weights and a card at its end."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foveal._version import __version__
from foveal.errors import ResultError
from foveal.models import Model
from foveal.models.brnpa import PartsNet
from foveal.models.save import save_model
from foveal.storage.atomic import whole_file, write_text
from foveal.storage.checkpoint import check_seal, going_on, seal
from foveal.storage.reading import damage, opened, read_text
from foveal.training.brnpa_network import network_arguments
from foveal.training.datasets import Datasets
from foveal.training.settings import Settings, SettingsError, changed, read_settings, write_settings

if TYPE_CHECKING:
    from lightning_fabric import Fabric

CHECKPOINT, BEST, LOG, SETTINGS = "checkpoint.pt", "best.pt", "log.csv", "settings.toml"
COLUMNS = ("epoch", "step", "loss", "validation", "rate", "seconds")


def claim(folder: Path, settings: Settings, fabric: Fabric) -> None:
    """The folder is ours: new, or with a run of the same settings in it."""
    if (folder / CHECKPOINT).exists() and (folder / SETTINGS).exists():
        before = changed(Settings(), read_settings(folder / SETTINGS))
        differing = [name for name, value in asdict(before).items() if asdict(settings)[name] != value]
        if differing:
            raise SettingsError(
                f"{str(folder)!r} holds an unfinished run with another {', '.join(differing)}: choose another folder, "
                f"or remove {CHECKPOINT} there"
            )
    if fabric.is_global_zero:
        folder.mkdir(parents=True, exist_ok=True)
        write_settings(settings, folder / SETTINGS)
    fabric.barrier()


def save_checkpoint(fabric: Fabric, path: Path, state: dict[str, Any]) -> None:
    """Whole or not at all; of several processes the first one writes."""
    if fabric.is_global_zero:
        with whole_file(path) as aside:
            fabric.save(aside, state)
            with aside.open("rb+") as file:
                seal(file)
    else:
        fabric.save(path, state)
    fabric.barrier()


def load_checkpoint(fabric: Fabric, path: Path, state: dict[str, Any]) -> None:
    """What was saved, into the state."""
    with going_on(path):
        with opened(path) as file:
            check_seal(file)
        state |= fabric.load(path, state)


def log_epoch(path: Path, fabric: Fabric, *values: float) -> None:
    """Appends an epoch's numbers, one a column of `COLUMNS`, to the CSV log; the first process alone writes."""
    if fabric.is_global_zero:
        cells = [f"{value:.6g}" if isinstance(value, float) else str(value) for value in values]
        before = read_text(path) if path.exists() else ",".join(COLUMNS) + "\n"
        write_text(path, before + ",".join(cells) + "\n")


def shorten_log(path: Path, epochs: int, fabric: Fabric) -> None:
    """Only what was finished before the checkpoint: what comes after it will be done again."""
    if fabric.is_global_zero and path.exists():
        with damage(f"Cannot read {str(path)!r} (delete it to start from the beginning)", ResultError):
            lines = read_text(path).splitlines()
        write_text(path, "\n".join(lines[: epochs + 1]) + "\n")
    fabric.barrier()


def save_parts_net(
    net: PartsNet, settings: Settings, datasets: Datasets, found: dict[str, float], folder: Path
) -> Path:
    """brnpa.safetensors and its card; kernels in half precision."""
    arguments = {"backbone": settings.backbone, **network_arguments(settings, len(datasets.classes))}
    where = {name: Path(getattr(settings, name)).name for name in ("data", "teacher")}  # places mean nothing elsewhere
    card = {
        "data": Path(settings.data).name,
        "recipe": {"code": "foveal.training.brnpa:train", **asdict(settings), **where},
        "accuracy": {name: round(value, 4) for name, value in found.items()},
        "decides": f"linear, from {net.pool.count} vectors in the order of their activity" if net.pool.count > 1
        else "linear, from one vector",
        "foveal": __version__,
        **({"before training, the finer map and the original map differed by": round(net.trunk.apart, 4)}
           if net.trunk.apart > 1e-3 else {}),
    }  # fmt: skip
    model = Model(net.eval(), settings.pooling, datasets.preprocessing, datasets.classes, card, "classes")
    path = folder / "brnpa.safetensors"
    save_model(model, path, architecture="foveal.models.brnpa:PartsNet", arguments=arguments, half=True)
    write_text(folder / "accuracy.json", json.dumps(found, indent=1) + "\n")
    return path
