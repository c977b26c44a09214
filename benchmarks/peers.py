"""What the same explanation costs in other packages: same network, weights, images and threads.

    python -m benchmarks.peers                                       # ten minutes on two cores
    python -m benchmarks.peers --networks resnet50 --batches 1 --methods lrp --rounds 9
    python -m benchmarks.peers --slow --methods score-cam --methods ablation      # an hour or two

What takes a few forwards is run in rounds, all in random order; a ratio is to the plain forward of the same round.
What takes many forwards is run alone, in a process of its own, beside plain forwards before and after; if they are more
than `MANY` in all, only with --slow. Memory is what one run adds to a process that has loaded the network (`alone.py`).
A contender that fails is a row that says so.
"""

from __future__ import annotations

import gc
import os
import platform
import warnings
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from importlib.metadata import version
from statistics import median
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import nn

import foveal
from benchmarks.alone import Run, Setting, alone
from benchmarks.contenders import CONTENDERS, Contender, Subject
from benchmarks.timing import Action, in_one_line, measure, ratios, spread

HEADINGS = ("method", "package", "ms per image", "× plain forward pass", "× its forward passes", "MiB added")
MANY = 100


@dataclass(frozen=True)
class Row:
    """What is known of a contender: seconds a round, those of the plain forward beside them, and one run alone."""

    contender: Contender
    seconds: list[float]
    beside: list[float]
    alone: Run | None
    failure: str | None = None

    def cells(self, subject: Subject) -> tuple[str, ...]:
        added = "–" if self.alone is None or self.alone.added is None else f"{self.alone.added / 2**20:.0f}"
        who = (self.contender.method, self.contender.package)
        if self.failure:
            return (*who, "–", self.failure, "–", "–")
        forwards = self.contender.forwards
        each = spread(ratios(self.seconds, self.beside, forwards(subject))) if forwards else "–"
        milliseconds = f"{median(self.seconds) / len(subject.x) * 1000:.1f}"
        return (*who, milliseconds, spread(ratios(self.seconds, self.beside)), each, added)


def rows(subject: Subject, setting: Setting, chosen: list[int], rounds: int, memory: bool) -> Iterator[Row]:
    """The contenders in the order of the field."""
    runs = {i: told(setting, i) for i in chosen if memory or CONTENDERS[i].forwards}
    failures = {i: run.failure for i, run in runs.items() if run.failure}
    quick = [i for i in chosen if not CONTENDERS[i].forwards and i not in failures]
    seconds, more = race(subject, quick, rounds)
    failures |= more
    for i in chosen:
        run, contender = runs.get(i), CONTENDERS[i]
        if i in failures:
            yield Row(contender, [], [], run, failures[i])
        elif contender.forwards and run:
            yield Row(contender, [run.seconds], [run.beside], run)
        else:
            yield Row(contender, seconds[contender.name], seconds[CONTENDERS[0].name], run)


def told(setting: Setting, i: int) -> Run:
    """A run alone; what is going on goes to stderr, as some take minutes."""
    Console(stderr=True).print(f"{setting.network}, batch {setting.batch}: {CONTENDERS[i].name}", style="dim")
    return alone(setting, i)


def race(subject: Subject, quick: list[int], rounds: int) -> tuple[dict[str, list[float]], dict[int, str]]:
    """The seconds of each round, by name, and what failed, by number."""
    actions: dict[str, Action] = {}
    failures: dict[int, str] = {}
    for i in quick:
        action = CONTENDERS[i].build(replace(subject, model=twin(subject.model), x=subject.x.clone()))
        try:
            action()
        except Exception as error:  # noqa: BLE001  whatever a package does to itself is a row of the table
            failures[i] = in_one_line(error)
        else:
            actions[CONTENDERS[i].name] = action

    def tidy() -> None:
        for weight in subject.model.parameters():
            weight.grad = None
        gc.collect()

    return measure(actions, rounds, warm=True, tidy=tidy), failures


def twin(model: nn.Module) -> nn.Module:
    """Modules of its own, for packages that change them; the same weights."""
    shared = [*model.parameters(), *model.buffers()]
    return deepcopy(model, {id(tensor): tensor for tensor in shared})


def choose(subject: Subject, methods: list[str], slow: bool) -> list[int]:
    """The plain forward, and the contenders with one of these words in their name."""
    wanted = [word.lower() for word in methods]
    return [
        i
        for i, contender in enumerate(CONTENDERS)
        if (slow or contender.forwards is None or contender.forwards(subject) * len(subject.x) <= MANY)
        and (i == 0 or not wanted or any(word in contender.name.lower() for word in wanted))
    ]


def show(title: str, cells: list[tuple[str, ...]], console: Console) -> None:
    table = Table(title=title, title_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in HEADINGS[:2] else "right")
    for here, following in zip(cells, [*cells[1:], None], strict=True):
        table.add_row(*here, end_section=following is None or following[0] != here[0])
    console.print(table)


def write_markdown(title: str, cells: list[tuple[str, ...]]) -> None:
    lines = [HEADINGS, ("---",) * 2 + ("---:",) * 4, *cells]
    print(f"\n**{title}**\n", *(f"| {' | '.join(line)} |" for line in lines), sep="\n")


def main(
    networks: Annotated[list[str], typer.Option(help="torchvision names")] = ["resnet50", "mobilenet_v2"],  # noqa: B006
    batches: Annotated[list[int], typer.Option(help="images at once")] = [1, 16],  # noqa: B006
    methods: Annotated[list[str], typer.Option(help="words of the rows wanted: lrp, cam, occlusion, zennit")] = [],  # noqa: B006
    rounds: Annotated[int, typer.Option(help="counted rounds after those to warm up")] = 3,
    threads: Annotated[int, typer.Option(help="threads torch may use")] = 2,
    slow: Annotated[bool, typer.Option(help=f"also what takes more than {MANY} forwards")] = False,
    memory: Annotated[bool, typer.Option(help="also the memory added, one process a row")] = True,
    markdown: Annotated[bool, typer.Option(help="tables for a page of docs")] = False,
) -> None:
    os.environ["TQDM_DISABLE"] = "1"
    warnings.simplefilter("ignore")
    torch.set_num_threads(threads)
    console = Console(width=130)
    packages = ", ".join(f"{name} {version(name)}" for name in ("grad-cam", "torchcam", "captum", "zennit"))
    print(f"torch {torch.__version__}, {threads} threads, {platform.machine()}; median (range) of {rounds} rounds")
    print(f"foveal {foveal.__version__}, {packages}")
    for name in networks:
        for batch in batches:
            setting = Setting.of(name, batch, threads)
            subject = setting.load()
            each = rows(subject, setting, choose(subject, methods, slow), rounds, memory)
            cells = [row.cells(subject) for row in each]
            title = f"{name}, batch {batch}, 224×224, {setting.layer}"
            if markdown:
                write_markdown(title, cells)
            else:
                show(title, cells, console)


if __name__ == "__main__":
    typer.run(main)
