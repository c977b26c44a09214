"""Every verb on an accelerator: does it say there what it says on the processor, and what does it cost there?

    python -m benchmarks.gpu                          # one accelerator with nothing else on it, five minutes
    python -m benchmarks.gpu --minutes 10 --out gpu.json
    python -m benchmarks.gpu --device cpu --side 64 --batches 1 --batches 2 --network resnet18

First agreement: each question of `gpu_asks`, on the processor and there, in single precision without TF32; then the
first ones again with TF32, for which no bar is set. Then cost: ratios to the plain forward of the same round on the
device, median (range), after one run to warm up, synchronized, in random order; memory is the most that a run adds.
Peers beside, where they are installed. What does not fit into the minutes is a row that says so.

With `--device cpu` the processor stands in: the second answers come from convolutions and products without oneDNN, in
single precision, too. ResNet-50 has random weights, and statistics of noise in its normalization. Writes JSON and a
table in Markdown beside it. Exit code 1: an answer differs by more than its tolerance, or a verb failed.
"""

from __future__ import annotations

import gc
import json
import platform
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import torch
import typer
from torch import nn

import foveal
from benchmarks.gpu_asks import QUESTIONS, Asked, Question, difference
from benchmarks.timing import Action, in_one_line, measure, plain_forward, ratios, spread
from foveal.models.extras import import_torchvision

PLAIN = "plain forward"
NOT_RUN = "not run: no time left"
AGREEING = 0.5  # share of the time for agreement, at most
PEERS = ("Grad-CAM ·", "Grad-CAM++ ·", "LayerCAM ·", "Eigen-CAM ·", "Guided backprop ·", "LRP-ε ·", "Occlusion ·")


@dataclass(frozen=True)
class Agreed:
    """A question on both devices: their difference; `said` instead where it failed or was not run."""

    name: str
    tolerance: float | None
    apart: float | None = None
    said: str = ""

    @property
    def failed(self) -> bool:
        late = self.apart is not None and self.tolerance is not None and not self.apart <= self.tolerance
        return late or (self.apart is None and self.said != NOT_RUN)


@dataclass(frozen=True)
class Cost:
    """What one action took: seconds a round, of the plain forward beside it, and bytes at most."""

    name: str
    batch: int
    seconds: Sequence[float] = ()
    beside: Sequence[float] = ()
    peak: int | None = None
    said: str = ""


class Time:
    """What is left of some minutes."""

    def __init__(self, minutes: float) -> None:
        self._end, self._whole = time.monotonic() + 60 * minutes, 60 * minutes

    def left(self, kept: float = 0.0) -> float:
        """Seconds, without a share that is kept for later."""
        return self._end - time.monotonic() - kept * self._whole


# --- Do both say the same? ------------------------------------------------------------------------------------------


def agreements(here: Asked, device: str, clock: Time, questions: Mapping[str, Question]) -> Iterator[Agreed]:
    """Question by question, then the cheap ones with TF32."""
    there = moved(here, device)
    for name, question in questions.items():
        yield agreement(name, question, here, there, device, clock)
    if device == "cuda":
        for name in list(questions)[:4]:
            with tf32(True):
                found = agreement(name, questions[name], here, there, device, clock)
            yield replace(found, name=f"{name}, with TF32", tolerance=None)


def agreement(name: str, question: Question, here: Asked, there: Asked, device: str, clock: Time) -> Agreed:
    """One question on both; whatever happens is a row."""
    if clock.left(1 - AGREEING) <= 0:
        return Agreed(name, question.tolerance, said=NOT_RUN)
    try:
        first = question.told(question.ask(here.few(question.images)))
        with stand_in() if device == "cpu" else nullcontext():
            second = question.told(question.ask(there.few(question.images)))
        apart = difference(first, second, drawn=question.drawn)
    except Exception as error:  # noqa: BLE001  a verb that fails there is what this looks for
        return Agreed(name, question.tolerance, said=in_one_line(error))
    return Agreed(name, question.tolerance, apart)


def moved(here: Asked, device: str) -> Asked:
    """A copy on the device."""
    model = deepcopy(here.model).to(device)
    return Asked(model, embedding(model), here.x.to(device))


def embedding(model: nn.Module) -> nn.Module:
    """The network without its last layer."""
    body = list(model.children())[:-1]
    flat = [] if isinstance(model, nn.Sequential) else [nn.Flatten()]
    return nn.Sequential(*body, *flat).eval()


@contextmanager
def tf32(on: bool) -> Iterator[None]:
    """Products and convolutions of an accelerator with ten bits, or with all."""
    kinds = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [kind.allow_tf32 for kind in kinds]
    for kind in kinds:
        kind.allow_tf32 = on
    try:
        yield
    finally:
        for kind, was in zip(kinds, before, strict=True):
            kind.allow_tf32 = was


@contextmanager
def stand_in() -> Iterator[None]:
    """The processor, with other sums."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # to switch oneDNN off warns of graphics cards
        with torch.backends.mkldnn.flags(enabled=False):
            yield


# --- What does it cost? ---------------------------------------------------------------------------------------------


def costs(there: Asked, device: str, batch: int, rounds: int, clock: Time, actions: Mapping[str, Action]) -> list[Cost]:
    """All actions with so many images, those that fit into the time."""
    known: dict[str, Cost] = {}
    running: dict[str, Action] = {}
    spent = 0.0
    for name, action in {PLAIN: lambda: plain_forward(there.model, there.x), **actions}.items():
        if name != PLAIN and clock.left() < spent:
            known[name] = Cost(name, batch, said=NOT_RUN)
            continue
        run = finished(action, device)
        try:
            run()
            peak, seconds = once(run, device)
        except Exception as error:  # noqa: BLE001  out of memory, or a package that cannot
            known[name] = Cost(name, batch, said=in_one_line(error))
            tidy(there.model, device)
            continue
        known[name] = Cost(name, batch, peak=peak)
        if name == PLAIN or clock.left() >= spent + seconds * rounds:
            spent += seconds * rounds
            running[name] = run
        else:
            known[name] = replace(known[name], said=f"{seconds:.2f} s, once: no time for rounds")
    taken = measure(running, rounds, warm=True, tidy=lambda: tidy(there.model, device))
    return [
        replace(cost, seconds=taken[name], beside=taken[PLAIN]) if name in taken else cost
        for name, cost in known.items()
    ]


def finished(action: Action, device: str) -> Action:
    """The action, until the device has done what it was told."""

    def run() -> None:
        action()
        if device == "cuda":
            torch.cuda.synchronize()

    return run


def once(run: Action, device: str) -> tuple[int | None, float]:
    """The most memory a run adds, in bytes, and its seconds."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated() if device == "cuda" else 0
    started = time.perf_counter()
    run()
    seconds = time.perf_counter() - started
    return (torch.cuda.max_memory_allocated() - before if device == "cuda" else None), seconds


def tidy(model: nn.Module, device: str) -> None:
    """As it was before: what packages leave in `.grad` is no memory of the next."""
    for weight in model.parameters():
        weight.grad = None
    gc.collect()


def ours(there: Asked, batch: int, questions: Mapping[str, Question], *, at_once: bool) -> dict[str, Action]:
    """The questions that can be asked of many images at once; or the others, of as many images as they need."""
    asked = {
        name: there.few(batch if at_once else question.images)
        for name, question in questions.items()
        if question.any_batch == at_once
    }
    return {
        f"{name} · foveal" if at_once else f"{name}, {len(on.x)} images · foveal": partial(questions[name].ask, on)
        for name, on in asked.items()
    }


def peers(there: Asked, name: str) -> dict[str, Action]:
    """The same methods in other packages; none where these are not installed."""
    try:
        from benchmarks.contenders import CONTENDERS, Subject
        from benchmarks.peers import twin
    except ImportError:
        return {}
    stage = foveal.stages(there.model, there.x[:1])[-1]
    chosen = [each for each in CONTENDERS if each.name.startswith(PEERS) and each.package != "foveal"]
    return {
        each.name: each.build(Subject(name, twin(there.model), there.x.clone(), stage.name, stage.shape[1]))
        for each in chosen
    }


# --- Both ------------------------------------------------------------------------------------------------------------


def calibrated(model: nn.Module, side: int) -> nn.Module:
    """With the statistics of noise in its normalization: random weights alone let activations grow without end."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for module in norms:
        module.momentum = None
    with torch.no_grad():
        model.train()(torch.randn(8, 3, side, side))
    for module in norms:
        module.momentum = 0.1
    return model.eval().requires_grad_(False)


def examined(
    model: nn.Module, name: str, side: int, device: str, batches: Sequence[int], rounds: int, clock: Time,
    questions: Mapping[str, Question] = QUESTIONS, told: Callable[[object], object] = lambda row: None,
) -> tuple[list[Agreed], list[Cost]]:  # fmt: skip
    """All rows; `told` hears each as soon as it is known."""
    agreed, found = [], []
    here = Asked(model, embedding(model), torch.randn(4, 3, side, side))
    with tf32(False):
        for row in agreements(here, device, clock, questions):
            agreed.append(row)
            told(row)
        for number, batch in enumerate(batches):
            there = moved(replace(here, x=torch.randn(max(batch, 4), 3, side, side)), device)
            actions = ours(there, batch, questions, at_once=True) | peers(there.few(batch), name)
            if batch == 1:
                actions |= ours(there, batch, questions, at_once=False)
            share = Time(clock.left() / 60 / (len(batches) - number))
            for cost in costs(there.few(batch), device, batch, rounds, share, actions):
                found.append(cost)
                told(cost)
    return agreed, found


def markdown(agreed: Sequence[Agreed], found: Sequence[Cost], said: str) -> str:
    """Both tables."""
    lines = [said, "", "| on both devices | largest difference / range | tolerance |", "|---|---|---|"]
    for row in agreed:
        apart = row.said or f"{row.apart:.1e}" + (" **too much**" if row.failed else "")
        lines.append(f"| {row.name} | {apart} | {'–' if row.tolerance is None else f'{row.tolerance:g}'} |")
    lines += ["", "| cost | images | ms an image | × plain forward | MiB at most |", "|---|---|---|---|---|"]
    for cost in found:
        peak = "–" if cost.peak is None else f"{cost.peak / 2**20:.0f}"
        if cost.seconds:
            each = f"{1000 * median(cost.seconds) / cost.batch:.2f} | {spread(ratios([*cost.seconds], [*cost.beside]))}"
        else:
            each = f"– | {cost.said}"
        lines.append(f"| {cost.name} | {cost.batch} | {each} | {peak} |")
    return "\n".join(lines) + "\n"


def report(agreed: Sequence[Agreed], found: Sequence[Cost], device: str, about: Mapping[str, Any], out: Path) -> str:
    """Writes both files; returns the tables."""
    card = torch.cuda.get_device_name() if device == "cuda" else f"{platform.machine()}, standing in for one"
    said = f"{card}, torch {torch.__version__}, foveal {foveal.__version__}; " + ", ".join(
        f"{name} {value}" for name, value in about.items()
    )
    text = markdown(agreed, found, said)
    out.write_text(
        json.dumps({
            "device": card, "torch": torch.__version__, "foveal": foveal.__version__, **about,
            "agreement": [{**vars(row), "failed": row.failed} for row in agreed],
            "cost": [vars(cost) for cost in found],
        }, indent=1)
    )  # fmt: skip
    out.with_suffix(".md").write_text(text)
    return text


def main(
    device: Annotated[str, typer.Option(help="cuda or cpu")] = "cuda",
    network: Annotated[str, typer.Option(help="torchvision name")] = "resnet50",
    side: int = 224,
    batches: Annotated[list[int], typer.Option(help="images at once")] = [1, 16, 128],  # noqa: B006
    rounds: int = 9,
    minutes: float = 5.0,
    out: Annotated[Path, typer.Option(help="JSON; the table is beside it")] = Path("gpu.json"),
) -> None:
    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        raise typer.BadParameter(f"there is no {device} here: run it where an accelerator is, or pass --device cpu")
    torch.manual_seed(0)
    clock = Time(minutes)
    model = calibrated(getattr(import_torchvision().models, network)(weights=None), side)
    agreed, found = examined(
        model, network, side, device, batches, rounds, clock, told=lambda row: typer.echo(row, err=True)
    )
    about = {"network": network, "side": side, "rounds": rounds, "minutes": minutes}
    typer.echo(report(agreed, found, device, about, out))
    failed = [row.name for row in agreed if row.failed]
    if failed:
        typer.echo(f"different on the device, or failed there: {'; '.join(failed)}", err=True)
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
