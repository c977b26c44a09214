"""How the demo network came to be: settings, data, model, loss, step, evaluation, checkpoint.

The pictures are drawn first and kept in memory (about a gigabyte), then the network passes over them a few
times: some ten minutes on two cores, less with a GPU. `foveal train demo` runs this.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, Dataset

from foveal.world.ambiguity import beliefs, tampered
from foveal.world.card import save_demo
from foveal.world.dataset import SplitDataset, normalised
from foveal.world.drawing import render
from foveal.world.network import DemoNet
from foveal.world.splits import Split

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8


@dataclass(frozen=True)
class Settings:
    """Everything that decides the outcome."""

    images: int = 12_000
    epochs: int = 7
    batch: int = 64
    rate: float = 4e-3  # the peak of the one-cycle schedule
    decay: float = 0.02
    sparsity: float = 1e-4  # weight of the head's absolute values in the loss
    seed: int = 0
    tests: int = 2_000
    precision: Literal["float32", "bfloat16"] = "float32"  # of the convolutions in training


@dataclass(frozen=True)
class Step:
    """Where the training stands: `done` of `total` in this phase."""

    phase: Literal["draw", "train", "test"]
    done: int
    total: int
    loss: float | None = None
    accuracy: float | None = None


# --- data ---


class TrainingScenes(Dataset[tuple[Tensor, Tensor]]):
    """(image (3, h, w) uint8, fair probabilities of the species): see `foveal.world.ambiguity`.

    Parts go missing or are borrowed in training, so that a network knows what to make of an intervention.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.split = Split("species", count, train=True, seed=seed)

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[UInt8[Tensor, "3 h w"], Float[Tensor, " classes"]]:
        scene = self.split.scene(index)
        scene = tampered(scene, scene.seed)
        image, _ = render(scene)
        return torch.from_numpy(image).permute(2, 0, 1).contiguous(), torch.from_numpy(beliefs(scene))


def augmented(images: UInt8[Tensor, "n 3 h w"], random: torch.Generator) -> Float[Tensor, "n 3 h w"]:
    """Half of the pictures mirrored, all moved by up to three pixels."""
    mirror = torch.rand(len(images), 1, 1, 1, generator=random) < 0.5
    images = torch.where(mirror.to(images.device), images.flip(3), images)
    y, x = torch.randint(0, 7, (2,), generator=random).tolist()
    h, w = images.shape[2:]
    return functional.pad(images.float(), (3, 3, 3, 3), mode="replicate")[:, :, y : y + h, x : x + w]


# --- loss ---


def surprise(logits: Float[Tensor, "n classes"], fair: Float[Tensor, "n classes"]) -> Float[Tensor, ""]:
    """Kullback-Leibler divergence from the fair probabilities: 0 where nothing better could be said."""
    return functional.kl_div(logits.log_softmax(1), fair, reduction="batchmean")


# --- training ---


def train_demo(
    out: str | Path, *, settings: Settings | None = None, device: str | None = None, workers: int | None = None
) -> Iterator[Step]:
    """Train the demo network; writes demo.safetensors and demo.json to the folder `out` at the end.

    Yields a `Step` after every batch. After each epoch a checkpoint is left in `out`; a run broken off is
    resumed from it when started again with the same settings. Takes a GPU if there is one, and as many
    worker processes as there are cores to draw the pictures.

    >>> for step in train_demo("out", settings=Settings(images=640, epochs=1)):     # doctest: +SKIP
    ...     print(step.phase, step.done, step.total)
    """
    settings = settings or Settings()
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    workers = (os.cpu_count() or 1) if workers is None else workers
    run = _Run(settings, place, Path(out))

    shards = []
    loader = DataLoader(TrainingScenes(settings.images, settings.seed), batch_size=64, num_workers=workers)
    for shard in loader:
        shards.append(shard)
        yield Step("draw", min(64 * len(shards), settings.images), settings.images)
    images, fair = (torch.cat(tensors) for tensors in zip(*shards, strict=True))

    for epoch in range(run.epoch, settings.epochs):
        for done, loss in run.train(images, fair, epoch):
            yield Step("train", done, run.total, loss)
        run.save(epoch + 1)

    trained = run.finished()
    right = 0
    tests = DataLoader(SplitDataset(Split("species", settings.tests)), batch_size=50, num_workers=workers)
    for seen, (image, target) in enumerate(tests, 1):
        right += int((_predict(trained, image, place) == target).sum())
        done = min(50 * seen, settings.tests)
        yield Step("test", done, settings.tests, accuracy=right / done)
    save_demo(trained, Path(out), recipe=asdict(settings), accuracy=right / settings.tests)
    run.checkpoint.unlink(missing_ok=True)


class _Run:
    """The network, its optimiser and schedule, and where they are kept between epochs."""

    def __init__(self, settings: Settings, device: torch.device, out: Path) -> None:
        self.settings, self.device = settings, device
        with torch.random.fork_rng():
            torch.manual_seed(settings.seed)
            self.net = DemoNet()
        self.net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.batches = settings.images // settings.batch
        self.total = self.batches * settings.epochs
        self.optimiser = AdamW(self.net.parameters(), lr=settings.rate, weight_decay=settings.decay)
        self.schedule = OneCycleLR(self.optimiser, settings.rate, total_steps=self.total, pct_start=0.15)
        self.checkpoint = out / "demo.checkpoint.pt"
        self.epoch = self._resumed()

    def train(
        self, images: UInt8[Tensor, "m 3 h w"], fair: Float[Tensor, "m classes"], epoch: int
    ) -> Iterator[tuple[int, float]]:
        """One pass over the pictures in an order of its own."""
        random = torch.Generator().manual_seed(self.settings.seed * 1000 + epoch)
        order = torch.randperm(len(images), generator=random)
        self.net.train()
        for batch in range(self.batches):
            chosen = order[batch * self.settings.batch : (batch + 1) * self.settings.batch]
            loss = self.step(augmented(images[chosen].to(self.device), random), fair[chosen].to(self.device))
            yield epoch * self.batches + batch + 1, loss

    def step(self, images: Float[Tensor, "n 3 h w"], fair: Float[Tensor, "n classes"]) -> float:
        half = self.settings.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            logits = self.net(normalised(images).contiguous(memory_format=torch.channels_last))
        loss = surprise(logits.float(), fair) + self.settings.sparsity * self.net.head.weight.abs().sum()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.schedule.step()
        return loss.item()

    def finished(self) -> DemoNet:
        """The network for use, with the weights as they will be stored: matrices in half precision."""
        self.net.eval()
        for parameter in self.net.parameters():
            if parameter.dim() > 1:
                parameter.data = parameter.data.half().float()
        return self.net

    def save(self, epoch: int) -> None:
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        aside = self.checkpoint.with_suffix(".aside")
        torch.save({"settings": asdict(self.settings), "epoch": epoch, **self._state()}, aside)
        aside.replace(self.checkpoint)

    def _resumed(self) -> int:
        if not self.checkpoint.exists():
            return 0
        saved = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        if saved["settings"] != asdict(self.settings):
            return 0
        self.net.load_state_dict(saved["net"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.schedule.load_state_dict(saved["schedule"])
        return int(saved["epoch"])

    def _state(self) -> dict[str, object]:
        return {
            "net": self.net.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
        }


def _predict(net: DemoNet, images: UInt8[Tensor, "n 3 h w"], device: torch.device) -> Tensor:
    with torch.inference_mode():
        predicted: Tensor = net(normalised(images.to(device))).argmax(1).cpu()
    return predicted
