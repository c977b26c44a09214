"""How a network learns to decide by ranked parts: settings, data, network, step, examination, checkpoint.

A low-resolution network is trained first, the teacher; a high-resolution one then learns from it, so that its maps
become sharp and its decisions stay. Lightning Fabric brings devices, precision, and several processes on one machine or
many. `foveal train brnpa` runs it. This page is the loop; what it trains is in `brnpa_network`, what it is judged by in
`brnpa_evaluation`, what it leaves behind in `brnpa_files`.

A run that was killed goes on from its last checkpoint and ends as it would have: images and their order depend on
the seed and the step alone, so does the state of the random generators at each step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from foveal._version import __version__
from foveal.errors import ImageError, MissingExtra, ModelError
from foveal.models import load_model
from foveal.storage.fingerprint import fingerprint
from foveal.storage.reading import damage
from foveal.training.brnpa_data import Batches
from foveal.training.brnpa_evaluation import compare_parts, evaluate
from foveal.training.brnpa_files import (
    BEST,
    CHECKPOINT,
    LOG,
    claim,
    load_checkpoint,
    log_epoch,
    save_checkpoint,
    save_parts_net,
    shorten_log,
)  # fmt: skip
from foveal.training.brnpa_network import build, loss_of, make_optimizer, rate_at, start_from, teacher_of
from foveal.training.datasets import Datasets, open_folder, open_synthetic
from foveal.training.settings import Settings, SettingsError
from foveal.training.train_step import TrainStep

if TYPE_CHECKING:
    from lightning_fabric import Fabric

EVERY = 50  # steps between checkpoints within an epoch


def train(
    settings: Settings,
    out: str | Path,
    *,
    accelerator: str = "auto",
    devices: int | str = 1,
    nodes: int = 1,
    strategy: str = "auto",
    workers: int = 0,
    tests: bool = True,
) -> Iterator[TrainStep]:
    """Train a network; leaves its weights and card (brnpa.safetensors, brnpa.json), settings.toml and log.csv in `out`.

    Yields a `TrainStep` after every batch. The best epoch by the held-out images is kept; test images are looked at
    once, at the end. Moves torch's global random state.

    Args:
        accelerator, devices, nodes, strategy: of `lightning_fabric.Fabric`: "cpu", "cuda"; how many; "auto", "ddp".
        workers: processes that read images.
        tests: False where more trainings will follow that this one is compared with: test images stay unseen.

    Raises:
        FovealError: for settings, images or a backbone that do not fit, in one sentence.
    """
    fabric = _fabric(accelerator, devices, nodes, strategy, settings.precision)
    folder = Path(out)
    claim(folder, settings, fabric)

    # --- data ---
    datasets = yield from _datasets(settings, workers)
    world_size, rank = fabric.world_size, fabric.global_rank
    micro = len(datasets.train) // (settings.batch * settings.accumulate * world_size) * settings.accumulate
    if micro == 0:
        raise SettingsError(
            f"{len(datasets.train)} training images do not fill one step of {settings.batch} · {settings.accumulate} "
            f"images on {world_size} process(es): make batch or accumulate smaller"
        )

    # --- network ---
    torch.manual_seed(settings.seed)
    plain = build(settings, len(datasets.classes))
    teacher = teacher_of(settings, len(datasets.classes))
    if settings.start == "teacher" and teacher is not None:
        start_from(plain, teacher, settings)
    optimizer = make_optimizer(settings, plain)
    steps = micro // settings.accumulate * settings.epochs
    schedule = LambdaLR(optimizer, partial(rate_at, settings, steps))
    of = _fingerprint(settings, datasets, plain, teacher, world_size)
    plain.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    net, optimizer = fabric.setup(plain, optimizer)
    if teacher is not None:
        teacher = fabric.to_device(teacher)

    # --- where it was broken off ---
    state: dict[str, Any] = {"net": net, "optimizer": optimizer, "schedule": schedule, "step": 0, "best": -1.0,
                             "loss": 0.0, "seconds": 0.0, "of": of}  # fmt: skip
    if (folder / CHECKPOINT).exists():
        load_checkpoint(fabric, folder / CHECKPOINT, state)
        if state["of"] != of:
            raise SettingsError(
                f"{str(folder)!r} holds an unfinished run with other images, another teacher, backbone or number of "
                f"processes: choose another folder, or remove {CHECKPOINT} there"
            )
    shorten_log(folder / LOG, state["step"] // (steps // settings.epochs), fabric)

    # --- steps ---
    keys = Batches(
        len(datasets.train), settings.batch, settings.epochs, settings.seed, micro=micro,
        start=state["step"] * settings.accumulate, rank=rank, world_size=world_size,
    )  # fmt: skip
    batches = iter(DataLoader(datasets.train, batch_sampler=keys, num_workers=workers))
    net.train()
    began = time.perf_counter()
    while state["step"] < steps:
        torch.manual_seed(hash((settings.seed, state["step"], rank)) % 2**63)  # dropout
        loss = 0.0
        for part in range(settings.accumulate):
            images, truth = (fabric.to_device(each) for each in next(batches))
            images = images.contiguous(memory_format=torch.channels_last)
            with fabric.no_backward_sync(net, enabled=part + 1 < settings.accumulate):
                share = loss_of(net, teacher, images, truth, settings) / settings.accumulate
                fabric.backward(share)
            loss += share.item()
        if not math.isfinite(loss):
            raise ModelError(
                f"the loss became {loss} at step {state['step']}: use a smaller rate, or precision 32-true"
            )
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        state["step"] += 1
        state["loss"] += loss
        yield TrainStep("train", state["step"], steps, loss, state["best"] if state["best"] >= 0 else None)

        # --- examination and checkpoint ---
        epoch, within = divmod(state["step"], steps // settings.epochs)
        if within == 0:
            accuracy = yield from evaluate(plain, datasets.validation, settings, fabric, workers, "validate")
            if accuracy > state["best"]:
                state["best"] = accuracy
                save_checkpoint(fabric, folder / BEST, {"net": net})
            state["seconds"] += time.perf_counter() - began
            began = time.perf_counter()
            mean, rate = state["loss"] / (steps // settings.epochs), float(schedule.get_last_lr()[0])
            log_epoch(folder / LOG, fabric, epoch, state["step"], mean, accuracy, rate, state["seconds"])
            state["loss"] = 0.0
        if within % EVERY == 0:
            save_checkpoint(fabric, folder / CHECKPOINT, state)

    # --- the best of them ---
    load_checkpoint(fabric, folder / BEST, {"net": net})
    accuracies = {"validation": state["best"]}
    examined = tests and len(datasets.test) > 0
    if examined and datasets.exam == "classes":
        accuracies["test"] = yield from evaluate(plain, datasets.test, settings, fabric, workers, "test")
    elif examined:
        accuracies |= yield from compare_parts(plain, datasets, settings, fabric, workers)
    if fabric.is_global_zero:
        save_parts_net(plain.cpu(), settings, datasets, accuracies, folder)
        for name in (CHECKPOINT, BEST):
            (folder / name).unlink(missing_ok=True)
    fabric.barrier()


def _fabric(accelerator: str, devices: int | str, nodes: int, strategy: str, precision: str) -> Fabric:
    try:
        from lightning_fabric import Fabric
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "training with parts needs Lightning Fabric, which is not installed: pip install 'foveal[train]'"
        ) from error
    try:
        fabric = Fabric(
            accelerator=accelerator,
            devices=devices,
            num_nodes=nodes,
            strategy=strategy,
            precision=precision,  # type: ignore[arg-type]
        )
        fabric.launch()
    except (ValueError, TypeError, RuntimeError) as error:
        raise SettingsError(f"Lightning Fabric does not support these devices or this precision: {error}") from error
    return fabric


def _datasets(settings: Settings, workers: int) -> Generator[TrainStep, None, Datasets]:
    """The images, told of while they are drawn."""
    if not settings.drawn:
        return open_folder(settings, load_model(settings.backbone, pretrained=False).preprocessing)
    drawing = open_synthetic(settings, workers)
    while True:
        try:
            yield TrainStep("draw", *next(drawing))
        except StopIteration as end:
            datasets: Datasets = end.value
            return datasets


def _fingerprint(
    settings: Settings, datasets: Datasets, net: nn.Module, teacher: nn.Module | None, world_size: int
) -> str:
    """Of everything that decides the outcome: the images themselves, the weights it begins with, the teacher."""
    with damage("Cannot read the images", ImageError):
        pictures = [part.contents() for part in (datasets.train, datasets.validation)]
    return fingerprint(
        settings=settings, pictures=pictures, classes=datasets.classes, preprocessing=datasets.preprocessing, net=net,
        teacher=teacher, processes=world_size, foveal=__version__,
    )  # fmt: skip
