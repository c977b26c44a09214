"""How the small networks came to be: settings, step, checkpoint. What is learned is a `Recipe`.

The images are drawn first and kept in memory (about a gigabyte), then the network passes over them a few
times: some ten minutes on two cores, less with a GPU. `foveal train …` runs this.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, Dataset

from foveal._version import __version__
from foveal.storage.checkpoint import going_on, load_state, save_state
from foveal.storage.fingerprint import fingerprint
from foveal.synthetic.dataset import normalized

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8


@dataclass(frozen=True)
class SyntheticSettings:
    """Everything that decides the outcome."""

    images: int = 12_000
    epochs: int = 7
    batch: int = 64
    rate: float = 4e-3  # the peak of the one-cycle schedule
    decay: float = 0.02
    seed: int = 0
    tests: int = 2_000
    precision: Literal["float32", "bfloat16"] = "float32"  # of the convolutions in training


@dataclass(frozen=True)
class SyntheticStep:
    """Where the training stands: `done` of `total` in this phase."""

    phase: Literal["draw", "train", "test"]
    done: int
    total: int
    loss: float | None = None
    accuracy: float | None = None
    note: str | None = None


class Recipe(Protocol):
    """What a network learns: its images, its loss, its examination."""

    name: str
    usual: SyntheticSettings

    def network(self) -> nn.Module:
        """With whatever serves the loss alone beside it."""
        ...

    def scenes(self, settings: SyntheticSettings) -> Dataset[tuple[Tensor, Tensor]]:
        """(image (3, h, w) uint8, what is to be learned of it)."""
        ...

    def loss(self, net: nn.Module, images: Float[Tensor, "n 3 h w"], targets: Tensor) -> Tensor: ...

    def useful(self, net: nn.Module) -> nn.Module:
        """What is kept of it."""
        ...

    def examined(
        self, net: nn.Module, settings: SyntheticSettings, device: torch.device, workers: int
    ) -> Iterator[SyntheticStep]:
        """Steps with the accuracy so far."""
        ...

    def save(self, net: nn.Module, folder: Path, recipe: Mapping[str, object], accuracy: float) -> Path: ...


def augmented(images: UInt8[Tensor, "n 3 h w"], random: torch.Generator) -> Float[Tensor, "n 3 h w"]:
    """Half of the images mirrored, all moved by up to three pixels."""
    mirror = torch.rand(len(images), 1, 1, 1, generator=random) < 0.5
    images = torch.where(mirror.to(images.device), images.flip(3), images)
    y, x = torch.randint(0, 7, (2,), generator=random).tolist()
    h, w = images.shape[2:]
    return functional.pad(images.float(), (3, 3, 3, 3), mode="replicate")[:, :, y : y + h, x : x + w]


# --- training ---


def train(
    recipe: Recipe,
    out: str | Path,
    *,
    settings: SyntheticSettings | None = None,
    device: str | None = None,
    workers: int | None = None,
) -> Iterator[SyntheticStep]:
    """Train a network; writes its weights and card to the folder `out` at the end.

    Yields a `SyntheticStep` after every batch. After each epoch a checkpoint is left in `out`; a run broken off is
    resumed from it when started again with the same settings. Takes a GPU if there is one, and as many
    worker processes as there are cores to draw the images.

    >>> settings = SyntheticSettings(images=640, epochs=1)
    >>> for step in train(ClassesRecipe(), "out", settings=settings):     # doctest: +SKIP
    ...     print(step.phase, step.done, step.total)
    """
    settings = settings or recipe.usual
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    workers = (os.cpu_count() or 1) if workers is None else workers
    run = _Run(recipe, settings, place, Path(out))

    shards = []
    loader = DataLoader(recipe.scenes(settings), batch_size=64, num_workers=workers)
    for shard in loader:
        shards.append(shard)
        yield SyntheticStep("draw", min(64 * len(shards), settings.images), settings.images, note=run.note)
        run.note = None
    images, targets = (torch.cat(tensors) for tensors in zip(*shards, strict=True))

    for epoch in range(run.epoch, settings.epochs):
        for done, loss in run.train(images, targets, epoch):
            yield SyntheticStep("train", done, run.total, loss)
        run.save(epoch + 1)

    trained = run.finished()
    accuracy = 0.0
    for step in recipe.examined(trained, settings, place, workers):
        accuracy = step.accuracy or 0.0
        yield step
    recipe.save(trained.cpu(), Path(out), asdict(settings), accuracy)
    run.checkpoint.unlink(missing_ok=True)


class _Run:
    """The network, its optimizer and schedule, and where they are kept between epochs."""

    def __init__(self, recipe: Recipe, settings: SyntheticSettings, device: torch.device, out: Path) -> None:
        self.recipe, self.settings, self.device = recipe, settings, device
        with torch.random.fork_rng():
            torch.manual_seed(settings.seed)
            self.net = recipe.network()
        self.net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.batches = settings.images // settings.batch
        self.total = self.batches * settings.epochs
        self.optimizer = AdamW(self.net.parameters(), lr=settings.rate, weight_decay=settings.decay)
        self.schedule = OneCycleLR(self.optimizer, settings.rate, total_steps=self.total, pct_start=0.15)
        self.checkpoint = out / f"{recipe.name}.checkpoint.pt"
        self.note: str | None = None
        self.epoch = self._resumed()

    def train(self, images: UInt8[Tensor, "m 3 h w"], targets: Tensor, epoch: int) -> Iterator[tuple[int, float]]:
        """One pass over the images in an order of its own."""
        random = torch.Generator().manual_seed(self.settings.seed * 1000 + epoch)
        order = torch.randperm(len(images), generator=random)
        self.net.train()
        for batch in range(self.batches):
            chosen = order[batch * self.settings.batch : (batch + 1) * self.settings.batch]
            loss = self.step(augmented(images[chosen].to(self.device), random), targets[chosen].to(self.device))
            yield epoch * self.batches + batch + 1, loss

    def step(self, images: Float[Tensor, "n 3 h w"], targets: Tensor) -> float:
        half = self.settings.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            loss = self.recipe.loss(self.net, normalized(images).contiguous(memory_format=torch.channels_last), targets)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        return loss.item()

    def finished(self) -> nn.Module:
        """The network for use, with the weights as they will be stored: matrices in half precision."""
        net = self.recipe.useful(self.net).eval()
        for parameter in net.parameters():
            if parameter.dim() > 1:
                parameter.data = parameter.data.half().float()
        return net

    def save(self, epoch: int) -> None:
        save_state(self.checkpoint, {"epoch": epoch, **self._state()}, self._of())

    def _resumed(self) -> int:
        if not self.checkpoint.exists():
            return 0
        saved = load_state(self.checkpoint, self._of())
        if saved is None:
            self.note = f"{str(self.checkpoint)!r} has other settings, so the training started from the beginning"
            return 0
        with going_on(self.checkpoint):
            self.net.load_state_dict(saved["net"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.schedule.load_state_dict(saved["schedule"])
            return int(saved["epoch"])

    def _of(self) -> str:
        return fingerprint(recipe=self.recipe, settings=self.settings, foveal=__version__)

    def _state(self) -> dict[str, object]:
        return {
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }
