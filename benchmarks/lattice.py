"""Do the maps of a flow show the grid of the network's strides, or the image?

    python -m benchmarks.lattice --model tests/real_networks.py:resnet50 --photos ../shared/data/images/imagenet

A stride of 2 leaves a map that is bright at every second position: energy at the frequency 1/2, and at 1/4 from the
stride after the next. Here, at each layer, for the published flow and for `coefficients="difference"`:

    ratio = energy at f / energy around f          f = (j/s, i/s) but for 0; energy = |FFT of the map|²

where s is the distance between neighbors of a coarser stage, in positions of the layer. "At" are the frequency and the
eight bins next to it, which hold the edges of blocks, too; "around" are the other bins up to three further, without
those at other frequencies of the grid. A Hann window keeps the border of the image out. Of the energies, means over
the images, each with weight 1; of the ratios, the mean over j and i, and of that the largest over s. Goal: at most 1.2.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
import typer

import foveal
from foveal.hierarchy.windows import Windows
from foveal.images import load_images

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy.typing import NDArray

GOAL = 1.2
AT, AROUND = 1, 3  # bins
RESAMPLED = 400  # draws of the photos, for the interval
FEWEST = 3  # periods of a grid in a map, at least, to be measured


def lattice_ratio(maps: Float[NDArray[np.float64], "n h w"], period: tuple[int, int]) -> tuple[float, float, float]:
    """Energy at the frequencies of a grid of this period (y, x) beside the energy around, and a 95 % interval."""
    h, w = (size - size % step for size, step in zip(maps.shape[1:], period, strict=True))
    window = np.hanning(h + 1)[:-1, None] * np.hanning(w + 1)[:-1]
    spectra = np.abs(np.fft.fft2(maps[:, :h, :w] * window)) ** 2
    spectra /= np.maximum(spectra.sum((1, 2), keepdims=True), 1e-300)
    places = [(j * h // period[0], i * w // period[1]) for j, i in product(*map(range, period))]
    far = np.stack([_distance(place, (h, w)) for place in places])
    rings = [(near <= AROUND) & (far.min(0) > AT) for near in far]
    kept = [(near <= AT, ring) for near, ring in zip(far[1:], rings[1:], strict=True) if ring.any()]
    at, around = (np.stack([spectra[:, mask].mean(1) for mask in masks], 1) for masks in zip(*kept, strict=True))
    draws = np.random.default_rng(0).integers(0, len(maps), (RESAMPLED, len(maps)))
    each = [float((at[draw].mean(0) / around[draw].mean(0)).mean()) for draw in draws]
    low, high = np.quantile(each, (0.025, 0.975))
    return float((at.mean(0) / around.mean(0)).mean()), float(low), float(high)


def periods(model: foveal.Model, photo: Path) -> dict[str, list[tuple[int, int]]]:
    """Stage -> the distance between neighbors of each coarser stage, in positions of this one, if there are enough."""
    stages = foveal.stages(model, load_images(photo, model.preprocessing).tensor)
    found: dict[str, list[tuple[int, int]]] = {}
    for number, stage in enumerate(stages[:-1]):
        steps = [Windows.between(stage, deeper, None).pool for deeper in stages[number + 1 :]]
        h, w = stage.shape[1:]
        enough = [(y, x) for y, x in steps if max(y, x) > 1 and min(h // y, w // x) >= FEWEST]
        found[stage.name] = list(dict.fromkeys(enough))
    return found


def main(
    model: Annotated[str, typer.Option(help="a network, as --model takes it")] = "demo",
    photos: Annotated[Path, typer.Option(help="a folder of photos")] = Path("photos"),
    count: Annotated[int, typer.Option(help="photos")] = 38,
    threads: int = 2,
) -> None:
    torch.set_num_threads(threads)
    network = foveal.load_model(model)
    files = sorted(photos.glob("*.jpg"))[:count]
    flows = {
        "published": [foveal.flow(network, file) for file in files],
        "difference": [foveal.flow(network, file, coefficients="difference") for file in files],
    }
    print(f"{network.name}, {len(files)} photos: energy at the frequencies of the grid beside the energy around them")
    reached = []
    for layer, steps in periods(network, files[0]).items():
        cells = []
        for name, each in flows.items():
            maps = np.stack([flow.maps[layer][0].double().numpy() for flow in each])
            worst = max(lattice_ratio(maps, step) for step in steps)
            cells.append("{} {:5.2f} [{:.2f}, {:.2f}]".format(name, *worst))
        reached.append(worst[0])
        print(f"{layer:14} {', '.join(cells)}; periods {', '.join(str(max(step)) for step in steps)}")
    said = "reached" if max(reached) <= GOAL else "not reached"
    print(f"difference, largest: {max(reached):.2f}, goal at most {GOAL}: {said}")


def _distance(place: tuple[int, int], size: tuple[int, int]) -> NDArray[np.int_]:
    """Bins from a place of the spectrum to each, along the longer axis; the spectrum is a ring."""
    apart = []
    for at, length in zip(place, size, strict=True):
        straight = np.abs(np.arange(length) - at)
        apart.append(np.minimum(straight, length - straight))
    return np.asarray(np.maximum(apart[0][:, None], apart[1]))


if __name__ == "__main__":
    typer.run(main)
