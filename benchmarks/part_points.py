"""Which parts of a bird hold the evidence? Photos with the points of fifteen parts, method by method.

    python -m benchmarks.part_points ../shared/data                     # MobileNetV2, 964 species of iNaturalist
    python -m benchmarks.part_points ../shared/data --trained resnet18  # ImageNet trunks, heads trained on `birds/`

Explained is the species, where the network names it rightly. A part is a disc around its point whose radius is a tenth
of √(area of the bird's box); left and right are one kind. Everything lies on the network's input.

density     positive evidence per area on the part, over that in the bird's box; 1 is what a constant map has
pointing    the part whose disc holds the highest position (the nearest, if several do); else the box, or outside
effect      what the score loses when the disc is filled from its surroundings (ROAD's imputation), in logits
rank        Spearman's correlation of the evidence on a bird's parts with their effects, mean over birds
top         the part with the most evidence is the part with the largest effect, % of the birds
on bird     share of the positive evidence in the box
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor

import foveal
from benchmarks.real_parts import AVERAGE, PARTS, SETTINGS, fit, networks, trunk_layer, trunk_maps
from benchmarks.real_photos import RealPhoto, bird_parts, birds
from benchmarks.verdicts import cell, compared
from foveal.images import Batch, Place, load_images
from foveal.images.place import laid
from foveal.methods import find_method
from foveal.metrics.baseline_maps import center_map, random_map
from foveal.metrics.imputing import impute
from foveal.metrics.statistics import spearman
from foveal.models.brnpa import PartsNet

RADIUS = 0.1
Find = Callable[[foveal.Model, Batch, foveal.Target], Tensor]
EXPLAINED = ("gradcam", "hirescam", "lrp-gamma", "lrp-zplus", "deeplift")


def kind(part: str) -> str:
    """Left and right are one kind of part."""
    return part.removeprefix("left ").removeprefix("right ")


@dataclass(frozen=True)
class Discs:
    """The visible parts of one bird on the network's input.

    Attributes:
        names: of the parts.
        masks: (k, h, w), a disc each.
        points: (k, 2), x and y.
        box: (h, w), the bird's box.
    """

    names: tuple[str, ...]
    masks: Tensor
    points: Tensor
    box: Tensor


def discs(photo: RealPhoto, batch: Batch) -> Discs:
    """Parts that the network sees: those outside of its crop are left out."""
    geometry = batch.photos[0].geometry
    h, w = geometry.input_size
    x0, y0, x1, y1 = geometry.boxes_to_input(photo.box).tolist()
    ys, xs = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    points = {part: geometry.points_to_input(point).tolist() for part, point in photo.points.items()}
    seen = {part: (x, y) for part, (x, y) in points.items() if 0 <= x < w and 0 <= y < h}
    radius = RADIUS * math.sqrt((x1 - x0) * (y1 - y0))
    masks = [(xs - x) ** 2 + (ys - y) ** 2 <= radius**2 for x, y in seen.values()]
    box = (xs >= x0) & (xs <= x1) & (ys >= y0) & (ys <= y1)
    return Discs(tuple(seen), torch.stack(masks), torch.tensor(list(seen.values())), box)


def density(map: Tensor, mask: Tensor, box: Tensor) -> float:
    """Positive evidence per area in the mask, over that in the box; NaN where the box has none."""
    positive = map.double().clamp(min=0)
    whole = float(positive[box].mean())
    return float(positive[mask].mean()) / whole if whole > 0 and bool(mask.any()) else math.nan


def pointed(map: Tensor, found: Discs) -> str:
    """The kind of part at the highest position; "bird" or "outside" where it is at none."""
    y, x = divmod(int(map.argmax()), map.shape[1])
    at = found.masks[:, y, x].nonzero()[:, 0]
    if len(at):
        distance = (found.points[at] - torch.tensor([x + 0.5, y + 0.5])).norm(dim=1)
        return kind(found.names[int(at[distance.argmin()])])
    return "bird" if bool(found.box[y, x]) else "outside"


def effects(model: foveal.Model, x: Tensor, index: int, masks: Tensor) -> Tensor:
    """(k,): what the logit loses without each disc."""
    with torch.inference_mode():
        whole = model.module(x)[0, index]
        return whole - torch.cat([model.module(impute(x, few[:, None]))[:, index] for few in masks.split(8)])


# --- methods ---


def explained(method: str) -> Find:
    def find(model: foveal.Model, batch: Batch, target: foveal.Target) -> Tensor:
        at_trunk = isinstance(model.module, PartsNet) and find_method(method).place != "input"
        why = foveal.explain(model, batch, target, method=method, layer=trunk_layer(model) if at_trunk else None)
        return _on_input(batch, why.map[0], why.where.get(why.layer))

    return find


def parted(which: str, **about: Any) -> Find:
    def find(model: foveal.Model, batch: Batch, target: foveal.Target) -> Tensor:
        own = isinstance(model.module, PartsNet)
        layer = {"layer": trunk_layer(model)} if own and model.module.pool.count == 1 else {}  # type: ignore[union-attr]
        found = foveal.parts(model, batch, target, **about, **layer)
        best = int(found.evidence[0].argmax())
        maps = {"first": found.map[0], "evidence": found.places[0], "strongest": found.groups.display[0, best]}
        return _on_input(batch, maps[which], found.where.get(found.layer))

    return find


def node(levels: int, *, on_image: bool = False) -> Find:
    """The strongest part of the last stage; or the strongest below it; its map, or its evidence pixel by pixel."""

    def find(model: foveal.Model, batch: Batch, target: foveal.Target) -> Tensor:
        tree = foveal.decompose(model, batch, target, nodes="parts").grow(levels)
        feature, map = tree.decision, None
        for _ in range(levels):
            edge = max(feature.edges or (), key=lambda edge: edge.mass)
            feature, map = edge.child, edge.map
        if on_image:
            assert tree.expander is not None
            tree.expander.look([feature], "evidence")
            assert feature.pattern is not None
            return feature.pattern.values.sum(0).float()
        place = tree.stages[feature.stage].place
        assert map is not None
        lie = place and Place(*place).settled(map.shape, batch.photos[0].geometry.input_size)
        return _on_input(batch, map, lie)

    return find


def activity(model: foveal.Model, batch: Batch, target: foveal.Target) -> Tensor:
    own = isinstance(model.module, PartsNet)
    found = foveal.parts(model, batch, target, layer=trunk_layer(model) if own else None)
    return _on_input(batch, found.groups.norm[0], found.where.get(found.layer))


def methods(network: str) -> dict[str, Find]:
    if network == PARTS:
        return {"its first part": parted("first"), "its strongest part": parted("strongest"),
                "its evidence": parted("evidence")}  # fmt: skip
    return {
        **{name: explained(name) for name in EXPLAINED},
        "parts, first": parted("first"), "parts, strongest": parted("strongest"),
        "parts, evidence, resolution 2": parted("evidence", resolution=2),
        "tree of parts, strongest": node(1), "the same, pixel by pixel": node(1, on_image=True),
        "strongest below it": node(2),
        "activation map": activity,
        "random": lambda model, batch, target: _on_input(batch, random_map(batch.tensor)[0], None),
        "center": lambda model, batch, target: _on_input(batch, center_map(batch.tensor)[0], None),
    }  # fmt: skip


def _on_input(batch: Batch, map: Tensor, place: Place | None) -> Tensor:
    return laid(map.detach().float(), batch.photos[0].geometry.input_size, place)


# --- networks ---


def subjects(data: Path, trained: str | None) -> Iterator[tuple[foveal.Model, list[RealPhoto], list[int]]]:
    """(network, photos, the number of each photo's species among its classes)."""
    from tests import real_networks

    photos = bird_parts(data)
    if trained is None:
        network = foveal.load_model(f"{real_networks.__file__}:birds")
        known = [photo for photo in photos if photo.known >= 0]
        yield network, known, [photo.known for photo in known]
        return
    backbone = foveal.load_model(f"{real_networks.__file__}:{trained}")
    learn = [photo for photo in birds(data) if photo.box is None]
    truth = torch.tensor([photo.label for photo in learn])
    images = load_images([photo.file for photo in learn], backbone.preprocessing).tensor
    torch.manual_seed(SETTINGS.seed)
    nets = networks(backbone, len(truth.unique()), attention=False)
    maps = trunk_maps(nets[AVERAGE], images)
    for name in (AVERAGE, PARTS):
        torch.manual_seed(SETTINGS.seed)
        fit(nets[name], maps, truth, SETTINGS)
        model = foveal.Model(nets[name].eval(), name, backbone.preprocessing, task="classes")
        yield model, photos, [p.label for p in photos]


# --- what is found ---


def judge(model: foveal.Model, photos: Sequence[RealPhoto], classes: Sequence[int]) -> None:
    rows: dict[str, dict[str, list[float]]] = {}
    points: dict[str, Counter[str]] = {}
    measured: dict[str, list[float]] = {}
    chance, right = [], 0
    for photo, index in zip(photos, classes, strict=True):
        batch = load_images(photo.file, model.preprocessing)
        found = discs(photo, batch)
        with torch.inference_mode():
            if int(model.module(batch.tensor).argmax()) != index:
                continue
        right += 1
        drops = effects(model, batch.tensor, index, found.masks)
        chance.append(1 / len(drops))
        for name, drop in zip(found.names, drops.tolist(), strict=True):
            measured.setdefault(kind(name), []).append(drop)
        for method, find in methods(model.name).items():
            map = find(model, batch, foveal.Class(index))
            values, row = [density(map, mask, found.box) for mask in found.masks], rows.setdefault(method, {})
            for part in dict.fromkeys(map_kind := [kind(name) for name in found.names]):
                own = [value for value, its in zip(values, map_kind, strict=True) if its == part]
                row.setdefault(part, []).append(float(np.mean(own)))
            positive = map.double().clamp(min=0)
            row.setdefault("on bird", []).append(float(positive[found.box].sum() / positive.sum().clamp(min=1e-30)))
            row.setdefault("rank", []).append(spearman(values, drops.numpy()))
            some = bool(np.isfinite(values).any())
            row.setdefault("top", []).append(float(some and np.nanargmax(values) == int(drops.argmax())))
            points.setdefault(method, Counter())[pointed(map, found)] += 1
    print(f"\n## {model.name}: {right} of {len(photos)} birds named rightly\n")
    if right:
        _report(rows, points, measured, float(np.mean(chance)))


def _report(
    rows: dict[str, dict[str, list[float]]], points: dict[str, Counter[str]],
    measured: dict[str, list[float]], chance: float,
) -> None:  # fmt: skip
    parts = sorted(measured, key=lambda part: -float(np.mean(measured[part])))
    print("density, and effect in logits (n = birds that show the part)\n")
    print("| | " + " | ".join(f"{part} ({len(next(iter(rows.values()))[part])})" for part in parts) + " |")
    print("|---|" + "---:|" * len(parts))
    print("| effect | " + " | ".join(_short(measured[part]) for part in parts) + " |")
    for method, row in rows.items():
        print(f"| {method} | " + " | ".join(_short(row[part]) for part in parts) + " |")
    print("\npointing, number of birds\n")
    heads = [*parts, "bird", "outside"]
    print("| | " + " | ".join(heads) + " |\n|---|" + "---:|" * len(heads))
    for method, counts in points.items():
        print(f"| {method} | " + " | ".join(str(counts[part]) for part in heads) + " |")
    print(f"\nagreement with effects; top by chance {100 * chance:.0f} %\n")
    base = next(iter(rows))
    print(f"| | on bird % | rank | top % | rank, less {base} |\n|---|---:|---:|---:|---|")
    for method, row in rows.items():
        cells = [cell(row["on bird"], percent=True), cell(row["rank"]), cell(row["top"], percent=True)]
        beside = "" if method == base else compared(row["rank"], rows[base]["rank"])
        print(f"| {method} | {' | '.join(cells)} | {beside} |", flush=True)


def _short(values: Sequence[float]) -> str:
    mean, _, half = cell(values).partition(" ± ")
    return f"{float(mean):.1f} ± {float(half):.1f}" if half else mean


def main(
    data: Annotated[Path, typer.Argument(help="the folder with images/ and models/")],
    trained: Annotated[str | None, typer.Option(help="a factory of tests/real_networks.py, for the trunk")] = None,
    count: Annotated[int | None, typer.Option(help="photos")] = None,
    threads: int = 1,
) -> None:
    torch.set_num_threads(threads)
    for model, photos, classes in subjects(data, trained):
        judge(model, photos[:count], classes[:count])


if __name__ == "__main__":
    typer.run(main)
