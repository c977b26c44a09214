"""What each channel of a network means: the images of a folder where it is strongest. Specification: gAP, 6.3."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from platformdirs import user_cache_path
from torch import Tensor, nn

from foveal._version import __version__
from foveal.attribution.perturbation import Progress
from foveal.engine.arguments import Arguments, extra_inputs
from foveal.engine.capture import capture
from foveal.engine.guard import unwrap
from foveal.engine.keywords import checked
from foveal.engine.layout import channels_first
from foveal.engine.select import LayerSpec, select_layers
from foveal.engine.stages import describe
from foveal.errors import ImageError, ResultError, UnknownLayer
from foveal.images import load_images, pictures_in
from foveal.models.model import Model, as_model, placed
from foveal.results.channel_examples import ChannelExamples
from foveal.results.provenance import versions
from foveal.storage.checkpoint import load_state, save_state
from foveal.storage.fingerprint import file_fingerprint, fingerprint
from foveal.storage.reading import damage

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.engine.structure import Stage
    from foveal.images import Preprocessing

MOST = 9  # images a channel
BATCH = 8


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
            nothing.
        progress: hears (what, done, total) after every few images.
        inputs: what else the model's forward takes, as for `explain`; rows of tensors follow the files.
        keywords: the same by name.
        preprocessing: as for `explain`.
        layer: which layers, as in `explain`.

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
    if home := _home(cache):
        of = _fingerprint(subject, files, arguments, names, most)
        file = home / f"{of}.pt"
        arrays = _kept(file, of, notes)
    if arrays is None:
        arrays = _strongest(subject, files, arguments, stages, most, progress)
        if home:
            with suppress(ResultError):  # a cache that cannot be written is no reason to fail
                save_state(file, arrays, of)
    values, numbers, places = (
        {name: arrays[f"{what}/{name}"] for name in names} for what in ("values", "pictures", "places")
    )
    return ChannelExamples(
        subject.name, files, stages, values, numbers, places, subject.preprocessing, tuple(notes),
        time.perf_counter() - began, versions(),
    )  # fmt: skip


def _strongest(
    subject: Model,
    files: Sequence[Path],
    arguments: Arguments,
    stages: Mapping[str, Stage],
    most: int,
    progress: Progress | None,
) -> dict[str, Tensor]:
    """ "values/STAGE", "pictures/STAGE" and "places/STAGE": of each channel its strongest images."""
    best: dict[str, Tensor] = {}
    module = unwrap(subject.module)
    for start in range(0, len(files), BATCH):
        few = files[start : start + BATCH]
        batch = placed(load_images(list(few), subject.preprocessing), module)
        with capture(module, list(stages), gradient=False) as run:
            run.forward(batch.tensor, arguments.rows(start, start + len(few)), stop=True)
            for name, stage in stages.items():
                _merge(best, name, channels_first(run.activations[name], stage.layout), start, most)
        if progress:
            progress("searching images", min(start + BATCH, len(files)), len(files))
    return best


def _merge(best: dict[str, Tensor], name: str, A: Float[Tensor, "n c h w"], start: int, most: int) -> None:
    """Put the maxima of images from number `start` on among the best of a stage so far."""
    values, at = A.flatten(2).max(2)  # (n, c)
    at = at.cpu()
    new = {
        "values": values.T.cpu().float(),
        "pictures": torch.arange(start, start + len(A)).expand(A.shape[1], -1),
        "places": torch.stack([at // A.shape[3], at % A.shape[3]], 2).transpose(0, 1),
    }
    both = {
        what: torch.cat([best[f"{what}/{name}"], those], 1) if f"{what}/{name}" in best else those
        for what, those in new.items()
    }
    order = both["values"].argsort(dim=1, descending=True, stable=True)[:, :most]
    best[f"values/{name}"] = both["values"].gather(1, order)
    best[f"pictures/{name}"] = both["pictures"].gather(1, order)
    best[f"places/{name}"] = both["places"].gather(1, order[:, :, None].expand(-1, -1, 2))


def _fingerprint(subject: Model, files: Sequence[Path], arguments: Arguments, names: Sequence[str], most: int) -> str:
    """Of everything that decides what is found; not of where the images lie."""
    with damage("Cannot read the images", ImageError):
        pictures = [file_fingerprint(file) for file in files]
    return fingerprint(
        weights=unwrap(subject.module), preprocessing=subject.preprocessing, pictures=pictures, arguments=arguments,
        names=names, most=most, foveal=__version__,
    )  # fmt: skip


def _home(cache: Path | bool | None) -> Path | None:
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
