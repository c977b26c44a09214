"""What a forward pass of altered copies costs beside the network's own pass of as many, and how far its scores are off.

    python -m benchmarks.copies                     # torchvision networks with random weights
    python -m benchmarks.copies resnet50 --threads 1 --rounds 15

`engine.inference` folds batch norms into convolutions and lets the channels of a pixel lie side by side.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

import torch
import typer

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
    print("| network | batch norms folded | × its own pass | scores differ by, of the largest |\n|---|---|---|---|")
    for name in networks or NETWORKS:
        net = getattr(import_torchvision().models, name)(weights=None).eval()
        x = torch.randn(1, 3, side, side)
        x = x.expand(fitting(x, WHOLE), -1, -1, -1).contiguous()
        ask = InferenceForward(net)
        with torch.no_grad():
            plain, faster = net(x), ask(x, net)
            seconds = measure({"own": partial(plain_forward, net, x), "quick": partial(_asked, ask, net, x)}, rounds)
        way = way_of(net, x)
        folded = sum(call.norm is not None for call in way.calls) if way else 0
        off = float((plain - faster).abs().max() / plain.abs().max())
        print(f"| {name} | {folded} | {spread(ratios(seconds['quick'], seconds['own']))} | {off:.1g} |", flush=True)


def _asked(ask: InferenceForward, net: torch.nn.Module, x: torch.Tensor) -> None:
    with torch.no_grad():
        ask(x, net)


if __name__ == "__main__":
    typer.run(main)
