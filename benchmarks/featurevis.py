"""Are feature images what they are meant to be, and what of the recipe makes them so?

    python -m benchmarks.featurevis                                       # drawn birds, every variant
    python -m benchmarks.featurevis --model tests/real_networks.py:resnet18 --photos ../shared/data/images/pets \
        --transfer tests/real_networks.py:mobilenet_v2 --layer layer4 --facets 3 --steps 80 --variants default …

gain: informative channels against their target. fit: cosine of all features. recall: of the strongest channels. own:
share of images most like their own facet, by this network; transfer: by another. class: share of images whose
facet's most frequent class (as this network sees its photos) is among the top five. slope, saturated, variation:
of the power spectrum (the photos' in brackets), share of values at the ends, gradient length against the photos'.
between: mean distance, 1 − cosine, between facets' feature images in the other network.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor

import foveal
from foveal.api.visualize import optimize
from foveal.featurevis import STILL, ObjectiveWeights, Octave, Schedule
from foveal.featurevis import transfer as transfers
from foveal.featurevis.naturalness import naturalness
from foveal.images import load_images
from foveal.images.folders import pictures_in
from foveal.results.feature_images import FeatureImages
from foveal.synthetic import CLASS_NAMES, class_scene, render

USUAL = ObjectiveWeights()
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "start: noise": {"start": "noise"},
    "start: one photo": {"start": "photo"},
    "no activation maximization": {"objective_weights": replace(USUAL, activation=None)},
    "no distance": {"objective_weights": replace(USUAL, distance_weight=0.0)},
    "no statistics": {"objective_weights": replace(USUAL, statistics=0.0)},
    "no total variation": {"objective_weights": replace(USUAL, smoothness=0.0)},
    "no sparsity": {"objective_weights": replace(USUAL, sparsity=0.0)},
    "dual objective alone": {"objective_weights": replace(USUAL, statistics=0.0, smoothness=0.0, sparsity=0.0)},
    "dual objective alone, noise": {
        "objective_weights": replace(USUAL, statistics=0.0, smoothness=0.0, sparsity=0.0), "start": "noise",
    },
    "still views": {"views": STILL},
    "distance weight 0.3": {"objective_weights": replace(USUAL, distance_weight=0.3)},
    "charbonnier": {"objective_weights": replace(USUAL, distance="charbonnier")},
    "caricature": {"objective_weights": replace(USUAL, activation="caricature")},
    "contrast channels": {"objective_weights": replace(USUAL, channels="contrast")},
    "10 channels": {"objective_weights": replace(USUAL, count=10)},
    "all channels": {"objective_weights": replace(USUAL, count=10_000)},
    "one facet": {"facets": 1},
    "parametrization: pixel": {"parametrization": "pixel"},
    "parametrization: phase": {"parametrization": "phase"},
    "place by place": {"objective_weights": replace(USUAL, spatial=True)},
    "maximization alone, noise": {
        "objective_weights": replace(USUAL, distance_weight=0.0, statistics=0.0, smoothness=0.0, sparsity=0.0),
        "start": "noise",
    },
    "strongest channel alone": {
        "objective_weights": replace(
            USUAL, distance_weight=0.0, statistics=0.0, smoothness=0.0, sparsity=0.0, count=1
        ),
        "start": "noise",
    },
    "near the published code": {"published": True},
    "mean of photos": {"untouched": True},
}  # fmt: skip
COLUMNS = (
    "gain", "fit", "recall", "own %", "transfer %", "class %", "slope", "saturated %", "variation", "between", "s",
)  # fmt: skip


def main(
    model: Annotated[str, typer.Option(help="as --model takes it")] = "demo",
    photos: Annotated[Path | None, typer.Option(help="a folder; drawn birds if left out")] = None,
    transfer: Annotated[str, typer.Option(help="another network")] = "embed",
    layer: Annotated[str, typer.Option()] = "stage3",
    facets: Annotated[int, typer.Option()] = 4,
    each: Annotated[int, typer.Option(help="drawn pictures of each species")] = 10,
    steps: Annotated[int, typer.Option()] = 128,
    variants: Annotated[list[str] | None, typer.Option(help="all if left out")] = None,
    out: Annotated[Path | None, typer.Option(help="sheets go here")] = None,
    threads: int = 1,
) -> None:
    torch.set_num_threads(threads)
    network, other = foveal.load_model(model), foveal.load_model(transfer)
    pictures: Any = (
        [str(file) for file in pictures_in([photos]) if file.suffix == ".jpg"]
        if photos
        else [render(class_scene(CLASS_NAMES[4 * k], 5000 + i))[0] for k in range(facets) for i in range(each)]
    )
    batch = load_images(pictures, network.preprocessing)
    print(f"{len(batch.photos)} pictures, {network.name} at {layer}, {steps} steps, {threads} threads\n")
    print(f"| | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}", flush=True)
    truth = classes_of(network, batch.tensor)
    for name in variants or VARIANTS:
        options = dict(VARIANTS[name])
        schedule = Schedule((Octave(1.0, steps),), patience=0, views=options.pop("views", Schedule().views))
        untouched = options.pop("untouched", False)
        if options.get("published"):
            schedule = replace(schedule, octaves=(Octave(1.0, 2 * steps),))
        run = optimize(network, batch, layer=layer, schedule=schedule, **{"facets": facets, **options})
        started = time.perf_counter()
        for _ in run if not untouched else ():
            pass
        seconds = time.perf_counter() - started
        feature_images = run.result()
        print(f"| {name} | {' | '.join(scores(feature_images, network, other, truth, seconds))} |", flush=True)
        if out:
            out.mkdir(parents=True, exist_ok=True)
            feature_images.figure().save(out / f"{name.replace(' ', '-').replace(':', '')}.png")


def classes_of(network: foveal.Model, x: Tensor) -> list[int]:
    """What the network says of each photo."""
    with torch.no_grad():
        return [int(k) for few in x.split(16) for k in network.module(few).argmax(1)]


def scores(
    feature_images: FeatureImages, network: foveal.Model, other: foveal.Model, truth: list[int], seconds: float
) -> list[str]:
    """One row of the table."""
    seen = transfers.transfer(feature_images, other)
    tops = transfers.answers(feature_images, network, 5)
    right = []
    for one, answers in zip(feature_images, tops, strict=True):
        assert one.facet is not None
        usual = Counter(truth[i] for i in feature_images.facets[one.facet].members).most_common(1)[0][0]
        right.append(usual in [answer.index for answer in answers])
    made = [naturalness(one.image) for one in feature_images]
    real = [naturalness(image) for image in seen_photos(feature_images)]
    variation = np.mean([one.variation for one in made]) / np.mean([one.variation for one in real])
    return [
        f"{np.mean([one.gain for one in feature_images]):.2f}",
        f"{np.mean([one.fit for one in feature_images]):.3f}",
        f"{np.mean([one.recall for one in feature_images]):.2f}",
        f"{100 * feature_images.retrieval():.0f}",
        f"{100 * seen.share:.0f}",
        f"{100 * np.mean(right):.0f}",
        f"{np.mean([one.slope for one in made]):.2f} ({np.mean([one.slope for one in real]):.2f})",
        f"{100 * np.mean([one.saturated for one in made]):.1f}",
        f"{variation:.2f}",
        f"{between(feature_images, other):.3f}",
        f"{seconds:.0f}",
    ]


def seen_photos(feature_images: FeatureImages) -> list[Tensor]:
    """The most typical photos, at the size of the feature images."""
    from foveal.render.feature_images import _seen

    side = feature_images[0].image.shape[-1]
    chosen = [feature_images.photos[i] for facet in feature_images.facets for i in facet.members[:4]]
    return [torch.from_numpy(np.array(_seen(photo, side))).permute(2, 0, 1) / 255 for photo in chosen]


def between(feature_images: FeatureImages, other: foveal.Model) -> float:
    """Mean distance between facets' feature images, in another network's last stage."""
    from foveal.featurevis.network import FeatureNetwork
    from foveal.featurevis.normalization import Normalization
    from foveal.featurevis.transfer import shown_to
    from foveal.models.model import weight_of

    if len(feature_images) < 2:
        return float("nan")
    subject, x = shown_to(feature_images, other)
    feature_network = FeatureNetwork(
        subject.module, Normalization.of(subject.preprocessing, x), weight_of(subject.module)
    )
    at = feature_network.structure.stages[-1].name
    z = torch.nn.functional.normalize(
        feature_network.features(feature_network.normalization.from_input(x), (at,))[at].float(), dim=1
    )
    distances = 1 - z @ z.mT
    return float(distances.sum() / (len(z) * (len(z) - 1)))


if __name__ == "__main__":
    typer.run(main)
