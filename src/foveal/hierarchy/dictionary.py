"""What each channel of a network means: the pictures of a folder where it is strongest. Specification: gAP, 6.3."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from foveal._version import __version__
from foveal.engine.capture import capture
from foveal.engine.guard import unwrap
from foveal.engine.layout import channels_first
from foveal.engine.select import LayerSpec, select_layers
from foveal.engine.stages import describe
from foveal.errors import ImageError, LayerError, ResultError
from foveal.images import load_images, pictures_in
from foveal.inquiry import placed
from foveal.keywords import checked
from foveal.models.model import Model, as_model
from foveal.storage.checkpoint import load_state, save_state
from foveal.storage.fingerprint import file_fingerprint, fingerprint
from foveal.storage.reading import damage

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from PIL import Image

    from foveal.engine.structure import Stage
    from foveal.images import Preprocessing

MOST = 9  # pictures a channel
BATCH = 8


@dataclass(frozen=True)
class Entry:
    """One picture in which a channel is strong.

    Attributes:
        file: the picture.
        place: row and column in the stage.
        value: the activation there.
    """

    file: Path
    place: tuple[int, int]
    value: float


@dataclass(frozen=True, eq=False)
class Dictionary:
    """For each channel of each stage the pictures of a set where its largest activation is largest.

    Attributes:
        model: its name.
        files: the pictures that were looked at.
        stages: by name.
        values: stage -> (c, m), largest activations, the largest first.
        pictures: stage -> (c, m), numbers of the files.
        places: stage -> (c, m, 2), rows and columns.
        notes: what a reader should know.
    """

    model: str
    files: tuple[Path, ...]
    stages: Mapping[str, Stage]
    values: Mapping[str, Float[Tensor, "c m"]] = field(repr=False)
    pictures: Mapping[str, Int[Tensor, "c m"]] = field(repr=False)
    places: Mapping[str, Int[Tensor, "c m 2"]] = field(repr=False)
    preprocessing: Preprocessing | None = None
    notes: tuple[str, ...] = ()

    def entries(self, layer: str, channel: int) -> tuple[Entry, ...]:
        """Where a channel is strongest; pictures in which it is nowhere on are left out.

        Raises:
            LayerError: for a stage or channel that is not in here.
        """
        if layer not in self.values or not 0 <= channel < len(self.values[layer]):
            known = ", ".join(f"{name} (0..{len(v) - 1})" for name, v in self.values.items())
            raise LayerError(f"the dictionary has no channel {channel} of {layer!r}: it knows {known}")
        rows = zip(
            self.pictures[layer][channel].tolist(),
            self.places[layer][channel].tolist(),
            self.values[layer][channel].tolist(),
            strict=True,
        )
        return tuple(Entry(self.files[i], (y, x), value) for i, (y, x), value in rows if value > 0)

    def crops(self, layer: str, channel: int, *, side: int = 96) -> list[Image.Image]:
        """The parts of those pictures that the channel sees where it is strongest, as squares."""
        return self.shelves([(layer, channel)], side=side)[layer, channel]

    def shelves(
        self, channels: Sequence[tuple[str, int]], *, side: int = 96
    ) -> dict[tuple[str, int], list[Image.Image]]:
        """The same of several channels (layer, number); each picture is read once."""
        from foveal.render.feature import seen_at

        entries = {key: self.entries(*key) for key in channels}
        wanted: dict[Path, list[tuple[tuple[str, int], int]]] = {}
        for key, found in entries.items():
            for rank, entry in enumerate(found):
                wanted.setdefault(entry.file, []).append((key, rank))
        crops: dict[tuple[tuple[str, int], int], Image.Image] = {}
        for file, places in wanted.items():
            photo = load_images(file, self.preprocessing).photos[0]
            for key, rank in places:
                crops[key, rank] = seen_at(photo, self.stages[key[0]], entries[key][rank].place, side=side)
        return {key: [crops[key, rank] for rank in range(len(found))] for key, found in entries.items()}


@checked
def dictionary(
    model: nn.Module | Model,
    pictures: Path | str | Sequence[Path | str],
    *,
    layer: LayerSpec = "all",
    most: int = MOST,
    cache: Path | bool | None = True,
    progress: Callable[[str, int, int], None] | None = None,
    preprocessing: Preprocessing | None = None,
) -> Dictionary:
    """Look through pictures for what each channel of the stages answers to: one forward each, up to the last stage.

        words = foveal.dictionary(model, "photos/")
        words.entries("layer4", 42)              # file, place and value, the strongest first
        words.crops("layer4", 42)                # what it sees there

    Args:
        pictures: a folder, or files.
        layer: which layers, as in `explain`.
        most: pictures a channel.
        cache: a folder in which what was found is kept, for the same weights, pictures and layers; True is foveal's
            own (`FOVEAL_CACHE`, or ~/.cache/foveal), None or False keeps nothing.
        progress: hears (what, done, total).

    Raises:
        ImageError: for a folder without pictures, or pictures that cannot be read.
    """
    subject = as_model(model, preprocessing)
    files = [Path(pictures)] if isinstance(pictures, str | Path) else [Path(one) for one in pictures]
    found = tuple(pictures_in(files))
    first = placed(load_images(found[0], subject.preprocessing), subject.module)
    structure = describe(subject.module, first.tensor)
    names = tuple(select_layers(unwrap(subject.module), layer, lambda: structure))
    known = {stage.name: stage for stage in structure.stages}
    if missing := [name for name in names if name not in known]:
        raise LayerError(f"a dictionary is of stages, and {missing[0]!r} is none: say {', '.join(known)}")
    stages = {name: known[name] for name in names}
    arrays: Mapping[str, Tensor] | None = None
    notes: list[str] = []
    if home := _home(cache):
        of = _fingerprint(subject, found, names, most)
        file = home / f"{of}.pt"
        arrays = _kept(file, of, notes)
    if arrays is None:
        arrays = _look(subject, found, stages, most, progress)
        if home:
            with suppress(ResultError):  # a cache that cannot be written is no reason to fail
                save_state(file, arrays, of)
    values, numbers, places = (
        {name: arrays[f"{what}/{name}"] for name in names} for what in ("values", "pictures", "places")
    )
    return Dictionary(subject.name, found, stages, values, numbers, places, subject.preprocessing, tuple(notes))


def _look(
    subject: Model,
    files: Sequence[Path],
    stages: Mapping[str, Stage],
    most: int,
    progress: Callable[[str, int, int], None] | None,
) -> dict[str, Tensor]:
    best: dict[str, Tensor] = {}
    module = unwrap(subject.module)
    for start in range(0, len(files), BATCH):
        few = files[start : start + BATCH]
        batch = placed(load_images(list(few), subject.preprocessing), module)
        with capture(module, list(stages), gradient=False) as run:
            run.forward(batch.tensor, stop=True)
            for name, stage in stages.items():
                A = channels_first(run.activations[name], stage.layout)
                values, at = A.flatten(2).max(2)  # (n, c)
                at = at.cpu()
                found = {
                    "values": values.T.cpu().float(),
                    "pictures": torch.arange(start, start + len(few)).expand(A.shape[1], -1),
                    "places": torch.stack([at // A.shape[3], at % A.shape[3]], 2).transpose(0, 1),
                }
                both = {
                    what: torch.cat([best[f"{what}/{name}"], new], 1) if f"{what}/{name}" in best else new
                    for what, new in found.items()
                }
                order = both["values"].argsort(dim=1, descending=True, stable=True)[:, :most]
                best[f"values/{name}"] = both["values"].gather(1, order)
                best[f"pictures/{name}"] = both["pictures"].gather(1, order)
                best[f"places/{name}"] = both["places"].gather(1, order[:, :, None].expand(-1, -1, 2))
        if progress:
            progress("looking through pictures", min(start + BATCH, len(files)), len(files))
    return best


def _fingerprint(subject: Model, files: Sequence[Path], names: Sequence[str], most: int) -> str:
    """Of everything that decides what is found; not of where the pictures lie."""
    with damage("Cannot read the pictures", ImageError):
        pictures = [file_fingerprint(file) for file in files]
    return fingerprint(
        weights=unwrap(subject.module), preprocessing=subject.preprocessing, pictures=pictures, names=names, most=most,
        foveal=__version__,
    )  # fmt: skip


def _home(cache: Path | bool | None) -> Path | None:
    """Where what was found is kept."""
    if cache is None or cache is False:
        return None
    home = Path(os.environ.get("FOVEAL_CACHE") or Path.home() / ".cache" / "foveal") if cache is True else cache
    return Path(home) / "dictionaries"


def _kept(file: Path, of: str, notes: list[str]) -> Mapping[str, Tensor] | None:
    """None where there is nothing, or nothing whole; what is damaged is found again, and that is said."""
    if not file.exists():
        return None
    try:
        found = load_state(file, of)
    except ResultError:
        found = None
    if found is None:
        notes.append(f"what was kept in {str(file)!r} was damaged, so the pictures were looked through again")
    return found
