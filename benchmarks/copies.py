"""What a forward pass of altered copies costs beside the network's own pass of as many, and how far its scores are off.

The same for a forward pass and the gradient back to the copies, as SmoothGrad asks for.

    python -m benchmarks.copies                     # torchvision networks with random weights
    python -m benchmarks.copies resnet50 --threads 1 --rounds 15

`engine.inference` folds batch norms into convolutions and lets the channels of a pixel lie side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated

import torch
import typer
from torch import Tensor

from benchmarks.timing import measure, plain_forward, ratios, spread
from foveal.engine.chunks import WHOLE, fitting
from foveal.engine.inference import InferenceForward, way_of
from foveal.models.extras import import_torchvision

NETWORKS = (
    "resnet50", "resnet18", "mobilenet_v2", "densenet121", "efficientnet_b0", "regnet_y_400mf", "shufflenet_v2_x1_0",
    "vgg16_bn", "vgg16", "squeezenet1_1", "convnext_tiny", "swin_t",
)  # fmt: skip


def main(
    networks: Annotated[list[str] | None, typer.Argument(help="of torchvision")] = None,
    threads: int = 2,
    rounds: int = 9,
    side: int = 224,
) -> None:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, {threads} threads, {side}×{side}; median (range) of {rounds} rounds\n")
    print("| network | batch norms folded | × its own pass | scores differ by, of the largest ", end="")
    print("| with gradients, × its own | gradients differ by, of their norm |\n|---|---|---|---|---|---|")
    for name in networks or NETWORKS:
        net = getattr(import_torchvision().models, name)(weights=None).eval().requires_grad_(False)
        x = torch.randn(1, 3, side, side)
        x = x.expand(fitting(x, WHOLE), -1, -1, -1).contiguous()
        ask = InferenceForward(net)
        with torch.no_grad():
            plain, faster = net(x), ask(x, net)
            seconds = measure({"own": partial(plain_forward, net, x), "quick": partial(_asked, ask, net, x)}, rounds)
        way = way_of(net, x)
        folded = sum(call.norm is not None for call in way.calls) if way else 0
        off = float((plain - faster).abs().max() / plain.abs().max())
        print(f"| {name} | {folded} | {spread(ratios(seconds['quick'], seconds['own']))} | {off:.1g} ", end="")
        plain, faster = _gradient(net, x), _gradient(lambda x, ask=ask, net=net: ask(x, net), x)  # type: ignore[misc]
        seconds = measure(
            {
                "own": partial(_gradient, net, x),
                "quick": partial(_gradient, lambda x, ask=ask, net=net: ask(x, net), x),  # type: ignore[misc]
            },
            rounds,
        )
        off = float((plain - faster).norm() / plain.norm())
        print(f"| {spread(ratios(seconds['quick'], seconds['own']))} | {off:.1g} |", flush=True)


def _asked(ask: InferenceForward, net: torch.nn.Module, x: Tensor) -> None:
    with torch.no_grad():
        ask(x, net)


def _gradient(run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(run(leaf)[:, 0].sum(), leaf)[0]


if __name__ == "__main__":
    typer.run(main)
