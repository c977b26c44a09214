"""Attention by ranked parts on photos: fine-grained species and breeds, five folds, three poolings of one trunk.

    python -m benchmarks.real_parts ../shared/data
    python -m benchmarks.real_parts ../shared/data --only pets --backbone resnet50 --no-attention --curves 0

The trunk, trained on ImageNet, stays frozen: its maps are computed once, at its own resolution and twice as fine, each
photo as it is and mirrored, and only the pooling and the linear head are trained on them. "average": the mean over
positions; "brnpa": three ranked parts; "brnpa, finer": the same on maps twice as fine, distilled from "brnpa";
"attention": learned maps, B-CNN style. All with the same settings; nothing is chosen by test photos. Each photo is
tested by the fold that did not learn from it.

Maps explain the predicted class against the runner-up. "hit": the highest position lies on the object; "share": of the
positive evidence; "area": what a constant map would have. The object is the silhouette (pets) or the box (60 of the
birds). "deletion": area under the curve of the pair's probability, on a grid of 14 × 14 cells; "below random": how much
lower it is than with a random map of the same network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

import foveal
from benchmarks.real_photos import RealPhoto, birds, folds, on_object, pets
from benchmarks.verdicts import cell, compared
from foveal.images import Batch, Place, load_images
from foveal.images.place import laid
from foveal.metrics import deletion
from foveal.metrics.baseline_maps import baseline_map_of_photo
from foveal.models.brnpa import PartsNet
from foveal.training.brnpa_data import Batches
from foveal.training.brnpa_network import loss_of, make_optimizer, rate_at
from foveal.training.settings import Settings

GRID, STEPS, FINER = 14, 10, 2
AVERAGE, PARTS, FINE, ATTENTION = "average", "brnpa", "brnpa, finer", "attention"
BASE = (AVERAGE, "Grad-CAM")
SETTINGS = Settings(
    backbone="ImageNet", optimizer="adamw", rate=1e-3, decay=0.02, schedule="cosine", epochs=30, batch=12
)
Find = Callable[[foveal.Model, Batch], tuple[Tensor, Place | None]]


class OnMaps(nn.Module):
    """Pooling and head of a `PartsNet`, for maps that its trunk made; every `step`-th position of them."""

    def __init__(self, net: PartsNet, step: int = 1) -> None:
        super().__init__()
        self.pool, self.drop, self.head, self.step = net.pool, net.drop, net.head, step

    def forward(self, F: Tensor) -> Tensor:
        logits: Tensor = self.head(self.drop(self.pool(F[..., :: self.step, :: self.step])))
        return logits


def explained(method: str) -> Find:
    def find(model: foveal.Model, batch: Batch) -> tuple[Tensor, Place | None]:
        why = foveal.explain(model, batch, foveal.Margin(), method=method, layer=trunk_layer(model))
        return why.map[0], why.where.get(why.layer)

    return find


def parted(which: Literal["first", "evidence", "norm"], **options: Any) -> Find:
    def find(model: foveal.Model, batch: Batch) -> tuple[Tensor, Place | None]:
        own = isinstance(model.module, PartsNet) and model.module.pool.count > 1
        about = options if own else {**options, "layer": trunk_layer(model)}
        found = foveal.parts(model, batch, foveal.Margin(), **about)
        maps = {"first": found.map, "evidence": found.places, "norm": found.groups.norm}
        return maps[which][0], found.where.get(found.layer)

    return find


def learned(model: foveal.Model, batch: Batch) -> tuple[Tensor, Place | None]:
    """The mean of a network's own attention maps."""
    net = model.module
    assert isinstance(net, PartsNet)
    with torch.inference_mode():
        maps = net.pool.group(net.trunk(batch.tensor)).maps[0].mean(0)
    return maps.clone(), explained("gradcam")(model, batch)[1]


def random_map(model: foveal.Model, batch: Batch) -> tuple[Tensor, Place | None]:
    return torch.from_numpy(baseline_map_of_photo("random", batch.photos[0].pixels)).float(), None


def trunk_layer(model: foveal.Model) -> str:
    net = model.module
    assert isinstance(net, PartsNet)
    return f"trunk.network.{net.trunk.layer}"


ROWS: tuple[tuple[str, str, Find], ...] = (
    (AVERAGE, "activation map", parted("norm")),
    (AVERAGE, "Grad-CAM", explained("gradcam")),
    (AVERAGE, "evidence, resolution 2", parted("evidence", resolution=FINER)),
    (PARTS, "first part", parted("first")),
    (PARTS, "evidence", parted("evidence")),
    (FINE, "first part", parted("first")),
    (FINE, "evidence", parted("evidence")),
    (ATTENTION, "learned maps", learned),
    (ATTENTION, "HiResCAM", explained("hirescam")),
)


@dataclass
class Scores:
    """By photo, NaN where not measured."""

    hit: list[float] = field(default_factory=list)
    share: list[float] = field(default_factory=list)
    deletion: list[float] = field(default_factory=list)
    gain: list[float] = field(default_factory=list)


def networks(backbone: foveal.Model, classes: int, attention: bool) -> dict[str, PartsNet]:
    """One of each pooling; the trunk is the same."""

    def build(pooling: Any, resolution: int = 1) -> PartsNet:
        net = PartsNet(
            deepcopy(backbone.module), classes, pooling=pooling, resolution=resolution,
            size=backbone.preprocessing.size[0],
        )  # fmt: skip
        net.trunk.requires_grad_(False)
        return net.eval()

    found = {AVERAGE: build("average"), PARTS: build("brnpa"), FINE: build("brnpa", FINER)}
    return {**found, ATTENTION: build("attention")} if attention else found


def trunk_maps(net: PartsNet, images: Tensor) -> Tensor:
    """(2, n, c, h, w): of each image as it is and mirrored."""
    with torch.inference_mode():
        both = [torch.cat([net.trunk(few) for few in view.split(8)]) for view in (images, images.flip(3))]
    return torch.stack(both).clone()


def fit(net: PartsNet, maps: Tensor, truth: Tensor, settings: Settings, teacher: PartsNet | None = None) -> None:
    """Train pooling and head on maps (2, n, c, h, w); foveal's loss, optimizer, rate and order of images."""
    head = OnMaps(net).train()
    known = OnMaps(teacher, FINER).eval().requires_grad_(False) if teacher else None
    micro = len(truth) // settings.batch
    optimizer = make_optimizer(settings, head)
    schedule = LambdaLR(optimizer, lambda step: rate_at(settings, micro * settings.epochs, step))
    mirrored = np.random.default_rng(settings.seed)
    for keys in Batches(len(truth), settings.batch, settings.epochs, settings.seed, micro=micro):
        numbers = [number for _, number in keys]
        F = maps[mirrored.integers(0, 2, len(numbers)), numbers]
        loss = loss_of(head, known, F, truth[numbers], settings)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    head.eval()
    if teacher:
        teacher.requires_grad_(True).trunk.requires_grad_(False)


def judge(
    model: foveal.Model, rows: Sequence[tuple[str, str, Find]], photo: RealPhoto, scores: dict[Any, Scores], curve: bool
) -> None:
    """Every map of one network on one photo."""
    batch = load_images(photo.file, model.preprocessing)
    with torch.inference_mode():
        first, second = model.module(batch.tensor)[0].topk(2).indices.tolist()

    def ask(x: Tensor) -> Tensor:
        logits = model.module(x)
        return (logits[:, first] - logits[:, second]).sigmoid()

    def area(map: Tensor, place: Place | None) -> float:
        grid = laid(map.float(), (GRID, GRID), place, batch.photos[0].geometry.input_size)
        with torch.inference_mode():
            return deletion(ask, batch.tensor, grid, steps=STEPS).area

    chance = area(*random_map(model, batch)) if curve else float("nan")
    for network, name, find in rows:
        map, place = find(model, batch)
        found = scores.setdefault((network, name), Scores())
        on_photo = batch.photos[0].geometry.map_to_photo(map.float(), place=place)
        hit, share, _ = on_object(on_photo, photo.inside())
        deleted = area(map, place) if curve else float("nan")
        for values, value in (
            (found.hit, hit), (found.share, share), (found.deletion, deleted), (found.gain, chance - deleted),
        ):  # fmt: skip
            values.append(value)


def measure(
    photos: list[RealPhoto], backbone: foveal.Model, attention: bool, curves: int, settings: Settings
) -> tuple[dict[str, list[float]], dict[Any, Scores]]:
    """(network -> right or not, (network, map) -> scores), photo by photo."""
    labels = [photo.label for photo in photos]
    truth, images = torch.tensor(labels), load_images([photo.file for photo in photos], backbone.preprocessing).tensor
    torch.manual_seed(settings.seed)
    nets = networks(backbone, len(set(labels)), attention)
    built = {name: deepcopy(net.state_dict()) for name, net in nets.items()}
    low, fine = trunk_maps(nets[AVERAGE], images), trunk_maps(nets[FINE], images)
    apart = nets[FINE].trunk.apart
    print(f"maps {tuple(low.shape[2:])} and {tuple(fine.shape[2:])}, apart {apart:.1e}", flush=True)
    known = [number for number, photo in enumerate(photos) if photo.inside() is not None]
    curved = set(known[:: max(1, len(known) // curves)][:curves]) if curves else set()
    right: dict[str, list[float]] = {name: [] for name in nets}
    scores: dict[Any, Scores] = {}
    for fold, (learn, test) in enumerate(folds(labels, 5)):
        for name, net in nets.items():
            net.load_state_dict(built[name])
            teacher = nets[PARTS] if name == FINE else None
            torch.manual_seed(settings.seed)
            fit(net, (fine if name == FINE else low)[:, learn], truth[learn], settings, teacher)
            with torch.inference_mode():
                logits = OnMaps(net).eval()((fine if name == FINE else low)[0, test])
            right[name] += (logits.argmax(1) == truth[test]).double().tolist()
            model = foveal.Model(net.eval(), name, backbone.preprocessing, task="classes")
            rows = [row for row in ROWS if row[0] == name]
            for number in test:
                if number in known:
                    judge(model, rows, photos[number], scores, number in curved)
        print(f"fold {fold + 1}: {', '.join(f'{n} {100 * np.mean(v):.0f} %' for n, v in right.items())}", flush=True)
    return right, scores


def report(right: dict[str, list[float]], scores: dict[Any, Scores], area: float) -> None:
    n, m = len(next(iter(right.values()))), len(scores[BASE].hit)
    curved = int(np.isfinite(scores[BASE].deletion).sum())
    print(f"\n{n} photos named, {m} with a known object ({100 * area:.0f} % of the area), {curved} with deletion\n")
    print("| network | map | correct % | hit % | share % | deletion | below random |\n|---|---|---|---|---|---|---|")
    for (network, name), own in scores.items():
        cells = [cell(right[network], percent=True), cell(own.hit, percent=True), cell(own.share, percent=True)]
        print(f"| {network} | {name} | {' | '.join([*cells, cell(own.deletion), cell(own.gain)])} |")
    print(f"\nless {BASE[0]}, {BASE[1]}, photo by photo, with 95 % intervals\n")
    print("| network | map | correct % | hit % | share % | below random |\n|---|---|---|---|---|---|")
    base = scores[BASE]
    for (network, name), own in scores.items():
        if (network, name) == BASE:
            continue
        cells = [
            compared(right[network], right[AVERAGE], percent=True) if network != AVERAGE else "",
            compared(own.hit, base.hit, percent=True), compared(own.share, base.share, percent=True),
            compared(own.gain, base.gain),
        ]  # fmt: skip
        print(f"| {network} | {name} | {' | '.join(cells)} |", flush=True)


def main(
    data: Annotated[Path, typer.Argument(help="the folder with images/ and models/")],
    backbone: Annotated[str, typer.Option(help="a factory of tests/real_networks.py")] = "resnet18",
    only: Annotated[Literal["birds", "pets"] | None, typer.Option(help="one set of photos")] = None,
    attention: Annotated[bool, typer.Option(help="train learned attention, too")] = True,
    curves: Annotated[int, typer.Option(help="photos with deletion")] = 20,
    epochs: int = SETTINGS.epochs,
    threads: int = 1,
) -> None:
    from tests import real_networks

    torch.set_num_threads(threads)
    network = foveal.load_model(f"{real_networks.__file__}:{backbone}")
    settings = Settings(**{**vars(SETTINGS), "epochs": epochs})
    for name, photos in (("birds", birds(data)), ("pets", pets(data))):
        if only in (None, name):
            print(f"\n## {name}, {backbone}\n")
            areas = [mask.mean() for photo in photos if (mask := photo.inside()) is not None]
            report(*measure(photos, network, attention, curves, settings), float(np.mean(areas)))


if __name__ == "__main__":
    typer.run(main)
