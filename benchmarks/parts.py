"""Does attention by ranked parts keep its promises? Drawn birds, cost, and pictures compared by parts.

    python -m benchmarks.parts                                       # all three tables
    python -m benchmarks.parts --teacher low/brnpa.safetensors       # and the low-resolution teacher beside its student
    python -m benchmarks.parts --attention attention/brnpa.safetensors   # and learned maps, B-CNN style
    python -m benchmarks.parts --only world --count 40

"world": named, the share of fresh birds named rightly; hit, the map points at the part in which siblings differ; share,
of the map that lies there; deletion, insertion of the probability between the two siblings, 24 steps on a common grid
of 20 × 20 cells; sparsity, largest over mean of the map; forwards, the network's own cost, in plain forwards of demo.
"first part" is the most active one, whatever the decision (the published single map); "evidence" is by place, for the
margin between the siblings; "learned maps" is the mean of a network's attention maps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Literal

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

import foveal
from benchmarks.timing import measure, ratios, spread
from foveal.attention import Grouping
from foveal.images import load_images
from foveal.metrics import deletion, insertion
from foveal.models.backbone import Backbone
from foveal.models.brnpa import PartsNet
from foveal.models.extras import import_torchvision
from foveal.results.part_similarity import order_free, similarities
from foveal.synthetic import CLASS_NAMES, Split, sibling
from foveal.synthetic.agreement import hit, share
from foveal.synthetic.dataset import PREPROCESSING, SplitDataset, normalized
from foveal.synthetic.ground_truth import decides_visibly, deciding_part, sibling_margin
from foveal.training.synthetic_individuals import KNOWN, cameras, numbers_of
from foveal.training.tasks import few_shot_accuracy, retrieval

GRID, STEPS = 20, 24
STUDENT, ATTENTION = "student (parts)", "learned attention"
POST_HOC = ("gradcam", "gradcam++", "hirescam")
PATIENT = ("scorecam", "rise:count=400")


@dataclass(frozen=True)
class Row:
    """One network and one way to draw what it looked at."""

    network: str
    map: str
    find: Callable[[foveal.Model, object, foveal.Target], Tensor]


def method(name: str) -> Callable[[foveal.Model, object, foveal.Target], Tensor]:
    return lambda model, x, target: foveal.explain(model, x, target, method=name).map[0]


def norm(model: foveal.Model, x: object, target: foveal.Target) -> Tensor:
    return foveal.parts(model, x, target).groups.norm[0]


def first(model: foveal.Model, x: object, target: foveal.Target) -> Tensor:
    return foveal.parts(model, x, target).map[0]


def evidence(model: foveal.Model, x: object, target: foveal.Target) -> Tensor:
    return foveal.parts(model, x, target).places[0]


def finer(model: foveal.Model, x: object, target: foveal.Target) -> Tensor:
    return foveal.parts(model, x, target, resolution=2).places[0]


def learned(model: foveal.Model, x: object, target: foveal.Target) -> Tensor:
    net = model.module
    assert isinstance(net, PartsNet)
    with torch.inference_mode():
        return net.pool.group(net.trunk(load_images(x, PREPROCESSING).tensor)).maps[0].mean(0).clone()  # type: ignore[arg-type]


def networks(teacher: Path | None, attention: Path | None) -> dict[str, foveal.Model]:
    """Plain, by parts without any training, the teacher, the student."""

    def untrained(resolution: int) -> foveal.Model:
        net = PartsNet("demo", resolution=resolution).eval()
        return foveal.Model(net, "by parts", PREPROCESSING, CLASS_NAMES, task="classes")

    found = {"demo": foveal.load_model("demo"), "head replicated": untrained(1), "replicated, finer": untrained(2)}
    if teacher:
        found["teacher"] = foveal.load_model(teacher)
    if attention:
        found[ATTENTION] = foveal.load_model(attention)
    return found | {STUDENT: foveal.load_model("parts")}


def rows(names: list[str], patient: bool) -> list[Row]:
    every = [Row("demo", "activation map", norm), *(Row("demo", name, method(name)) for name in POST_HOC)]
    every += [Row("demo", name, method(name)) for name in PATIENT if patient]
    every += [Row("demo", "evidence, resolution 2", finer)]
    for name in names:
        if name in ("teacher", STUDENT):
            every += [Row(name, "first part", first)]
        if name == ATTENTION:
            every += [Row(name, "learned maps", learned), Row(name, "hirescam", method("hirescam"))]
        elif name != "demo":
            every += [Row(name, "evidence", evidence)]
    return every


def world(
    teacher: Path | None, attention: Path | None, count: int, tests: int, seed: int, patient: bool, curved: bool
) -> None:
    nets = networks(teacher, attention)
    for net in nets.values():
        net.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    birds = list(DataLoader(SplitDataset(Split("classes", tests, seed=1)), batch_size=50))
    named = {name: accuracy(net, birds) for name, net in nets.items()}
    example = torch.randn(4, 3, 160, 160)
    taken = measure({name: lambda net=net: _run(net.module, example) for name, net in nets.items()}, 7)
    cost = {name: median(ratios(own, taken["demo"])) for name, own in taken.items()}
    visible = filter(decides_visibly, Split("classes", 4 * count, seed=seed))
    scores: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    with typer.progressbar(list(zip(range(count), visible, strict=False)), label="pictures") as bar:
        for _, example_ in bar:
            class_name = CLASS_NAMES[example_.target]
            own, other, part = example_.target, CLASS_NAMES.index(sibling(class_name)), deciding_part(class_name)
            batch = load_images(example_.image, PREPROCESSING)
            for row in rows(list(nets), patient):
                net = nets[row.network]
                map = row.find(net, batch, sibling_margin([class_name])).float()
                on_photo = np.nan_to_num(batch.photos[0].geometry.map_to_photo(map.numpy()))
                common = functional.interpolate(map[None, None], (GRID, GRID), mode="area")[0, 0]

                def ask(x: Tensor, net: foveal.Model = net, own: int = own, other: int = other) -> Tensor:
                    logits = net.module(x)
                    return (logits[:, own] - logits[:, other]).sigmoid()

                curves = [
                    score(ask, batch.tensor, common, steps=STEPS).area if curved else float("nan")
                    for score in (deletion, insertion)
                ]
                positive = map.clamp(min=0)
                sparse = float(positive.max() / positive.mean().clamp(min=1e-30))
                found = (float(hit(on_photo, example_.labels, part)), share(on_photo, example_.labels, [part]))
                scores.setdefault((row.network, row.map), []).append((*found, *curves, sparse))
    print(f"\n{count} margins, {tests} birds to name\n")
    print("| network | map | named % | hit % | share % | deletion | insertion | sparsity | forwards |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (network, map_name), values in scores.items():
        hits, shares, out, into, sparse = (_mean(column) for column in zip(*values, strict=True))
        cells = [f"{100 * named[network]:.1f}", _percent(hits), _percent(shares), _plain(out), _plain(into),
                 f"{sparse[0]:.1f}", f"{cost[network]:.2f}"]  # fmt: skip
        print(f"| {network} | {map_name} | {' | '.join(cells)} |")


def accuracy(net: foveal.Model, birds: list[list[Tensor]]) -> float:
    right = 0
    for images, truth in birds:
        with torch.inference_mode():
            right += int((net.module(normalized(images)).argmax(1) == truth).sum())
    return right / sum(len(truth) for _, truth in birds)


def stability(count: int, seed: int) -> None:
    """How much of a part is found again in the mirrored and in the noisy picture."""
    print("\n| network | picture | part 1 | part 2 | part 3 |\n|---|---|---|---|---|")
    random = torch.Generator().manual_seed(seed)
    x = normalized(
        torch.stack([torch.from_numpy(e.image).permute(2, 0, 1) for e in Split("classes", count, seed=seed)])
    )
    for name, resolution in (("demo", 1), ("demo", 2), ("parts", 1)):
        net, about = foveal.load_model(name), {"resolution": resolution} if resolution > 1 else {}
        plain = foveal.parts(net, x, **about).groups.display
        noisy = foveal.parts(net, x + 0.05 * torch.randn(x.shape, generator=random), **about).groups.display
        mirrored = foveal.parts(net, x.flip(3), **about).groups.display.flip(3)
        label = f"{name}, resolution {resolution}" if resolution > 1 else name
        for what, other in (("mirrored", mirrored), ("with noise, 1 % of the range", noisy)):
            alike = torch.cosine_similarity(plain.flatten(2), other.flatten(2), dim=2).mean(0)
            print(f"| {label} | {what} | {' | '.join(f'{value:.2f}' for value in alike)} |")


def cost(rounds: int, side: int) -> None:
    """ResNet-50 at a quarter of its stride: the forward, and what grouping adds."""
    torch.manual_seed(0)
    network = import_torchvision().models.resnet50(weights=None).eval()
    x = torch.randn(2, 3, side, side)
    trunk = Backbone(network, "layer4", x, resolution=4).eval()
    with torch.inference_mode():
        F = trunk(x)
    actions = {
        "forward of two pictures": lambda: _run(trunk, x),
        "grouping": lambda: _run(Grouping(3), F),
        "grouping, image by image": lambda: [Grouping(3)(one[None]) for one in F],
        "grouping, image by image and place by place": lambda: [per_place(one) for one in F],
    }
    taken = measure(actions, rounds)
    shape = "×".join(map(str, F.shape))
    print(
        f"\nResNet-50, {side} px, map {shape}, {torch.get_num_threads()} threads; median (range) of {rounds} rounds\n"
    )
    print("| | × forward | × grouping |\n|---|---|---|")
    for name, own in taken.items():
        beside = [spread(ratios(own, taken[by])) for by in ("forward of two pictures", "grouping")]
        print(f"| {name} | {' | '.join(beside)} |")
    small = torch.rand(64, 512, 14, 14)
    actions = {
        "grouping of 64 small maps": lambda: _run(Grouping(3), small),
        "image by image": lambda: [Grouping(3)(one[None]) for one in small],
        "image by image and place by place": lambda: [per_place(one) for one in small],
    }
    taken = measure(actions, rounds)
    for name, own in taken.items():
        print(f"| {name} |  | {spread(ratios(own, taken['grouping of 64 small maps']))} |")


def per_place(F: Tensor, count: int = 3) -> list[Tensor]:
    """The published recurrence for one image, with products of all channels written out at every place."""
    f = F.flatten(1).T
    n = f.pow(2).sum(1).sqrt() + 1e-5
    activity, vectors = n, []
    for _ in range(count):
        seed = int(activity.argmax())
        s = (f * f[seed]).sum(1) / (n * n[seed])
        vectors.append(((s / s.sum())[:, None] * f).sum(0))
        activity = (1 - s) * activity
    return vectors


def tasks(pictures: int, seed: int) -> None:
    """Trunks that were trained for a mean or GeM, their pictures compared by parts instead; nothing is trained."""
    who = torch.tensor([n % 90 for n in numbers_of(range(KNOWN, 90), pictures)])
    split, camera = SplitDataset(Split("individuals", 10**6)), cameras(pictures)
    images = torch.stack([split[n][0] for n in numbers_of(range(KNOWN, 90), pictures)])
    embed = foveal.load_model("embed")
    x = normalized(images)
    queries, gallery = camera == 0, camera == 1
    trunk, fine = (Backbone(foveal.load_model("embed").module, "stage3", x[:1], resolution=r).eval() for r in (1, 2))
    with torch.inference_mode():
        v = torch.cat([embed.module(few) for few in x.split(30)])[:, None]
        F, H = (torch.cat([one(few) for few in x.split(30)]) for one in (trunk, fine))
    kinds = {"its own embedding": v, "mean of the last stage": F.mean((2, 3))[:, None],
             "3 parts": Grouping(3)(F).vectors, "3 parts, resolution 2": Grouping(3)(H).vectors}  # fmt: skip
    print(f"\n{pictures} pictures of {90 - KNOWN} unknown individuals, by two cameras\n")
    print("| compared by | rank 1 % | mAP % |\n|---|---|---|")
    pairs = (who[queries], who[gallery]), (camera[queries], camera[gallery])
    for name, vectors in kinds.items():
        q, g = vectors[queries], vectors[gallery]
        alike = {name: similarities(q, g).sum(2)}
        if q.shape[1] > 1:
            alike |= {f"{name}, in any order": order_free(q, g)}
            alike |= {f"{name}, part {k + 1} alone": similarities(q, g)[..., k] for k in range(3)}
        for label, table in alike.items():
            found = retrieval(table, *pairs)
            print(f"| {label} | {100 * float(found.cmc[0]):.1f} | {100 * found.map:.1f} |")
    novel = SplitDataset(Split("novel", 20 * 10, seed=seed))
    images, labels = (
        torch.stack(list(map(torch.as_tensor, each))) for each in zip(*(novel[i] for i in range(200)), strict=True)
    )
    print("\n200 pictures of ten unknown species, five ways, one shot, 500 episodes\n")
    print("| compared by | named % |\n|---|---|")
    demo, student = foveal.load_model("demo").module, foveal.load_model("parts").module
    trunk = Backbone(demo, "stage3", normalized(images[:1])).eval()
    with torch.inference_mode():
        F = torch.cat([trunk(normalized(few)) for few in images.split(20)])
        S = torch.cat([student.vectors(normalized(few)) for few in images.split(20)])  # type: ignore[operator]
    kinds = {"demo, mean of the last stage": F.mean((2, 3))[:, None], "demo, 3 parts": Grouping(3)(F).vectors,
             "student, its 3 parts": S}  # fmt: skip
    for name, vectors in kinds.items():
        mean, half = few_shot_accuracy(vectors, labels)
        print(f"| {name} | {100 * mean:.1f} ± {100 * half:.1f} |")
        if vectors.shape[1] > 1:
            mean, half = few_shot_accuracy(vectors, labels, compare=order_free)
            print(f"| {name}, in any order | {100 * mean:.1f} ± {100 * half:.1f} |")


def _run(module: nn.Module | Grouping, x: Tensor) -> None:
    with torch.inference_mode():
        module(x)


def _mean(values: tuple[float, ...]) -> tuple[float, float]:
    return float(np.mean(values)), 1.96 * float(np.std(values)) / len(values) ** 0.5


def _percent(value: tuple[float, float]) -> str:
    return f"{100 * value[0]:.0f} ± {100 * value[1]:.0f}"


def _plain(value: tuple[float, float]) -> str:
    return f"{value[0]:.3f} ± {value[1]:.3f}"


def main(
    teacher: Annotated[Path | None, typer.Option(help="weights of the low-resolution network")] = None,
    attention: Annotated[Path | None, typer.Option(help="weights of a network with learned maps")] = None,
    only: Annotated[Literal["world", "stability", "cost", "tasks"] | None, typer.Option(help="one table")] = None,
    count: Annotated[int, typer.Option(help="margins")] = 60,
    tests: Annotated[int, typer.Option(help="birds to name")] = 1000,
    patient: Annotated[bool, typer.Option(help="Score-CAM and RISE, too")] = True,
    curves: Annotated[bool, typer.Option(help="deletion and insertion")] = True,
    rounds: Annotated[int, typer.Option(help="of timings")] = 7,
    side: Annotated[int, typer.Option(help="of the pictures that are timed")] = 224,
    seed: int = 77,
    threads: int = 2,
) -> None:
    torch.set_num_threads(threads)
    if only in (None, "world"):
        world(teacher, attention, count, tests, seed, patient, curves)
    if only in (None, "stability"):
        stability(40, seed)
    if only in (None, "cost"):
        cost(rounds, side)
    if only in (None, "tasks"):
        tasks(240, seed)


if __name__ == "__main__":
    typer.run(main)
