"""Settings that learn best, found by Optuna: each trial is a whole training, judged by the held-out images.

The ranges are those of the published search (specification: BR-NPA, section 8), which judged by the test images; here
these are looked at by nobody until a training with the settings that were found.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foveal._version import __version__
from foveal.errors import FovealError, ImageError, MissingExtra, ResultError
from foveal.images.folders import pictures_in
from foveal.storage.fingerprint import file_fingerprint, fingerprint
from foveal.storage.reading import damage, read_json
from foveal.training.brnpa import train
from foveal.training.settings import Settings, SettingsError, changed, write_settings
from foveal.training.train_step import TrainStep

JOURNAL, BEST = "search.journal", "best.toml"
OF = "of"  # what the study calls the fingerprint of what it is about


@dataclass(frozen=True)
class Tried:
    """One trial: its settings, and the share of held-out images named rightly."""

    number: int
    settings: Settings
    accuracy: float


def search(
    settings: Settings, out: str | Path, *, trials: int = 25, workers: int = 0, accelerator: str = "auto"
) -> Iterator[TrainStep | Tried]:
    """Try settings near these; leaves the best as best.toml in `out`, to be trained with.

    Yields each trial's steps, then the trial. A search that was broken off goes on with what the finished trials told.

    Args:
        trials: how many in all.
    """
    study = _study(Path(out), settings.seed)
    done = {trial.number for trial in study.trials if trial.state.is_finished()}
    _claim(study, Path(out), settings)
    if any(trial.state.name == "COMPLETE" for trial in study.trials):
        # A search may be killed between a trial and the file that says it was the best.
        write_settings(changed(settings, study.best_params), Path(out) / BEST)
    for _ in range(trials - len(done)):
        trial = study.ask()
        chosen = changed(settings, suggested(trial, settings))
        folder = Path(out) / f"trial-{trial.number:03d}"
        try:
            yield from train(chosen, folder, workers=workers, accelerator=accelerator, tests=False)
            with damage(f"Cannot read the results of trial {trial.number} in {str(folder)!r}", ResultError):
                accuracy = float(read_json(folder / "accuracy.json")["validation"])
        except FovealError:  # a rate at which the loss grows beyond all numbers, say
            accuracy = 0.0
        study.tell(trial, accuracy)
        write_settings(changed(settings, study.best_params), Path(out) / BEST)
        yield Tried(trial.number, chosen, accuracy)


def _claim(study: Any, out: Path, settings: Settings) -> None:
    """The trials in the folder are of these settings, images and teacher."""
    files = [] if settings.drawn else pictures_in([Path(settings.data)])
    with damage("Cannot read the images", ImageError):
        pictures = [file_fingerprint(file) for file in files]
    of = fingerprint(settings=settings, pictures=pictures, teacher=Path(settings.teacher or "."), foveal=__version__)
    if study.user_attrs.get(OF, of) != of:
        raise SettingsError(
            f"{str(out)!r} holds a search with other settings, images or another teacher: choose another folder"
        )
    study.set_user_attr(OF, of)


def suggested(trial: Any, settings: Settings) -> dict[str, Any]:
    """What this trial changes."""
    optimizer = trial.suggest_categorical("optimizer", ["adam", "amsgrad", "sgd"])
    suggestion = {
        "optimizer": optimizer,
        "rate": trial.suggest_float("rate", 1e-4, 1e-2, log=True),
        "decay": trial.suggest_float("decay", 1e-6, 1e-3, log=True),
        "dropout": trial.suggest_categorical("dropout", [0.0, 0.2, 0.4, 0.6]),
        "brightness": trial.suggest_float("brightness", 0.0, 0.5),
        "saturation": trial.suggest_float("saturation", 0.0, 0.9),
    }
    if not settings.drawn:
        suggestion["crop"] = trial.suggest_float("crop", 0.8, 1.0)
    if optimizer == "sgd":
        suggestion["momentum"] = trial.suggest_float("momentum", 0.0, 0.9)
    if settings.teacher:
        suggestion["temperature"] = trial.suggest_categorical("temperature", [1.0, 6.0, 11.0, 16.0, 21.0])
        suggestion["weight"] = trial.suggest_float("weight", 0.1, 1.0)
    return suggestion


def _study(out: Path, seed: int) -> Any:
    try:
        optuna = importlib.import_module("optuna")
        storages = importlib.import_module("optuna.storages")
        journal = importlib.import_module("optuna.storages.journal")
    except ModuleNotFoundError as error:
        raise MissingExtra("a search needs Optuna, which is not installed: pip install 'foveal[search]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    out.mkdir(parents=True, exist_ok=True)
    storage = storages.JournalStorage(journal.JournalFileBackend(str(out / JOURNAL)))
    sampler = optuna.samplers.TPESampler(seed=seed)
    return optuna.create_study(
        study_name="parts", storage=storage, sampler=sampler, direction="maximize", load_if_exists=True
    )
