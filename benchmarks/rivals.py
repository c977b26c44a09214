"""Does the map of a class against its rivals mark what tells them apart? Real birds, by blurring what the map marks.

For each photo whose species the network predicts: Grad-CAM of the class and of the class against its rivals, each by
itself; the strongest share of the map is blurred, and the network asked again. The rivals are the three next species.

    odds      fall of the probability of the species among it and its rivals
    lead      fall of its logit less the mean fall of the rivals' logits
    logit     fall of its logit

    FOVEAL_DATA=…/data python -m benchmarks.rivals --shares 0.05 0.2
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from tests.real_networks import birds, expected_folder
from torch import Tensor
from torch.nn import functional

import foveal
from foveal.images import load_images
from foveal.metrics.baselines import baseline
from foveal.metrics.statistics import summary

TARGETS = {
    "the class": foveal.Class(),
    "against, strength 0.6": foveal.Against(),
    "against, strength 1": foveal.Against(strength=1),
    "the margin": foveal.Margin(),
}
NUMBERS = ("odds", "lead", "logit")


def photos() -> list[tuple[Path, int]]:
    """Each photo of a species that the network knows, and its class."""
    folder = expected_folder() / "images" / "birds"
    with (folder / "index.csv").open(encoding="utf-8") as file:
        rows = [(folder / row["file"], int(row["inat_bird_class"])) for row in csv.DictReader(file)]
    return [(path, index) for path, index in rows if index >= 0]


def numbers(logits: Tensor, index: int, rivals: Tensor) -> Tensor:
    """(3,), as `NUMBERS`."""
    own, others = logits[index], logits[rivals]
    return torch.stack([(own - others.logsumexp(0)).sigmoid(), own - others.mean(), own])


def hidden(x: Tensor, map: Tensor, share: float) -> Tensor:
    """The image with the strongest share of the map's pixels blurred."""
    fine = functional.interpolate(map[None, None], x.shape[2:], mode="bilinear")[0, 0]
    marked = torch.zeros(fine.numel(), dtype=torch.bool)
    marked[fine.flatten().topk(round(share * fine.numel())).indices] = True
    return torch.where(marked.view(1, 1, *fine.shape), baseline(x, "blur"), x)


def main() -> None:
    """Prints a row a target, share and number: the mean fall with an interval, and in how many photos it is larger."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.05, 0.2])
    shares = parser.parse_args().shares
    model = birds()
    falls: dict[tuple[str, float], list[list[float]]] = {(name, share): [] for name in TARGETS for share in shares}
    for path, index in photos():
        x = load_images(path, model.preprocessing).tensor
        with torch.no_grad():
            logits = model.module(x)[0]
        order = logits.argsort(descending=True)
        if int(order[0]) != index:
            continue
        rivals, whole = order[1:4], numbers(logits, index, order[1:4])
        for name, target in TARGETS.items():
            map = foveal.explain(model, x, target).map[0]
            with torch.no_grad():
                changed = model.module(torch.cat([hidden(x, map, share) for share in shares]))
            for share, row in zip(shares, changed, strict=True):
                falls[name, share].append((whole - numbers(row, index, rivals)).tolist())
    for share in shares:
        plain = np.array(falls["the class", share])
        print(f"{len(plain)} photos, {share:.0%} of the pixels blurred")
        for name in TARGETS:
            own = np.array(falls[name, share])
            for k, number in enumerate(NUMBERS):
                gain = own[:, k] - plain[:, k]
                low, high = (known := summary(gain)).low, known.high
                print(
                    f"  {name:22s} {number:6s} {own[:, k].mean():7.3f}   less the class's {gain.mean():+.3f} "
                    f"[{low:+.3f}, {high:+.3f}]   larger in {(gain > 0).sum()}, smaller in {(gain < 0).sum()}"
                )


if __name__ == "__main__":
    main()
