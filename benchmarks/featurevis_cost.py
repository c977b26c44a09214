"""What a step of a feature image costs, against a forward and backward to its layer, and through the whole network.

    python -m benchmarks.featurevis_cost
    python -m benchmarks.featurevis_cost --networks vgg16 --layers 2,-1 --batch 2
    python -m benchmarks.featurevis_cost --lucent  # single channels; pip install torch-lucent 'kornia==0.4.1' ipython

"floor": the network as it is, cut by hand at the layer, forward and backward to the image, nothing else. "drawn": the
same from Fourier coefficients over random views, which no step can do without. "whole": the floor, but the network runs
on behind the layer, as with tools that look at a hook. Ratios within a round, their medians.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from typing import Annotated

import torch
import typer
from torch import Tensor, nn

import foveal
from benchmarks.timing import ratios
from foveal.api.visualize import optimize
from foveal.featurevis import Fourier, ObjectiveWeights, Octave, Schedule, Views
from foveal.models import Model
from foveal.models.extras import import_torchvision

LEAN = ObjectiveWeights(statistics=0.0, sparsity=0.0)


class _Reached(Exception):
    """The layer ran."""


def main(
    networks: Annotated[list[str], typer.Option(help="torchvision names")] = ["resnet50", "vgg16"],  # noqa: B006
    layers: Annotated[str, typer.Option(help="stage numbers")] = "1,2,-1",
    batch: int = 2,
    side: int = 224,
    rounds: int = 9,
    threads: int = 1,
    lucent: Annotated[bool, typer.Option(help="race lucent at single channels instead")] = False,
) -> None:
    torch.set_num_threads(threads)
    if lucent:
        race(networks, layers, batch, side, rounds)
        return
    print(f"torch {torch.__version__}, {threads} threads, {platform.machine()}; {batch} images of {side}×{side}\n")
    print(
        "| network, layer | floor, s | drawn / floor | step / floor | pooled terms alone / floor | whole / that |\n",
        "|---|---|---|---|---|---|",
        sep="",
    )
    for name in networks:
        torch.manual_seed(0)
        module = getattr(import_torchvision().models, name)(weights=None).eval()
        subject = Model(module, name, foveal.Preprocessing(size=(side, side)))
        for stage in chosen(subject, layers, side):
            row = costs(subject, stage, batch, side, rounds)
            floor, shown, step, lean, whole = row
            pairs = ((shown, floor), (step, floor), (lean, floor), (whole, lean))
            cells = " | ".join(f"{statistics.median(ratios(*pair)):.2f}" for pair in pairs)
            print(f"| {name}, {stage} | {statistics.median(floor):.3f} | {cells} |", flush=True)


def costs(subject: Model, layer: str, batch: int, side: int, rounds: int) -> list[list[float]]:
    """Seconds of each contender, round by round."""
    x = torch.randn(batch, 3, side, side)
    for p in subject.module.parameters():
        p.requires_grad_(False)
    contenders: list[Callable[[], object]] = [lambda: plain(subject.module, layer, x), drawn(subject.module, layer, x)]
    contenders += [steps_of(subject, layer, x, objective_weights) for objective_weights in (ObjectiveWeights(), LEAN)]
    contenders.append(lambda: plain(subject.module, layer, x, whole=True))
    found: list[list[float]] = [[] for _ in contenders]
    for number in range(rounds + 2):
        for times, contender in zip(found, contenders, strict=True):
            started = time.perf_counter()
            contender()
            if number > 1:
                times.append(time.perf_counter() - started)
    return found


def steps_of(subject: Model, layer: str, x: Tensor, objective_weights: ObjectiveWeights) -> Callable[[], object]:
    """One step of as many feature images as there are images, evaluations left out."""
    schedule = Schedule((Octave(1.0, 100_000),), check=100_000, patience=0)
    steps = iter(
        optimize(
            subject, x, layer=layer, facets=1, seeds=len(x), objective_weights=objective_weights, schedule=schedule
        )
    )
    return lambda: next(steps)


def race(networks: list[str], layers: str, batch: int, side: int, rounds: int) -> None:
    """One channel at a time, Fourier images, usual transforms of each: seconds a step."""
    torchvision = import_torchvision()
    from lucent.optvis import param, render

    print("| network, layer | foveal, s a step | lucent, s a step | lucent / foveal |\n|---|---|---|---|")
    for name in networks:
        torch.manual_seed(0)
        module = getattr(torchvision.models, name)(weights=None).eval()
        subject = Model(module, name, foveal.Preprocessing(size=(side, side)))
        for stage in chosen(subject, layers, side):
            schedule = Schedule((Octave(1.0, 100_000),), check=100_000, patience=0)
            steps = iter(optimize(subject, target=foveal.Neuron(stage, 3), seeds=batch, schedule=schedule))
            ours, theirs = [], []
            for number in range(rounds + 1):
                started = time.perf_counter()
                for _ in range(3):
                    next(steps)
                between = time.perf_counter()
                render.render_vis(
                    module, f"{stage.replace('.', '_')}:3", lambda: param.image(side, batch=batch), thresholds=(3,),
                    show_image=False, progress=False,
                )  # fmt: skip
                if number:
                    ours.append((between - started) / 3)
                    theirs.append((time.perf_counter() - between) / 3)
            a, b = statistics.median(ours), statistics.median(theirs)
            print(f"| {name}, {stage} | {a:.2f} | {b:.2f} | {b / a:.1f} |", flush=True)


def chosen(subject: Model, numbers: str, side: int) -> list[str]:
    """Names of the stages with these numbers."""
    stages = foveal.stages(subject, torch.zeros(1, 3, side, side))
    return [stages[int(number) - (int(number) > 0)].name for number in numbers.split(",")]


def drawn(module: nn.Module, layer: str, x: Tensor) -> Callable[[], object]:
    """From Fourier coefficients over random views to the layer, and back to the coefficients."""
    waves, views = Fourier((x.shape[1], x.shape[2], x.shape[3])), Views()
    generators = [torch.Generator().manual_seed(number) for number in range(len(x))]
    coefficients = torch.stack([waves.noise(generator) for generator in generators]).requires_grad_()

    def step() -> Tensor:
        A = reached(module, layer, views(waves.image(coefficients), generators))
        return torch.autograd.grad(A.mean(), coefficients)[0]

    return step


def plain(module: nn.Module, layer: str, x: Tensor, *, whole: bool = False) -> Tensor:
    """Forward to the layer and backward to the image."""
    x = x.clone().requires_grad_()
    return torch.autograd.grad(reached(module, layer, x, whole=whole).mean(), x)[0]


def reached(module: nn.Module, layer: str, x: Tensor, *, whole: bool = False) -> Tensor:
    """What the layer makes of x; the forward ends there, or goes on."""
    kept: list[Tensor] = []

    def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        kept.append(output)
        if not whole:
            raise _Reached

    handle = module.get_submodule(layer).register_forward_hook(hook)
    try:
        module(x)
    except _Reached:
        pass
    finally:
        handle.remove()
    return kept[0]


if __name__ == "__main__":
    typer.run(main)
