"""Few-shot and re-identification on photos: does the network decide rightly, and does its evidence lie on the object?

    python -m benchmarks.real_matching persons ../shared/data   # OSNet, 38 persons before two cameras
    python -m benchmarks.real_matching novel ../shared/data     # prototypes and local descriptors, unseen classes
    python -m benchmarks.real_matching birds ../shared/data     # the same networks on birds whose boxes are known
    python -m benchmarks.real_matching strokes ../shared/data   # a relation network on handwritten characters

Explained are decisions that are right. "on object": share of the positive evidence on it; "hit": the highest position
lies on it; "stays": positions are hidden (blurred; paper for characters) in the order of the map, 12 steps, and this
is the area under the curve of whether the decision stays: lower is better. "less random": the same less that of a
random map, decision by decision.

Persons have no true silhouettes: those here are GrabCut's (OpenCV), from an upright ellipse in the middle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

import foveal
from benchmarks.real_photos import bird_parts, birds, rows_of
from benchmarks.verdicts import cell, compared
from foveal.images import load_images
from foveal.images.place import laid
from foveal.metrics import deletion
from foveal.metrics.baseline_maps import random_map
from foveal.metrics.placement import energy, pointing
from foveal.metrics.retrieval import wilson
from foveal.similarity import find_metric
from foveal.similarity.local import Nearest
from foveal.targets.prototypes import ClosestClass
from foveal.targets.reference import ReferenceTarget

STEPS = 12
METHODS = ("fam", "fam:weights=linear", "gradcam", "hirescam", "lrp-gamma")
MARGINS = ("fam:weights=margin", "fam:weights=linear", "gradcam", "hirescam", "lrp-gamma")
Maps = dict[str, Tensor]
app = typer.Typer(no_args_is_help=True, add_completion=False)


@dataclass(frozen=True)
class Decision:
    """One right decision about one image.

    Attributes:
        x: (1, c, h, w).
        stays: altered copies (k, c, h, w) -> (k,), 1 where the decision is the same.
        maps: method -> (h, w) on the input.
        inside: (h, w), where the object is, if known.
        fill: what hidden positions become.
    """

    x: Tensor
    stays: Callable[[Tensor], Tensor]
    maps: Maps
    inside: Tensor | None = None
    fill: Any = "blur"


def report(decisions: Sequence[Decision]) -> None:
    """A line for each method, with 95 % intervals over the decisions."""
    rows: dict[str, list[tuple[float, float, float]]] = {}
    for number, decision in enumerate(decisions):
        for name, map in {**decision.maps, "random": random_map(decision.x, seed=number)[0]}.items():
            on = hit = float("nan")
            whole = laid(map.float(), decision.x.shape[2:], None)
            if decision.inside is not None:
                on, hit = energy(whole, decision.inside), pointing(whole, decision.inside)
            with torch.inference_mode():
                area = deletion(decision.stays, decision.x, map.float(), steps=STEPS, fill=decision.fill).area
            rows.setdefault(name, []).append((on, hit, area))
    areas = [float(d.inside.double().mean()) for d in decisions if d.inside is not None]
    known = f", the object covers {100 * float(np.mean(areas)):.0f} %" if areas else ""
    print(f"\n{len(decisions)} decisions{known}\n\n| map | on object % | hit % | stays | less random |\n|---|---|---|---|---|")
    chance = [row[2] for row in rows["random"]]
    for name, found in rows.items():
        on_object, hits, stay = zip(*found, strict=True)
        beside = "" if name == "random" else compared(stay, chance, lower=True)
        print(f"| {name} | {cell(on_object, percent=True)} | {cell(hits, percent=True)} | {cell(stay)} | {beside} |")


def maps_of(model: foveal.Model, x: Tensor, target: foveal.Target | None, methods: Sequence[str]) -> Maps:
    """On the input; the parts' evidence and the activation beside the methods."""
    found = {}
    for method in methods:
        why = foveal.explain(model, x, target, method=method)
        found[method] = laid(why.map[0].float(), x.shape[2:], why.where.get(why.layer))
    parts = foveal.parts(model, x, target)
    place = parts.where.get(parts.layer)
    best = int(parts.evidence[0].argmax())
    for name, map in (
        ("parts, strongest", parts.groups.display[0, best]), ("activation map", parts.groups.norm[0]),
    ):  # fmt: skip
        found[name] = laid(map.detach().float(), x.shape[2:], place)
    return found


def said(name: str, right: Sequence[bool]) -> None:
    low, high = wilson(sum(right), len(right))
    print(f"{name}: {100 * np.mean(right):.1f} % [{100 * low:.1f}, {100 * high:.1f}], n = {len(right)}", flush=True)


# --- persons ---


def silhouette(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """GrabCut from an upright ellipse: (height, width) of the crop, True on the person."""
    import cv2

    h, w = pixels.shape[:2]
    y, x = np.mgrid[:h, :w]
    dx, dy = (x + 0.5 - w / 2) / (w / 2), (y + 0.5 - h / 2) / (h / 2)
    mask = np.full((h, w), cv2.GC_PR_BGD, np.uint8)
    mask[(dx / 0.72) ** 2 + (dy / 0.98) ** 2 < 1] = cv2.GC_PR_FGD
    mask[(dx / 0.2) ** 2 + ((dy + 0.1) / 0.75) ** 2 < 1] = cv2.GC_FGD
    mask[np.abs(dx) > 0.93] = cv2.GC_BGD
    mask[(dy < -0.64) & (np.abs(dx) > 0.55)] = cv2.GC_BGD
    cv2.setRNGSeed(0)
    cv2.grabCut(pixels[..., ::-1].copy(), mask, None, np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_MASK)
    return np.asarray((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD))


def first_is_right(similarity: Tensor, right: Tensor, counts: Tensor) -> Tensor:
    """(n,): the most similar of the references that count is right; of equals the wrong one comes first."""
    best = similarity.masked_fill(~(right & counts), -torch.inf).amax(1)
    worst = similarity.masked_fill(right | ~counts, -torch.inf).amax(1)
    return best > worst


@app.command()
def persons(data: Path, count: int = 40, threads: int = 1) -> None:
    """Queries before one camera, the gallery before the other; then with same-camera distractors, and hidden parts."""
    torch.set_num_threads(threads)
    network, folder = _network("osnet"), data / "images" / "persons"
    rows = rows_of(folder)
    who, camera = (torch.tensor([int(row[name]) for row in rows]) for name in ("person", "camera"))
    x = load_images([folder / row["file"] for row in rows], network.preprocessing).tensor
    own = [silhouette(_resized(folder / row["file"], x.shape[2:])) for row in rows]
    inside = torch.from_numpy(np.stack(own))
    q, g = camera == 1, camera == 2
    found = foveal.retrieve(network, x[q], x[g], query_labels=who[q], reference_labels=who[g], show=0)
    print(found.summary, flush=True)
    black = {"as they are": x, "background hidden": x * inside[:, None], "person hidden": x * ~inside[:, None]}
    unit = {name: functional.normalize(_embedded(network, images), dim=1) for name, images in black.items()}
    for name, v in unit.items():
        alike, right = v[q] @ v.T, who[q][:, None] == who[None]
        before_other = g.expand(len(alike), -1)
        distracted = before_other | ~right
        said(f"{name}, gallery of the other camera", first_is_right(alike, right & g, before_other).tolist())
        said(f"{name}, and other persons before the same camera", first_is_right(alike, right & g, distracted).tolist())
        other = ~right
        same, across = (alike[other & at.expand_as(other)].mean() for at in (q, g))
        print(f"    cosine of different persons: same camera {float(same):.3f}, other camera {float(across):.3f}")
    v = unit["as they are"]
    hits = first_is_right(v[q] @ v[g].T, who[q][:, None] == who[g][None], torch.ones(int(q.sum()), int(g.sum())) > 0)
    numbers = q.nonzero()[:, 0][hits].tolist()
    report([_person(network, x, v, who, g, inside, i) for i in numbers[:: max(1, len(numbers) // count)][:count]])
    lines(network, x, v, who, g, inside, numbers[:: max(1, len(numbers) // count)][:count])


def _person(
    network: foveal.Model, x: Tensor, v: Tensor, who: Tensor, g: Tensor, inside: Tensor, i: int
) -> Decision:
    def stays(copies: Tensor) -> Tensor:
        return (who[g][(_embedded(network, copies) @ v[g].T).argmax(1)] == who[i]).float()

    reference = x[g][int((v[i] @ v[g].T).argmax())][None]
    return Decision(x[i : i + 1], stays, maps_of(network, x[i : i + 1], foveal.Similar(reference), METHODS), inside[i])


def lines(
    network: foveal.Model, x: Tensor, v: Tensor, who: Tensor, g: Tensor, inside: Tensor, numbers: Sequence[int]
) -> None:
    """`foveal.match`: the eight strongest pairs of positions; do both ends lie on the persons?"""
    ends = []
    gallery = g.nonzero()[:, 0]
    for i in numbers:
        j = int(gallery[int((v[i] @ v[g].T).argmax())])
        pair = foveal.match(network, x[i : i + 1], x[j : j + 1], lines=8)
        h, w = pair.query_maps.shape[-2:]
        for row in pair.places[0, 0]:
            if bool(torch.isfinite(row).all()):
                points = (row[:2], inside[i]), (row[2:4], inside[j])
                ends.append([_at(mask, point, (h, w)) for point, mask in points])
    print(
        f"\n{len(ends)} lines of {len(numbers)} matches: on the query's person {cell([a for a, _ in ends], percent=True)} %, "
        f"on the reference's {cell([b for _, b in ends], percent=True)} %, "
        f"both {cell([float(a and b) for a, b in ends], percent=True)} %"
    )


def _at(mask: Tensor, point: Tensor, cells: tuple[int, int]) -> float:
    y, x = ((int((k + 0.5) * side / n)) for k, side, n in zip(point.tolist(), mask.shape, cells, strict=True))
    return float(mask[y, x])


def _resized(file: Path, size: Sequence[int]) -> NDArray[np.uint8]:
    return np.asarray(Image.open(file).convert("RGB").resize((size[1], size[0]), Image.Resampling.BICUBIC))


# --- few-shot ---


@dataclass(frozen=True)
class FewShot:
    """A network, what compares, and how the examples of a class become one reference."""

    network: foveal.Model
    metric: Any
    reference: Callable[[Tensor], Tensor]


def few_shot_networks() -> list[FewShot]:
    side_by_side = lambda maps: torch.cat(list(maps), -1)  # noqa: E731  DN4: all positions of a class are one set
    return [
        FewShot(_network("proto_mini"), find_metric("squared"), lambda v: v.mean(0)),
        FewShot(_network("dn4_mini"), Nearest(3), side_by_side),
    ]


def episodes(labels: Sequence[int], queries: Sequence[int], shots: int, seed: int) -> Iterator[tuple[int, list[int], list[list[int]]]]:
    """(query, five classes, their examples): the query's class and four others, no example is the query."""
    random = np.random.default_rng(seed)
    classes = sorted(set(labels))
    for query in queries:
        others = [c for c in classes if c != labels[query]]
        ways = [labels[query], *random.choice(others, 4, replace=False).tolist()]
        pools = [[i for i, label in enumerate(labels) if label == way and i != query] for way in ways]
        yield query, ways, [random.choice(pool, shots, replace=False).tolist() for pool in pools]


def few_shot(files: list[Path], labels: list[int], queries: list[int], insides: list[Any], count: int, shots: int) -> None:
    for one in few_shot_networks():
        x = load_images(files, one.network.preprocessing).tensor
        v, right, decisions = _embedded(one.network, x), [], []
        for query, ways, examples in episodes(labels, queries, shots, seed=0):
            s = torch.stack([one.reference(v[own]) for own in examples])

            def choice(copies: Tensor, s: Tensor = s, one: FewShot = one) -> Tensor:
                few = [one.metric.score(q[None, None], s[None])[0] for q in _embedded(one.network, copies)]
                return torch.stack(few).argmax(1)

            right.append(int(choice(x[query : query + 1])) == 0)
            if right[-1] and len(decisions) < count:
                rule = ClosestClass(torch.arange(len(ways)), tuple(map(str, ways)), "nearest", None, True, 1.0)
                target = ReferenceTarget(s, one.metric, rule, "")
                maps = maps_of(one.network, x[query : query + 1], target, MARGINS)
                stays = partial(lambda copies, choice: (choice(copies) == 0).float(), choice=choice)
                decisions.append(Decision(x[query : query + 1], stays, maps, insides[query]))
        said(f"\n{one.network.name}, five ways, {shots} shots", right)
        report(decisions)


@app.command()
def novel(data: Path, count: int = 40, shots: int = 5, threads: int = 1) -> None:
    """Eight ImageNet classes that the networks never saw; where the object lies is not known."""
    torch.set_num_threads(threads)
    folder = data / "images" / "imagenet_novel"
    rows = rows_of(folder)
    labels = [int(row["class"]) for row in rows]
    queries = np.random.default_rng(0).permutation(len(rows)).tolist() * 2
    few_shot([folder / row["file"] for row in rows], labels, queries, [None] * len(rows), count, shots)


@app.command("birds")
def bird_species(data: Path, count: int = 40, shots: int = 5, threads: int = 1) -> None:
    """Ten species; queries are the photos with boxes."""
    torch.set_num_threads(threads)
    photos = birds(data)
    size = few_shot_networks()[0].network.preprocessing.size
    insides = [_on_square(photo.inside(), size) for photo in photos]
    queries = list(range(len(photos) - len(bird_parts(data)), len(photos))) * 2
    few_shot([photo.file for photo in photos], [photo.label for photo in photos], queries, insides, count, shots)


def _on_square(mask: NDArray[np.bool_] | None, size: tuple[int, int]) -> Tensor | None:
    """These networks squeeze the photo to a square."""
    if mask is None:
        return None
    return torch.from_numpy(np.array(Image.fromarray(mask).resize((size[1], size[0]), Image.Resampling.NEAREST)))


# --- characters ---


class Ways(nn.Module):
    """A relation network with the examples of an episode: characters (n, 1, 28, 28) to a logit for each example."""

    def __init__(self, relation: Any, examples: Tensor) -> None:
        super().__init__()
        self.encoder, self.relation = relation.encoder, relation.relation
        self.head = nn.Sequential(nn.Flatten(), relation.fc1, nn.ReLU(), relation.fc2)
        with torch.no_grad():
            self.register_buffer("examples", self.encoder(examples))

    def forward(self, x: Tensor) -> Tensor:
        q, s = self.encoder(x), self.examples
        pairs = torch.cat([s.repeat(len(q), 1, 1, 1), q.repeat_interleave(len(s), 0)], 1)
        logits: Tensor = self.head(self.relation(pairs)).view(len(q), len(s))
        return logits


@app.command()
def strokes(data: Path, count: int = 40, asked: int = 300, ways: int = 20, threads: int = 1) -> None:
    """Omniglot, one example for each of twenty characters; the object is the ink."""
    from tests import real_networks

    torch.set_num_threads(threads)
    x, ink, labels = characters(data)
    relation, random = real_networks.relation_omniglot(), np.random.default_rng(0)
    paper = x.amax().expand(1, 1, 28, 28)
    right, decisions = [], []
    for _ in range(asked):
        chosen = random.choice(np.unique(labels), ways, replace=False)
        pairs = [random.choice(np.flatnonzero(labels == c), 2, replace=False) for c in chosen]
        query, examples = int(pairs[0][0]), [int(pair[1]) for pair in pairs]
        net = Ways(relation, x[examples]).eval()
        with torch.inference_mode():
            right.append(int(net(x[query : query + 1]).argmax()) == 0)
        if right[-1] and len(decisions) < count:
            model = foveal.Model(net, "relation_omniglot", None, task="classes")
            maps = maps_of(model, x[query : query + 1], foveal.Margin(0), ("gradcam", "hirescam", "lrp-gamma"))
            stays = partial(lambda copies, net: (net(copies).argmax(1) == 0).float(), net=net)
            decisions.append(Decision(x[query : query + 1], stays, maps, ink[query], paper))
    said(f"relation network, {ways} ways, one shot", right)
    report(decisions)


def characters(data: Path) -> tuple[Tensor, Tensor, NDArray[np.int64]]:
    """(n, 1, 28, 28) as the network wants them, the ink (n, 28, 28), and which character each is."""
    with np.load(next((data / "images" / "omniglot").glob("*.npz"))) as stored:
        bits = next(stored[name] for name in stored.files if stored[name].ndim == 2)
        labels = np.asarray(stored["character"])
    drawn = np.unpackbits(bits, axis=1)[:, : 105 * 105].reshape(-1, 105, 105)
    small = np.stack([
        np.asarray(Image.fromarray((255 * (1 - one)).astype(np.uint8)).resize((28, 28), Image.Resampling.LANCZOS), float)
        for one in drawn
    ])  # fmt: skip
    return torch.from_numpy((small - 235.1253) / 21.4863).float()[:, None], torch.from_numpy(small < 200), labels


def _network(name: str) -> foveal.Model:
    from tests import real_networks

    return foveal.load_model(f"{real_networks.__file__}:{name}")


def _embedded(network: foveal.Model, x: Tensor) -> Tensor:
    with torch.inference_mode():
        return torch.cat([network.module(few) for few in x.split(16)]).clone()


if __name__ == "__main__":
    app()
