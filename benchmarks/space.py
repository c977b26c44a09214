"""What Grad-CAM of signals and volumes costs: beside a forward and backward pass by hand, and in passes counted.

    python -m benchmarks.space

Times are medians in seconds of one thread. Ratios are to the plain forward, medians over runs next to each other, so
that other work on the machine counts little; "by hand" is the ratio of passes written by hand. Forward passes are
counted at the first convolution.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

import foveal
from foveal.models.extras import import_torchvision

ROUNDS = 5


def main() -> None:
    """A row for each video network of torchvision, with random weights."""
    import_torchvision()
    from torchvision.models import video

    torch.set_num_threads(1)
    x = torch.randn(1, 3, 8, 56, 56)
    print(f"{'network':12} {'layer':8} {'forward':>8} {'Grad-CAM':>9} {'ratio':>6} {'by hand':>8} {'forwards':>8}")
    for name in ("r3d_18", "mc3_18", "r2plus1d_18"):
        torch.manual_seed(0)
        net = getattr(video, name)(weights=None).eval()
        for layer in ("layer4", "layer3"):
            explain = _explaining(net, x, layer)
            explain()  # traces the network
            count = _count(net, explain)
            plain, cam, hand = _times(_forward(net, x), explain, _by_hand(net, x, layer))
            medians = f"{statistics.median(plain):8.3f} {statistics.median(cam):9.3f}"
            print(f"{name:12} {layer:8} {medians} {_ratio(cam, plain):6.2f} {_ratio(hand, plain):8.2f} {count:8d}")


def _explaining(net: nn.Module, x: Tensor, layer: str) -> Callable[[], object]:
    return lambda: foveal.explain(net, x, foveal.Class(7), layer=layer, task="classes")


def _forward(net: nn.Module, x: Tensor) -> Callable[[], object]:
    def forward() -> object:
        with torch.no_grad():
            return net(x)

    return forward


def _by_hand(net: nn.Module, x: Tensor, layer: str) -> Callable[[], object]:
    """Forward with the graph from the layer on, and the backward pass to it."""

    def run() -> object:
        kept: list[Tensor] = []

        def keep(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
            kept.append(output.detach().requires_grad_())
            return kept[0]

        hook = net.get_submodule(layer).register_forward_hook(keep)
        frozen = [p for p in net.parameters() if p.requires_grad]
        for p in frozen:
            p.requires_grad_(False)
        (G,) = torch.autograd.grad(net(x)[:, 7].sum(), kept[0])
        for p in frozen:
            p.requires_grad_()
        hook.remove()
        return (G.mean((2, 3, 4), keepdim=True) * kept[0]).sum(1)

    return run


def _count(net: nn.Module, run: Callable[[], object]) -> int:
    """Forward passes in which the first convolution runs."""
    calls: list[int] = []
    first = next(m for m in net.modules() if isinstance(m, nn.Conv3d))
    own = first.forward
    first.forward = lambda x: (calls.append(1), own(x))[1]  # type: ignore[method-assign]
    try:
        run()
    finally:
        del first.forward
    return len(calls)


def _ratio(times: list[float], plain: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(times, plain, strict=True))


def _times(*runs: Callable[[], object]) -> list[list[float]]:
    """In turns."""
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(ROUNDS):
        for own, run in zip(times, runs, strict=True):
            began = time.perf_counter()
            run()
            own.append(time.perf_counter() - began)
    return times


if __name__ == "__main__":
    main()
