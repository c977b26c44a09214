"""All labels of a DenseNet-121 beside one forward and a backward a label: `python -m benchmarks.labels`.

The bar: maps of 14 labels of n images in at most 1.2 times a forward and 14 backwards from the scores to the layer, as
one would write them with torch alone, each for all images at once.
"""

from __future__ import annotations

import argparse
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

import foveal
from benchmarks.timing import measure
from foveal.models.extras import import_torchvision

LABELS = 14
NAMES = [f"finding {k}" for k in range(LABELS)]


def network() -> Any:
    torch.manual_seed(0)
    net = import_torchvision().models.densenet121(weights=None)
    net.classifier = nn.Linear(1024, LABELS)
    return net.eval()


def by_hand(net: Any, x: Tensor) -> Tensor:
    """A forward without a graph up to the layer, and a backward a label from the scores to it."""
    with torch.no_grad():
        A = net.features(x)
    A.requires_grad_()
    scores = net.classifier(nn.functional.relu(A).mean((2, 3)))
    maps = []
    for k in range(LABELS):
        (G,) = torch.autograd.grad(scores[:, k].sum(), A, retain_graph=True)
        maps.append((G.mean((2, 3), keepdim=True) * A.detach()).sum(1))
    return torch.stack(maps, 1).flatten(0, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    net, x = network(), torch.randn(asked.images, 3, asked.size, asked.size)

    def ours() -> Tensor:
        return foveal.explain(net, x, foveal.Labels(), labels=NAMES, task="labels").map

    apart = float((ours() - by_hand(net, x)).abs().max() / by_hand(net, x).abs().max())
    seconds = measure({"foveal": ours, "by hand": lambda: by_hand(net, x)}, asked.rounds)
    ratios = [a / b for a, b in zip(seconds["foveal"], seconds["by hand"], strict=True)]
    print(f"{asked.images} images of {asked.size}, {LABELS} labels: maps differ by {apart:.1e} of the largest value")
    print(f"by hand {median(seconds['by hand']):.3f} s, foveal {median(seconds['foveal']):.3f} s")
    print(f"ratio {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}); the bar is 1.2")


if __name__ == "__main__":
    main()
