"""The images in which each channel is strongest, found shard by shard: what is found of a shard is kept as its part.

part-00012.pt    "values/STAGE" (c, k), "pictures/STAGE" (c, k), "places/STAGE" (c, k, 2): the k strongest of the shard
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from foveal.datasets.executors import work_through
from foveal.datasets.parts import Row, Sealed
from foveal.datasets.plan import LARGEST_SHARD, SHARDS, Item, Plan
from foveal.datasets.shard import EndOfWorkError, ShardWork, Task
from foveal.engine.capture import capture
from foveal.engine.guard import unwrap
from foveal.engine.layout import channels_first
from foveal.errors import FovealError, ResultError
from foveal.images import load_images
from foveal.models.model import weight_of
from foveal.storage.checkpoint import load_state, save_state
from foveal.storage.reading import DAMAGE
from foveal.storage.written import unheard

if TYPE_CHECKING:
    from foveal.attribution.perturbation import Progress
    from foveal.datasets.inside import Picture
    from foveal.engine.arguments import Arguments
    from foveal.engine.structure import Stage
    from foveal.models.network import Network

BATCH = 8
SMALLEST_SHARD = 64
WHAT = ("values", "pictures", "places")
Strongest: TypeAlias = Mapping[str, Tensor]
"""By "values/STAGE" and so on."""


@dataclass(frozen=True)
class ChannelQuestion:
    """What is searched, in a form that travels to other processes.

    Attributes:
        arguments: what else the network takes, a row a file.
    """

    network: Network
    files: Sequence[Path]
    arguments: Arguments
    stages: Mapping[str, Stage]

    def __call__(self) -> ChannelMaxima:
        return ChannelMaxima(self)


def strongest(
    question: ChannelQuestion, most: int, folder: Path, of: str, *, workers: int = 0, progress: Progress | None = None
) -> Strongest:
    """Of each channel its strongest images; parts of this search that lie in the folder are not made again.

    Raises:
        ImageError: for images that cannot be read.
    """
    count = len(question.files)
    shard = max(SMALLEST_SHARD, min(LARGEST_SHARD, -(-count // SHARDS)))
    plan = Plan.of([(str(file), None) for file in question.files], Path(), batch=BATCH, shard=shard)
    parts = {k: _part(folder, k, of) for k in range(plan.shards)}
    tasks = [Task(k, plan.items(k)) for k, part in parts.items() if part is None]
    best = _best([part for part in parts.values() if part], most)
    ready = count - sum(len(task.items) for task in tasks)
    threads = max(1, torch.get_num_threads() // max(1, workers))
    work = ShardWork(question, plan.root, folder, of, StrongestLayout(most), BATCH, threads)

    def moved(done: int) -> None:
        if progress:
            progress("searching images", ready + done, count)

    with closing(work_through(work, tasks, moved, workers=workers)) as each:
        for sealed in each:
            best = _best([best, load_state(folder / _name(sealed.shard), of) or {}], most)
    return best


class ChannelMaxima:
    """The largest value of each channel in each image, and where it is. What goes wrong with an image ends the work."""

    def __init__(self, question: ChannelQuestion) -> None:
        self._question, self._model = question, question.network.get()

    def read(self, picture: Picture) -> Tensor:
        """The network's input, (1, 3, h, w)."""
        try:
            return load_images([picture], self._model.preprocessing).tensor
        except (FovealError, *DAMAGE) as error:
            raise EndOfWorkError(error) from error

    def rows(self, items: Sequence[Item], pictures: Sequence[Tensor]) -> list[Row]:
        try:
            maxima = self._maxima(items, pictures)
        except (FovealError, *DAMAGE) as error:
            raise EndOfWorkError(error) from error
        return [Row({name: values[:, k] for name, values in maxima.items()}) for k in range(len(items))]

    def _maxima(self, items: Sequence[Item], pictures: Sequence[Tensor]) -> Strongest:
        """ "values/STAGE" (c, n) and so on."""
        asked, module = self._question, unwrap(self._model.module)
        if len({picture.shape for picture in pictures}) > 1:  # it says which
            load_images([asked.files[item.id] for item in items], self._model.preprocessing)
        x, weight = torch.cat([*pictures]), weight_of(module)
        x = x if weight is None else x.to(weight.device, weight.dtype)
        maxima: dict[str, Tensor] = {}
        with capture(module, list(asked.stages), gradient=False) as run:
            run.forward(x, asked.arguments.rows(items[0].id, items[-1].id + 1), stop=True)
            for name, stage in asked.stages.items():
                A = channels_first(run.activations[name], stage.layout)
                values, at = A.flatten(2).max(2)  # (n, c)
                at = at.cpu()
                maxima[f"values/{name}"] = values.T.cpu().float()
                maxima[f"pictures/{name}"] = torch.tensor([item.id for item in items]).expand(A.shape[1], -1)
                maxima[f"places/{name}"] = torch.stack([at // A.shape[3], at % A.shape[3]], 2).transpose(0, 1)
        return maxima


@dataclass(frozen=True)
class StrongestLayout:
    """Parts that hold the strongest images of a shard alone."""

    most: int

    def write(self, folder: Path, shard: int, of: str, items: Sequence[Item], rows: Sequence[Row]) -> Sealed:
        """Write a part whole or not at all.

        Raises:
            ResultError: where it cannot be written.
        """
        each = [{name: values[:, None] for name, values in row.values.items()} for row in rows]
        with unheard():
            save_state(folder / _name(shard), _best(each, self.most), of)
        return Sealed(shard, len(rows), 0)


def _best(found: Iterable[Strongest], most: int) -> dict[str, Tensor]:
    """The strongest of all that was found, the first image of those alike."""
    each = [maxima for maxima in found if maxima]
    best: dict[str, Tensor] = {}
    for name in dict.fromkeys(key.partition("/")[2] for key in (each[0] if each else {})):
        values, pictures, places = (torch.cat([maxima[f"{what}/{name}"] for maxima in each], 1) for what in WHAT)
        first = pictures.argsort(dim=1, stable=True)
        order = first.gather(1, values.gather(1, first).argsort(dim=1, descending=True, stable=True))[:, :most]
        best[f"values/{name}"] = values.gather(1, order)
        best[f"pictures/{name}"] = pictures.gather(1, order)
        best[f"places/{name}"] = places.gather(1, order[:, :, None].expand(-1, -1, 2))
    return best


def _name(shard: int) -> str:
    return f"part-{shard:05d}.pt"


def _part(folder: Path, shard: int, of: str) -> Strongest | None:
    """None where there is none of this search, or it is damaged."""
    try:
        return load_state(folder / _name(shard), of)
    except ResultError:
        return None
