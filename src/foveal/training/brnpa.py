"""How a network learns to decide by ranked parts: settings, data, network, step, examination, checkpoint.

A low-resolution network is trained first, the teacher; a high-resolution one then learns from it, so that its maps
become sharp and its decisions stay. Lightning Fabric brings devices, precision, and several processes on one machine or
many; everything else is on this page. `foveal train brnpa` runs it.

A run that was killed goes on from its last checkpoint and ends as it would have: pictures and their order depend on
the seed and the step alone, so does the state of the random generators at each step.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from foveal._version import __version__
from foveal.errors import ImageError, MissingExtra, ModelError, ResultError
from foveal.models import Model, load_model
from foveal.models.brnpa import PartsNet, named_backbone
from foveal.models.save import save_model
from foveal.results.part_similarity import order_free, similarities
from foveal.storage.atomic import whole_file, write_text
from foveal.storage.checkpoint import check_seal, going_on, seal
from foveal.storage.fingerprint import fingerprint
from foveal.storage.reading import damage, opened, read_text
from foveal.training.brnpa_data import Batches, InOrder, PictureDataset
from foveal.training.datasets import DatasetSources, open_folder, open_world
from foveal.training.distillation import distillation
from foveal.training.settings import Settings, SettingsError, changed, read_settings, write_settings
from foveal.training.tasks import few_shot_accuracy, retrieval

if TYPE_CHECKING:
    from lightning_fabric import Fabric

CHECKPOINT, BEST, LOG, SETTINGS = "checkpoint.pt", "best.pt", "log.csv", "settings.toml"
EVERY = 50  # steps between checkpoints within an epoch
COLUMNS = ("epoch", "step", "loss", "validation", "rate", "seconds")


Phase: TypeAlias = Literal["draw", "train", "validate", "test"]


@dataclass(frozen=True)
class TrainStep:
    """Where the training stands: `done` of `total` in this phase; `accuracy` of the last examination."""

    phase: Phase
    done: int
    total: int
    loss: float | None = None
    accuracy: float | None = None


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

    Yields a `TrainStep` after every batch. The best epoch by the held-out pictures is kept; test pictures are looked at
    once, at the end. Moves torch's global random state.

    Args:
        accelerator, devices, nodes, strategy: of `lightning_fabric.Fabric`: "cpu", "cuda"; how many; "auto", "ddp".
        workers: processes that read pictures.
        tests: False where more trainings will follow that this one is compared with: test pictures stay unseen.

    Raises:
        FovealError: for settings, pictures or a backbone that do not fit, in one sentence.
    """
    fabric = _fabric(accelerator, devices, nodes, strategy, settings.precision)
    folder = Path(out)
    _claim(folder, settings, fabric)

    # --- data ---
    sources = yield from _sources(settings, workers)
    world, rank = fabric.world_size, fabric.global_rank
    micro = len(sources.train) // (settings.batch * settings.accumulate * world) * settings.accumulate
    if micro == 0:
        raise SettingsError(
            f"{len(sources.train)} training pictures do not fill one step of {settings.batch} · {settings.accumulate} "
            f"pictures on {world} process(es): make batch or accumulate smaller"
        )

    # --- network ---
    torch.manual_seed(settings.seed)
    plain = build(settings, len(sources.classes))
    teacher = _teacher(settings, len(sources.classes))
    if settings.start == "teacher" and teacher is not None:
        _start_from(plain, teacher, settings)
    optimizer = make_optimizer(settings, plain)
    steps = micro // settings.accumulate * settings.epochs
    schedule = LambdaLR(optimizer, partial(rate_at, settings, steps))
    of = _fingerprint(settings, sources, plain, teacher, world)
    plain.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    net, optimizer = fabric.setup(plain, optimizer)
    if teacher is not None:
        teacher = fabric.to_device(teacher)

    # --- where it was broken off ---
    state: dict[str, Any] = {"net": net, "optimizer": optimizer, "schedule": schedule, "step": 0, "best": -1.0,
                             "loss": 0.0, "seconds": 0.0, "of": of}  # fmt: skip
    if (folder / CHECKPOINT).exists():
        _load(fabric, folder / CHECKPOINT, state)
        if state["of"] != of:
            raise SettingsError(
                f"{str(folder)!r} holds an unfinished run with other pictures, another teacher, backbone or number of "
                f"processes: choose another folder, or remove {CHECKPOINT} there"
            )
    _shorten_log(folder / LOG, state["step"] // (steps // settings.epochs), fabric)

    # --- steps ---
    keys = Batches(
        len(sources.train), settings.batch, settings.epochs, settings.seed, micro=micro,
        start=state["step"] * settings.accumulate, rank=rank, world=world,
    )  # fmt: skip
    batches = iter(DataLoader(sources.train, batch_sampler=keys, num_workers=workers))
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
                f"the loss became {loss} at step {state['step']}: a smaller rate or precision 32-true help"
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
            accuracy = yield from examine(plain, sources.validation, settings, fabric, workers, "validate")
            if accuracy > state["best"]:
                state["best"] = accuracy
                _save(fabric, folder / BEST, {"net": net})
            state["seconds"] += time.perf_counter() - began
            began = time.perf_counter()
            mean, rate = state["loss"] / (steps // settings.epochs), float(schedule.get_last_lr()[0])
            _log(folder / LOG, fabric, epoch, state["step"], mean, accuracy, rate, state["seconds"])
            state["loss"] = 0.0
        if within % EVERY == 0:
            _save(fabric, folder / CHECKPOINT, state)

    # --- the best of them ---
    _load(fabric, folder / BEST, {"net": net})
    found = {"validation": state["best"]}
    examined = tests and len(sources.test) > 0
    if examined and sources.exam == "classes":
        found["test"] = yield from examine(plain, sources.test, settings, fabric, workers, "test")
    elif examined:
        found |= yield from compare(plain, sources, settings, fabric, workers)
    if fabric.is_global_zero:
        save_parts_net(plain.cpu(), settings, sources, found, folder)
        for name in (CHECKPOINT, BEST):
            (folder / name).unlink(missing_ok=True)
    fabric.barrier()


# --- network ---


def build(settings: Settings, classes: int) -> PartsNet:
    """The network that the settings ask for."""
    return PartsNet(
        named_backbone(settings.backbone, pretrained=settings.pretrained),
        dropout=settings.dropout, checkpointing=settings.checkpointing, **_arguments(settings, classes),
    )  # fmt: skip


def _arguments(settings: Settings, classes: int) -> dict[str, Any]:
    """What a network has to be built with again."""
    return {
        "classes": classes, "pooling": settings.pooling, "count": settings.count, "layer": settings.layer or None,
        "resolution": settings.resolution, "mode": settings.mode, "size": settings.side,
    }  # fmt: skip


def _teacher(settings: Settings, classes: int) -> nn.Module | None:
    """Frozen, in evaluation mode, whatever the student does."""
    if not settings.teacher:
        return None
    teacher = load_model(settings.teacher)
    known = teacher.labels
    if known is not None and len(known) != classes:
        raise SettingsError(f"the teacher {settings.teacher} knows {len(known)} classes, the pictures are of {classes}")
    return teacher.module.eval().requires_grad_(False)


def _start_from(net: PartsNet, teacher: nn.Module, settings: Settings) -> None:
    try:
        net.load_state_dict(teacher.state_dict())
    except RuntimeError as error:
        raise SettingsError(
            f"the network cannot start from {settings.teacher}, whose weights are of another network: "
            "give it the teacher's backbone, pooling and count, or start = 'backbone'"
        ) from error


def loss_of(net: nn.Module, teacher: nn.Module | None, images: Tensor, truth: Tensor, settings: Settings) -> Tensor:
    """Of a micro-batch; the teacher sees the same pictures."""
    known = None
    if teacher is not None:
        with torch.no_grad():
            known = teacher(images).float()
    return distillation(net(images).float(), known, truth, weight=settings.weight, temperature=settings.temperature)


# --- optimizer ---


def make_optimizer(settings: Settings, net: nn.Module) -> Optimizer:
    """By its name."""
    weights = [p for p in net.parameters() if p.requires_grad]
    if settings.optimizer == "sgd":
        return SGD(weights, settings.rate, settings.momentum, weight_decay=settings.decay)
    if settings.optimizer == "adamw":
        return AdamW(weights, settings.rate, weight_decay=settings.decay)
    return Adam(weights, settings.rate, weight_decay=settings.decay, amsgrad=settings.optimizer == "amsgrad")


def rate_at(settings: Settings, steps: int, step: int) -> float:
    """What the rate is multiplied with; "cosine" warms up over a twentieth of the steps."""
    if settings.schedule == "constant":
        return 1.0
    if settings.schedule == "step":
        return float(0.9 ** (step * settings.epochs // steps // 2))
    warm = max(1, steps // 20)
    return min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps))))


# --- examination ---


def examine(
    net: nn.Module, pictures: PictureDataset, settings: Settings, fabric: Fabric, workers: int, phase: Phase
) -> Generator[TrainStep, None, float]:
    """The share of pictures named rightly, in evaluation mode; all processes together.

    The network itself is asked, not its wrapper: shares may differ by a batch, and nobody waits for anybody.
    """
    keys = InOrder(len(pictures), settings.batch, rank=fabric.global_rank, world=fabric.world_size)
    right, seen = torch.zeros(2, device=fabric.device), 0
    training = net.training
    net.eval()
    for images, truth in DataLoader(pictures, batch_sampler=keys, num_workers=workers):
        with torch.inference_mode(), fabric.autocast():
            logits = net(fabric.to_device(images))
        right += torch.tensor([(logits.argmax(1).cpu() == truth).sum(), len(truth)]).to(right)
        seen += len(truth)
        yield TrainStep(phase, seen * fabric.world_size, len(pictures))
    net.train(training)
    total = fabric.all_reduce(right, reduce_op="sum")
    assert isinstance(total, Tensor)
    accuracy = float(total[0] / total[1])
    yield TrainStep(phase, len(pictures), len(pictures), accuracy=accuracy)
    return accuracy


def compare(
    net: PartsNet, sources: DatasetSources, settings: Settings, fabric: Fabric, workers: int
) -> Generator[TrainStep, None, dict[str, float]]:
    """Pictures of classes that were not learnt, compared by their parts, rank by rank and in the best order."""
    pictures, found = sources.test, []
    net.eval()
    for images, _ in DataLoader(pictures, batch_sampler=InOrder(len(pictures), settings.batch), num_workers=workers):
        with torch.inference_mode(), fabric.autocast():
            found.append(net.vectors(fabric.to_device(images)).float().cpu())
        yield TrainStep("test", min(settings.batch * len(found), len(pictures)), len(pictures))
    v, who = torch.cat(found), pictures.targets
    if sources.exam == "few shots":
        shots, queries = 1, min(15, int(who.bincount()[who.unique()].min()) - 1)
        ways = min(5, len(who.unique()))
        share, _ = few_shot_accuracy(v, who, ways=ways, shots=shots, queries=queries, seed=settings.seed)
        yield TrainStep("test", len(pictures), len(pictures), accuracy=share)
        return {f"{ways} ways, {shots} shot": share}
    n, camera = sources.queries, torch.tensor(sources.cameras)
    ways_to_compare = {"": similarities(v[:n], v[n:]).sum(2), ", in any order": order_free(v[:n], v[n:])}
    results = {
        how: retrieval(table, (who[:n], who[n:]), (camera[:n], camera[n:])) for how, table in ways_to_compare.items()
    }
    yield TrainStep("test", len(pictures), len(pictures), accuracy=float(results[""].cmc[0]))
    return {
        f"{name}{how}": value
        for how, result in results.items()
        for name, value in (("rank 1", float(result.cmc[0])), ("mAP", result.map))
    }


# --- files ---


def save_parts_net(
    net: PartsNet, settings: Settings, sources: DatasetSources, found: dict[str, float], folder: Path
) -> Path:
    """brnpa.safetensors and its card; kernels in half precision."""
    arguments = {"backbone": settings.backbone, **_arguments(settings, len(sources.classes))}
    where = {name: Path(getattr(settings, name)).name for name in ("data", "teacher")}  # places mean nothing elsewhere
    card = {
        "data": Path(settings.data).name,
        "recipe": {"code": "foveal.training.brnpa:train", **asdict(settings), **where},
        "accuracy": {name: round(value, 4) for name, value in found.items()},
        "decides": f"by {net.pool.count} vectors in the order of their activity, linearly" if net.pool.count > 1
        else "by one vector, linearly",
        "foveal": __version__,
        **({"finer map and map as built differed, before training, by": round(net.trunk.apart, 4)}
           if net.trunk.apart > 1e-3 else {}),
    }  # fmt: skip
    model = Model(net.eval(), settings.pooling, sources.preprocessing, sources.classes, card, "classes")
    path = folder / "brnpa.safetensors"
    save_model(model, path, architecture="foveal.models.brnpa:PartsNet", arguments=arguments, half=True)
    write_text(folder / "accuracy.json", json.dumps(found, indent=1) + "\n")
    return path


def _fabric(accelerator: str, devices: int | str, nodes: int, strategy: str, precision: str) -> Fabric:
    try:
        from lightning_fabric import Fabric
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "training by parts runs on Lightning Fabric, which is not installed: pip install 'foveal[train]'"
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
        raise SettingsError(f"Lightning Fabric refuses these devices or this precision: {error}") from error
    return fabric


def _claim(folder: Path, settings: Settings, fabric: Fabric) -> None:
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


def _sources(settings: Settings, workers: int) -> Generator[TrainStep, None, DatasetSources]:
    """The pictures, told of while they are drawn."""
    if not settings.drawn:
        return open_folder(settings, load_model(settings.backbone, pretrained=False).preprocessing)
    drawing = open_world(settings, workers)
    while True:
        try:
            yield TrainStep("draw", *next(drawing))
        except StopIteration as end:
            sources: DatasetSources = end.value
            return sources


def _fingerprint(
    settings: Settings, sources: DatasetSources, net: nn.Module, teacher: nn.Module | None, world: int
) -> str:
    """Of everything that decides the outcome: the pictures themselves, the weights it begins with, the teacher."""
    with damage("Cannot read the pictures", ImageError):
        pictures = [part.contents() for part in (sources.train, sources.validation)]
    return fingerprint(
        settings=settings, pictures=pictures, classes=sources.classes, preprocessing=sources.preprocessing, net=net,
        teacher=teacher, processes=world, foveal=__version__,
    )  # fmt: skip


def _save(fabric: Fabric, path: Path, state: dict[str, Any]) -> None:
    """Whole or not at all; of several processes the first one writes."""
    if fabric.is_global_zero:
        with whole_file(path) as aside:
            fabric.save(aside, state)
            with aside.open("rb+") as file:
                seal(file)
    else:
        fabric.save(path, state)
    fabric.barrier()


def _load(fabric: Fabric, path: Path, state: dict[str, Any]) -> None:
    """What was saved, into the state."""
    with going_on(path):
        with opened(path) as file:
            check_seal(file)
        state |= fabric.load(path, state)


def _log(path: Path, fabric: Fabric, *values: float) -> None:
    if fabric.is_global_zero:
        cells = [f"{value:.6g}" if isinstance(value, float) else str(value) for value in values]
        before = read_text(path) if path.exists() else ",".join(COLUMNS) + "\n"
        write_text(path, before + ",".join(cells) + "\n")


def _shorten_log(path: Path, epochs: int, fabric: Fabric) -> None:
    """Only what was finished before the checkpoint: what comes after it will be done again."""
    if fabric.is_global_zero and path.exists():
        with damage(f"Cannot read {str(path)!r}, delete it to begin anew", ResultError):
            lines = read_text(path).splitlines()
        write_text(path, "\n".join(lines[: epochs + 1]) + "\n")
    fabric.barrier()
