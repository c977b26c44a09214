"""What a decision taken apart is worth: the experiments of the specification, on drawn birds or on photos.

    python -m benchmarks.decompose
    python -m benchmarks.decompose --model tests/real_networks.py:resnet18 --photos ../shared/data/images/imagenet_boxes

1 order: Spearman's correlation of what channels contribute to a neuron with what the neuron loses without them.
2 kept: how much of a neuron its strongest five and twenty channels alone make, all others set to zero.
3–5 map: the tree as one map (`gap`) beside other maps: pointing, share on the object, deletion and insertion as in
  `benchmarks.depth`; for photos also GT-known localization, the box around the largest region above 15 %.
6 random weights: the same picture after weights were shuffled, from the last layer to the first.
7–9 overlap, stage by stage, of what two trees rest on: noise of 2 % of the range, a mirrored picture, the class that
  comes second, and a picture attacked until its class changes (steps of 1/255), explained as the class it then is.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from scipy.ndimage import find_objects, label
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn import functional

import foveal
from benchmarks.depth import GRID, Case, drawn, photographed
from benchmarks.support import contributions
from foveal.engine.stages import describe
from foveal.hierarchy.expansion import TreeExpander
from foveal.images import Batch
from foveal.metrics import deletion, insertion
from foveal.metrics.baseline_maps import baseline_map_of_photo
from foveal.results.tree import Tree

MAPS = ("gap", "gradcam", "hirescam", "layercam", "lrp-epsilon", "guidedbackprop")
ORDERS = ("pool_up", "exact", "window", "gradient", "activation")
LEVEL = 0.15


def main(
    model: Annotated[str, typer.Option(help="a classifier, as --model takes it")] = "demo",
    photos: Annotated[Path | None, typer.Option(help="a folder with index.csv: file, class_index, boxes")] = None,
    count: Annotated[int, typer.Option(help="pictures")] = 20,
    steps: Annotated[int, typer.Option(help="of deletion and insertion")] = 14,
    few: Annotated[int, typer.Option(help="neurons of a picture whose channels are all tried")] = 6,
    threads: int = 2,
) -> None:
    torch.set_num_threads(threads)
    network = foveal.load_model(model)
    cases = list(photographed(network, photos, count) if photos else drawn(network, count, 77))
    print(f"{len(cases)} pictures, {network.name}\n")
    trees = [foveal.decompose(network, case.batch, case.target, branching=2).grow() for case in cases]
    order_and_kept(trees, few)
    maps(network, cases, steps)
    shuffled(network, cases[: max(4, count // 4)])
    overlaps(network, cases)


# --- 1 and 2 ---


def order_and_kept(trees: Sequence[Tree], few: int) -> None:
    found: dict[tuple[str, str], list[float]] = {}
    kept: dict[tuple[str, str, int], list[float]] = {}
    for tree in trees:
        expander = tree.expander
        assert isinstance(expander, TreeExpander)
        flow = tree.flow()
        parents = [tree.decision, *sorted(tree.features.values(), key=lambda f: -flow[f.key])[:few]]
        for feature in parents:
            if feature.stage == 0 or feature.value <= 0:
                continue
            worth = contributions(expander, feature)
            channels = len(worth["exact"])
            left = expander.values_without(feature, [[k] for k in range(channels)])
            drops = [feature.value - value for value in left]
            at = feature.layer
            for name in ORDERS:
                found.setdefault((name, at), []).append(float(spearmanr(worth[name].numpy(), drops).statistic))
                for m in (5, 20):
                    best = set(worth[name].topk(min(m, channels)).indices.tolist())
                    (alone,) = expander.values_without(feature, [[k for k in range(channels) if k not in best]])
                    kept.setdefault((name, at, m), []).append(alone / feature.value)
    layers = list(dict.fromkeys(at for _, at in found))
    print(_head("order, and kept by 5, by 20 %", layers))
    for name in ORDERS:
        cells = [
            f"{np.nanmean(found[name, at]):.2f}, {100 * np.mean(kept[name, at, 5]):.0f}, "
            f"{100 * np.mean(kept[name, at, 20]):.0f}"
            for at in layers
        ]
        print(_row(name, cells))


# --- 3 to 5 ---


def maps(network: foveal.Model, cases: Sequence[Case], steps: int) -> None:
    scores: dict[str, list[list[float]]] = {}
    for case in cases:
        found = {why.method: why.map[0] for why in foveal.compare(network, case.batch, case.target, methods=MAPS)}
        found["random"] = torch.from_numpy(baseline_map_of_photo("random", case.batch.photos[0].pixels)).float()
        for name, map in found.items():
            on_photo = np.nan_to_num(case.batch.photos[0].geometry.map_to_photo(map.float().numpy()))
            common = functional.interpolate(map[None, None].float(), (GRID, GRID), mode="area")[0, 0]
            curves = [curve(case.ask, case.batch.tensor, common, steps=steps).area for curve in (deletion, insertion)]
            scores.setdefault(name, []).append([*case.judge(on_photo), *curves, _localised(on_photo, case)])
    print("\n" + _head("map", ["hit %", "share %", "deletion", "insertion", "localized %"]))
    for name, rows in scores.items():
        hit, share, deleted, inserted, found_box = np.array(rows).T
        box = "–" if np.isnan(found_box).all() else f"{100 * found_box.mean():.0f}"
        cells = [_mean(100 * hit, 0), _mean(100 * share, 0), _mean(deleted, 3), _mean(inserted, 3), box]
        print(_row(name, cells))


def _localised(map: Any, case: Case) -> float:
    """Whether the box around the largest region above 15 % of the maximum meets the object's by half; NaN unknown."""
    if not case.boxes:
        return float("nan")
    regions, count = label(map > LEVEL * map.max())
    if not count:
        return 0.0
    boxes = [(y.start, y.stop, x.start, x.stop) for y, x in find_objects(regions)]
    y0, y1, x0, x1 = max(boxes, key=lambda box: (box[1] - box[0]) * (box[3] - box[2]))
    return float(max(_overlap((x0, y0, x1, y1), box) for box in case.boxes) >= 0.5)


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of boxes x0, y0, x1, y1."""
    wide, tall = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(0.0, wide) * max(0.0, tall)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


# --- 6 ---


def shuffled(network: foveal.Model, cases: Sequence[Case]) -> None:
    """Maps and trees of networks whose last parts have shuffled weights."""
    stages = [stage.name for stage in foveal.stages(network, cases[0].batch)]
    print("\n" + _head("weights shuffled down to", ["map", *[f"channels of {name}" for name in reversed(stages)]]))
    before = [_described(network, case, stages) for case in cases]
    for name, changed in _cascade(network, cases[0].batch, stages):
        after = [_described(changed, case, stages) for case in cases]
        rank = [
            spearmanr(a[0].flatten().numpy(), b[0].flatten().numpy()).statistic
            for a, b in zip(before, after, strict=True)
        ]
        both = [*zip(before, after, strict=True)]
        same = [np.mean([_alike(a[1][at], b[1][at]) for a, b in both]) for at in reversed(stages)]
        print(_row(name, [f"{np.nanmean(rank):.2f}", *[f"{value:.2f}" for value in same]]))


def _alike(a: set[int], b: set[int]) -> float:
    """Jaccard's index."""
    return len(a & b) / max(1, len(a | b))


def _described(network: foveal.Model, case: Case, stages: Sequence[str]) -> tuple[Tensor, dict[str, set[int]]]:
    tree = foveal.decompose(network, case.batch, case.target, branching=5).grow(least=0)
    of = {name: {f.channel for f in tree.features.values() if f.layer == name} for name in stages}
    return functional.adaptive_avg_pool2d(tree.map()[None], GRID)[0], of


def _cascade(network: foveal.Model, batch: Batch, stages: Sequence[str]) -> Iterator[tuple[str, foveal.Model]]:
    """The head, then stage after stage from the last."""
    order = [name for name in describe(network.module, batch.tensor).shapes if name]
    module = copy.deepcopy(network.module)
    parts, random = dict(module.named_modules()), torch.Generator().manual_seed(0)
    done: set[str] = set()
    for name in [*reversed(stages), ""]:
        start = order.index(name) + 1 if name else 0
        with torch.no_grad():
            for at in order[start:]:
                for parameter in parts[at].parameters(recurse=False) if at not in done else ():
                    mixed = torch.randperm(parameter.numel(), generator=random)
                    parameter.copy_(parameter.flatten()[mixed].view_as(parameter))
                done.add(at)
        yield f"behind {name}" if name else "the input", replace(network, module=copy.deepcopy(module).eval())


# --- 7 to 9 ---


def overlaps(network: foveal.Model, cases: Sequence[Case]) -> None:
    layers = [stage.name for stage in foveal.stages(network, cases[0].batch)]
    changes: dict[str, Callable[[Case, Tensor], tuple[Tensor, Any] | None]] = {
        "noise": lambda case, x: (_noisy(x), case.target),
        "mirrored": lambda case, x: (x.flip(3), case.target),
        "second class": lambda case, x: (x, foveal.Class(_best(network.module, x)[1])),
        "attacked": lambda case, x: _attacked(network, x),
    }
    found: dict[tuple[str, str], list[float]] = {}
    for case in cases:
        x = case.batch.tensor
        # The class that comes first, so that "second class" and "attacked" have what to differ from.
        plain = {"own": case.target, "first": foveal.Class(_best(network.module, x)[0])}
        own = {name: foveal.decompose(network, x, target).grow() for name, target in plain.items()}
        for name, change in changes.items():
            other = change(case, x)
            if other is None:
                continue
            tree = foveal.decompose(network, other[0], other[1]).grow()
            base = own["first"] if name in ("second class", "attacked") else own["own"]
            for layer, share in base.overlap(tree).items():
                found.setdefault((name, layer), []).append(share)
    print("\n" + _head("overlap", list(reversed(layers))))
    for name in changes:
        print(_row(name, [_mean(100 * np.array(found.get((name, at), [np.nan])), 0) for at in reversed(layers)]))


def _attacked(network: foveal.Model, x: Tensor) -> tuple[Tensor, Any] | None:
    """Steps of 1/255 against the class, at most 8, until another wins."""
    first = _best(network.module, x)[0]
    deviation = network.preprocessing.std if network.preprocessing else (1.0,)
    step = (1 / 255) / torch.tensor(deviation).view(1, -1, 1, 1)
    moved = x.clone()
    for _ in range(8):
        moved.requires_grad_()
        loss = functional.cross_entropy(network.module(moved), torch.tensor([first]))
        (gradient,) = torch.autograd.grad(loss, moved)
        moved = (moved + step * gradient.sign()).detach()
        now = _best(network.module, moved)[0]
        if now != first:
            return moved, foveal.Class(now)
    return None


def _noisy(x: Tensor) -> Tensor:
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    return x + 0.02 * (x.amax() - x.amin()) * noise


def _best(module: nn.Module, x: Tensor) -> list[int]:
    """The two classes that come first."""
    with torch.no_grad():
        found: list[int] = module(x).topk(2).indices[0].tolist()
    return found


def _head(first: str, columns: Sequence[str]) -> str:
    return f"| {first} | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}"


def _row(name: str, cells: Sequence[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def _mean(values: Any, digits: int) -> str:
    """The mean, half a 95 % interval behind it."""
    return f"{np.mean(values):.{digits}f} ± {1.96 * np.std(values) / len(values) ** 0.5:.{digits}f}"


if __name__ == "__main__":
    typer.run(main)
