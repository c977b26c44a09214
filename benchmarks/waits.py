"""What a person waits for, beside the goal set for it: as a multiple of the network's own forward pass.

    python -m benchmarks.waits                         # about fifteen minutes on two cores
    python -m benchmarks.waits --rows audit --rows lrp --rounds 9
    python -m benchmarks.waits --random                # without the data folder: random weights, drawn images

ResNet-50, one photo of 224 × 224 pixels, trained where the data folder is there (`FOVEAL_DATA`). Each run of a row
stands between plain forward passes of its own round; medians and ranges of rounds. What is asked once in the life of a
process is measured in a new process each round.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import torch
import typer
from PIL import Image
from rich.console import Console
from rich.table import Table
from tests import real_networks
from torch import Tensor

import foveal
from benchmarks import featurevis_cost
from benchmarks.alone import in_one_line
from benchmarks.contenders import CONTENDERS, Contender, Subject
from benchmarks.timing import Action, duration, plain_forward, spread
from foveal.engine.guard import untouched
from foveal.images import load_images
from foveal.models import Model
from foveal.models.extras import import_torchvision
from foveal.synthetic import demo_scenes
from foveal.synthetic.drawing import render

BESIDE = 3
"""Plain forward passes before and after each run."""

FIRST = """
import statistics, sys, time
import torch
torch.set_num_threads(int(sys.argv[1]))
from foveal.models.extras import import_torchvision
model = getattr(import_torchvision().models, sys.argv[2])(weights=None).eval()
x = torch.randn(1, 3, 224, 224)
def forward():
    began = time.perf_counter()
    with torch.no_grad():
        model(x)
    return time.perf_counter() - began
forward()
plain = [forward() for _ in range(5)]
began = time.perf_counter()
import foveal
foveal.explain(model, x)
taken = time.perf_counter() - began
print(taken / statistics.median(plain + [forward() for _ in range(5)]))
"""


@dataclass
class Setup:
    """The network and the photo that rows are about."""

    random: bool
    rounds: int
    threads: int

    @cached_property
    def model(self) -> Model:
        if not self.random:
            return real_networks.resnet50()
        return network("resnet50")

    @cached_property
    def files(self) -> list[Path]:
        """Two photos."""
        if not self.random:
            return sorted((real_networks.expected_folder() / "images" / "imagenet").glob("*.jpg"))[:2]
        folder = Path(tempfile.mkdtemp())
        for number, scene in enumerate(demo_scenes()[:2]):
            Image.fromarray(render(scene)[0]).save(folder / f"{number}.png")
        return sorted(folder.iterdir())

    @cached_property
    def x(self) -> Tensor:
        return load_images(self.files[0], self.model.preprocessing).tensor

    def beside(self, action: Action, *, warm: int = 1) -> list[float]:
        """The action, round by round, over the plain forward passes around it."""
        for _ in range(warm):
            action()
        return [self.ratio(action, self.model.module, self.x) for _ in range(self.rounds)]

    def ratio(self, action: Action, module: Any, x: Tensor) -> float:
        forwards = [duration(lambda: plain_forward(module, x)) for _ in range(BESIDE)]
        taken = duration(action)
        forwards += [duration(lambda: plain_forward(module, x)) for _ in range(BESIDE)]
        return taken / median(forwards)


@dataclass(frozen=True)
class Row:
    """One wait.

    Attributes:
        goal: at most, in the unit of what `run` gives.
        run: one number a round.
        unit: "×" of the plain forward pass, "s", or another name.
    """

    name: str
    goal: float | None
    run: Callable[[Setup], list[float]]
    unit: str = "×"


def network(name: str) -> Model:
    torch.manual_seed(0)
    module = getattr(import_torchvision().models, name)(weights=None).eval()
    return Model(module, name, foveal.Preprocessing(size=(224, 224)), tuple(f"class {i}" for i in range(1000)))


# --- Rows -----------------------------------------------------------------------------------------------------------


def first(s: Setup) -> list[float]:
    """A new process each round; from after `import torch` and plain forward passes, imports of ours included.

    The package is compiled, as where it is installed: by a first process that is not counted.
    """
    command = [sys.executable, "-c", FIRST, str(s.threads), "resnet50"]
    compiling = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    runs = [
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, env=compiling)
        for _ in range(s.rounds + 1)
    ]
    return [float(run.stdout.split()[-1]) for run in runs[1:]]


def new_shape(s: Setup) -> list[float]:
    """Each round has a size that the network was never explained at; beside plain forward passes of that size."""
    foveal.explain(s.model, s.x)
    found = []
    for number in range(s.rounds):
        x = torch.nn.functional.interpolate(s.x, (224 + 32 * (number % 3), 192 + 2 * number), mode="bilinear")
        plain_forward(s.model.module, x)
        found.append(s.ratio(lambda x=x: foveal.explain(s.model, x), s.model.module, x))  # type: ignore[misc]
    return found


def of_mobilenet(package: str) -> Callable[[Setup], list[float]]:
    """Grad-CAM of one image; short, hence three times as many rounds."""

    def run(s: Setup) -> list[float]:
        module = network("mobilenet_v2").module
        action = contender("Grad-CAM", package).build(Subject("mobilenet_v2", module, s.x, "features", 1280))
        for _ in range(3):
            action()
        return [s.ratio(action, module, s.x) for _ in range(3 * s.rounds)]

    return run


def audited(draws: int | None) -> Callable[[Setup], list[float]]:
    def run(s: Setup) -> list[float]:
        why = foveal.explain(s.model, s.x)
        told: dict[str, Any] = {} if draws is None else {"draws": draws}
        return s.beside(lambda: foveal.audit(s.model, s.x, explanations=why, **told))

    return run


def measured(baseline_maps: bool) -> Callable[[Setup], list[float]]:
    def run(s: Setup) -> list[float]:
        return s.beside(
            lambda: foveal.measure(s.model, s.x, explanations="gradcam", baseline_maps=baseline_maps), warm=0
        )

    return run


def explained(method: str, **also: Any) -> Callable[[Setup], list[float]]:
    return lambda s: s.beside(lambda: foveal.explain(s.model, s.x, method=method, **also))


def by_peer(method: str, package: str) -> Callable[[Setup], list[float]]:
    def run(s: Setup) -> list[float]:
        subject = Subject("resnet50", s.model.module, s.x, "layer4", 2048)
        return s.beside(contender(method, package).build(subject))

    return run


def by_hand(s: Setup) -> list[float]:
    """The gradient of a score to the input, which no method that goes back there can do without."""

    def run() -> None:
        with untouched(s.model.module):
            x = s.x.clone().requires_grad_()
            torch.autograd.grad(s.model.module(x).amax(), x)

    return s.beside(run)


def step(stage: str) -> Callable[[Setup], list[float]]:
    """A step of a feature image over a forward and backward pass to its layer, cut there by hand."""

    def run(s: Setup) -> list[float]:
        floor, steps, *_ = featurevis_cost.costs(network("resnet50"), stage, 2, 224, s.rounds)
        return [a / b for a, b in zip(steps, floor, strict=True)]

    return run


def page(until: str) -> Callable[[Setup], list[float]]:
    """Seconds of `foveal compare`, two photos and four methods, from the command to its first numbers or to its end."""

    def run(s: Setup) -> list[float]:
        return [
            row if until == "first numbers" else end for row, end in (compared(s) for _ in range(max(1, s.rounds // 3)))
        ]

    return run


def compared(s: Setup) -> tuple[float, float]:
    model = "torchvision:resnet50" if s.random else f"{real_networks.__file__}:resnet50"
    random = ["--no-pretrained"] if s.random else []
    with tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "foveal",
            "compare",
            *map(str, s.files),
            "--model",
            model,
            *random,
            "--out",
            out,
        ]
        first_row = None
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "200"}
        ) as process:
            assert process.stderr
            for line in process.stderr:
                if first_row is None and "gradcam" in line:
                    first_row = time.perf_counter() - began
        if process.returncode or first_row is None:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}, and its rows were not seen")
        return first_row, time.perf_counter() - began


def contender(method: str, package: str) -> Contender:
    return next(one for one in CONTENDERS if (one.method, one.package) == (method, package))


ROWS = (
    Row("first explanation of a process", 4, first),
    Row("first explanation at a new input shape", 1.3, new_shape),
    Row("Grad-CAM, MobileNetV2", 1.08, of_mobilenet("foveal")),
    Row("Grad-CAM, MobileNetV2, torchcam", None, of_mobilenet("torchcam")),
    Row("audit, as it comes", None, audited(None)),
    Row("audit, 12 controls", 15, audited(12)),
    Row("audit, 20 controls", 24, audited(20)),
    Row("measure, usual metrics, with baseline maps", 120, measured(True)),
    Row("measure, usual metrics", 40, measured(False)),
    Row("compare, 2 photos × 4 methods: first numbers", 5, page("first numbers"), "s"),
    Row("compare, 2 photos × 4 methods: the page", 25, page("end"), "s"),
    Row("gradient to the input, by hand", None, by_hand),
    Row("LRP-γ", 4, explained("lrp-gamma", layer="input")),
    Row("LRP-z⁺", 4, explained("lrp-zplus", layer="input")),
    Row("LRP-αβ", 4, explained("lrp-alphabeta", layer="input")),
    Row("feature image: a step at the stem", 1.2, step("relu"), "× to the layer"),
    Row("feature image: a step at layer1", 1.2, step("layer1"), "× to the layer"),
    Row("guided backprop", 2.1, explained("guidedbackprop", layer="input")),
    Row("guided backprop, Captum", None, by_peer("Guided backprop", "Captum")),
)


def main(
    rows: Annotated[list[str], typer.Option(help="rows whose name has this in it; all")] = [],  # noqa: B006
    rounds: Annotated[int, typer.Option(help="counted rounds")] = 5,
    threads: Annotated[int, typer.Option(help="threads torch may use")] = 2,
    random: Annotated[bool, typer.Option(help="random weights and drawn images")] = False,
) -> None:
    torch.set_num_threads(threads)
    setup = Setup(random or real_networks.data_folder() is None, rounds, threads)
    console = Console(width=110)
    weights = "random weights" if setup.random else "trained"
    console.print(
        f"torch {torch.__version__}, {threads} threads, {platform.machine()}; ResNet-50, {weights}, 224×224, one "
        f"photo; median (range) of {rounds} rounds"
    )
    table = Table("", "measured", "goal", "")
    for row, found in measure_rows(rows, setup):
        missed = row.goal is not None and median(found) > row.goal if isinstance(found, list) else True
        told = f"{spread(found)} {row.unit}" if isinstance(found, list) else found
        goal = "" if row.goal is None else f"≤ {row.goal:g} {row.unit}"
        table.add_row(row.name, told, goal, "missed" if missed else "")
        print(f"{row.name}: {told}", file=sys.stderr, flush=True)
    console.print(table)


def measure_rows(names: list[str], setup: Setup) -> Iterator[tuple[Row, list[float] | str]]:
    for row in ROWS:
        if not names or any(name.lower() in row.name.lower() for name in names):
            try:
                yield row, row.run(setup)
            except Exception as failure:  # noqa: BLE001, a row that fails says so
                yield row, in_one_line(failure)


if __name__ == "__main__":
    typer.run(main)
