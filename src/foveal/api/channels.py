"""What each channel of a network means: the images of a folder where it is strongest. Specification: gAP, 6.3."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from platformdirs import user_cache_path
from torch import Tensor, nn

from foveal._version import __version__
from foveal.api.channel_search import ChannelQuestion, strongest
from foveal.attribution.perturbation import Progress
from foveal.engine.arguments import Arguments, extra_inputs
from foveal.engine.guard import unwrap
from foveal.engine.keywords import checked
from foveal.engine.select import LayerSpec, select_layers
from foveal.engine.stages import describe
from foveal.errors import ImageError, ResultError, UnknownLayer
from foveal.images import load_images, pictures_in
from foveal.models.model import Model, as_model, placed
from foveal.models.network import Network
from foveal.results.channel_examples import ChannelExamples
from foveal.results.provenance import versions
from foveal.storage.checkpoint import load_state, save_state
from foveal.storage.fingerprint import file_fingerprint, fingerprint
from foveal.storage.lock import alone
from foveal.storage.reading import damage

if TYPE_CHECKING:
    from foveal.images import Preprocessing

MOST = 9  # images a channel


@checked
def channels(
    model: nn.Module | Model,
    images: Path | str | Sequence[Path | str],
    *,
    most: int = MOST,
    cache: Path | bool | None = True,
    progress: Progress | None = None,
    inputs: Sequence[Any] | Tensor = (),
    keywords: Mapping[str, Any] | None = None,
    preprocessing: Preprocessing | None = None,
    layer: LayerSpec = "all",
    workers: int = 0,
) -> ChannelExamples:
    """The images of a set in which each channel of the stages is strongest: a forward pass each, to the last stage.

        examples = foveal.channels(model, "photos/")
        examples.entries("layer4", 42)              # file, place and value, the strongest first
        examples.crops("layer4", 42)                # what it sees there

    Args:
        model: as for `explain`.
        images: a folder, or files.
        most: images per channel.
        cache: a folder in which the examples are kept, for the same weights, images and layers; True is foveal's
            own (`FOVEAL_CACHE`, or where the system keeps caches, such as ~/.cache/foveal), None or False keeps
            nothing. An interrupted search goes on from there.
        progress: hears (what, done, total) after every few images.
        inputs: what else the model's forward takes, as for `explain`; rows of tensors follow the files.
        keywords: the same by name.
        preprocessing: as for `explain`.
        layer: which layers, as in `explain`.
        workers: processes that search at once; 0 is this one alone. They start anew and import the script that calls
            this, so it must call it below `if __name__ == "__main__":`.

    Returns:
        For each channel of each stage its examples, the strongest first.

    Raises:
        ImageError: for a folder without images, or images that cannot be read.
        LayerError: for a layer that is no stage.
    """
    began = time.perf_counter()
    subject = as_model(model, preprocessing)
    folders = [Path(images)] if isinstance(images, str | Path) else [Path(path) for path in images]
    files = tuple(pictures_in(folders))
    arguments = extra_inputs(len(files), inputs, keywords)
    first = placed(load_images(files[0], subject.preprocessing), subject.module)
    structure = describe(subject.module, first.tensor, arguments.row(0))
    names = tuple(select_layers(unwrap(subject.module), layer, lambda: structure))
    known = {stage.name: stage for stage in structure.stages}
    if missing := [name for name in names if name not in known]:
        raise UnknownLayer(
            f"channel examples are made for stages, and {missing[0]!r} is not one: give {', '.join(known)}"
        )
    stages = {name: known[name] for name in names}
    arrays: Mapping[str, Tensor] | None = None
    notes: list[str] = []
    home, of = cache_folder(cache), ""
    if home:
        of = _fingerprint(subject, files, arguments, names, most)
        arrays = _kept(home / f"{of}.pt", of, notes)
    if arrays is None:
        question = ChannelQuestion(Network(model=subject), files, arguments, stages)
        with _parts(home, of) as folder:
            arrays = strongest(question, most, folder, of, workers=workers, progress=progress)
            if home:
                with suppress(ResultError):  # a cache that cannot be written is no reason to fail
                    save_state(home / f"{of}.pt", arrays, of)
    values, numbers, places = (
        {name: arrays[f"{what}/{name}"] for name in names} for what in ("values", "pictures", "places")
    )
    return ChannelExamples(
        subject.name, files, stages, values, numbers, places, subject.preprocessing, tuple(notes),
        time.perf_counter() - began, versions(),
    )  # fmt: skip


@contextmanager
def _parts(home: Path | None, of: str) -> Iterator[Path]:
    """Where parts of the search lie: beside what is kept, so that an interrupted one goes on; what is found whole ends
    them. Elsewhere where nothing is kept or can be, or another program searches the same there.
    """
    with ExitStack() as stack:
        kept = home and home / f"{of}.parts"
        if kept and home:
            try:
                kept.mkdir(parents=True, exist_ok=True)
                stack.enter_context(alone(home / f".foveal-lock-{of}", patience=0))
            except (OSError, ResultError):
                kept = None
        yield kept or Path(stack.enter_context(TemporaryDirectory()))
        if kept:
            rmtree(kept, ignore_errors=True)


def _fingerprint(subject: Model, files: Sequence[Path], arguments: Arguments, names: Sequence[str], most: int) -> str:
    """Of everything that decides what is found; not of where the images lie."""
    with damage("Cannot read the images", ImageError):
        pictures = [file_fingerprint(file) for file in files]
    return fingerprint(
        weights=unwrap(subject.module), preprocessing=subject.preprocessing, pictures=pictures, arguments=arguments,
        names=names, most=most, foveal=__version__,
    )  # fmt: skip


def cache_folder(cache: Path | bool | None = True) -> Path | None:
    """Where what was found is kept."""
    if cache is None or cache is False:
        return None
    home = Path(os.environ.get("FOVEAL_CACHE") or user_cache_path("foveal")) if cache is True else cache
    return Path(home) / "channels"


def _kept(file: Path, of: str, notes: list[str]) -> Mapping[str, Tensor] | None:
    """None where there is nothing, or nothing whole; what is damaged is found again, and that is said."""
    if not file.exists():
        return None
    try:
        arrays = load_state(file, of)
    except ResultError:
        arrays = None
    if arrays is None:
        notes.append(f"the cache file {str(file)!r} was damaged, so the images were searched again")
    return arrays
