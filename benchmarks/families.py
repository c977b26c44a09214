"""FAM and its rivals on ten families of networks and the three tasks that embeddings serve.

    python -m benchmarks.families train -o families/            # small networks of up to seven families, on drawn birds
    python -m benchmarks.families drawn families/               # and what the maps of their decisions are worth
    python -m benchmarks.families photos ../shared/data         # trained networks of three more, on photos of birds

Tasks: "few-shot", five ways and five shots by prototypes; "vote", twenty neighbors of a bank; "retrieval", the cosine
to the nearest of a gallery. Each picture the network decides rightly is explained at the map that makes the embedding.

"drop", "increase": Average Drop and Increase in % of the decision's score (probability, share of the vote, cosine) when
the picture shows as far as its map does; "mass": how far, for a nearly constant map has no drop and says nothing.
"deletion", "insertion": areas below the curves of the score, 12 steps on 14 × 14 cells. "hit" (drawn only): the part
the map points at is the part whose removal from the scene lowers the score most.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, TensorDataset

import foveal
from foveal.attribution.prepare import prepare
from foveal.engine.capture import capture
from foveal.errors import TargetError
from foveal.images import load_images
from foveal.metrics import deletion, insertion, masked
from foveal.metrics.baseline_maps import baseline_map_of_photo
from foveal.models import Model, save_model
from foveal.models.extras import import_timm, import_torchvision
from foveal.synthetic.agreement import top_part
from foveal.synthetic.dataset import LICENSE, PREPROCESSING, SplitDataset, normalized
from foveal.synthetic.effects import effects
from foveal.synthetic.splits import Example, Split
from foveal.targets import Target
from foveal.targets.target import ModelOutput
from foveal.training.synthetic_recipe import SyntheticSettings, SyntheticStep, train

METHODS = ("fam", "fam:weights=linear", "gradcam", "layercam", "eigencam", "mean activation", "random")
HEAD = ("network", "task", "method", "n", "drop", "increase", "mass", "deletion", "insertion", "hit %")
app = typer.Typer(no_args_is_help=True, add_completion=False)

# --- small networks of seven families ---


def vgg() -> nn.Module:
    """Eight convolutions, four poolings."""
    import_torchvision()
    from torchvision.models.vgg import VGG, make_layers

    net = VGG(make_layers([16, 16, "M", 32, 32, "M", 64, 64, "M", 128, "M", 128], batch_norm=True), num_classes=20)
    net.avgpool, net.classifier = nn.AdaptiveAvgPool2d(1), nn.Sequential(nn.Linear(128, 20))
    return net


def densenet() -> nn.Module:
    """Four dense blocks that grow by twelve."""
    import_torchvision()
    from torchvision.models import DenseNet

    return DenseNet(growth_rate=12, block_config=(3, 4, 6, 3), num_init_features=24, num_classes=20)


def shufflenet() -> nn.Module:
    net: nn.Module = import_torchvision().models.shufflenet_v2_x0_5(weights=None, num_classes=20)
    return net


def of_timm(name: str) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        net: nn.Module = import_timm().create_model(name, pretrained=False, num_classes=20)
        return net

    return make


mobilenetv3, efficientnet = of_timm("mobilenetv3_small_050"), of_timm("tinynet_e")  # a small EfficientNet
mnasnet, ghostnet = of_timm("mnasnet_small"), of_timm("ghostnet_050")
FAMILIES = ("vgg", "densenet", "shufflenet", "mobilenetv3", "efficientnet", "mnasnet", "ghostnet")


class FamilyRecipe:
    """Which of twenty species: plain cross-entropy, on pictures drawn once for all families."""

    usual = SyntheticSettings(images=4_000, epochs=4, tests=400, rate=2e-3, precision="bfloat16")

    def __init__(self, name: str, pictures: Dataset[tuple[Tensor, Tensor]]) -> None:
        self.name, self.pictures = name, pictures

    def network(self) -> nn.Module:
        net: nn.Module = globals()[self.name]()
        return net

    def scenes(self, settings: SyntheticSettings) -> Dataset[tuple[Tensor, Tensor]]:
        return self.pictures

    def loss(self, net: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(net(images).float(), targets)

    def useful(self, net: nn.Module) -> nn.Module:
        return net

    def examined(
        self, net: nn.Module, settings: SyntheticSettings, device: torch.device, workers: int
    ) -> Iterator[SyntheticStep]:
        right = 0
        for done, (image, target) in enumerate(DataLoader(SplitDataset(Split("classes", settings.tests)), 50), 1):
            with torch.inference_mode():
                right += int((net(normalized(image.to(device))).argmax(1).cpu() == target).sum())
            yield SyntheticStep("test", 50 * done, settings.tests, accuracy=right / (50 * done))

    def save(self, net: nn.Module, folder: Path, recipe: Mapping[str, object], accuracy: float) -> Path:
        card = {"recipe": dict(recipe), "accuracy": {"classes": round(accuracy, 4)}, "license": LICENSE}
        model = Model(net, self.name, PREPROCESSING, None, card, "classes")
        return save_model(model, folder / f"{self.name}.safetensors", architecture=f"benchmarks.families:{self.name}")


@app.command("train")
def train_all(
    out: Annotated[Path, typer.Option("--out", "-o")],
    family: Annotated[list[str] | None, typer.Option(help="some of them")] = None,
) -> None:
    """Train the small networks; those that are there are left alone."""
    todo = [name for name in family or FAMILIES if not (out / f"{name}.json").exists()]
    split = SplitDataset(Split("classes", FamilyRecipe.usual.images, train=True))
    batches = list(DataLoader(split, 64, num_workers=2)) if todo else []
    pictures = TensorDataset(*(torch.cat(parts) for parts in zip(*batches, strict=True))) if todo else None
    for name in todo:
        assert pictures is not None
        with typer.progressbar(length=1000, label=name) as bar:
            for step in train(FamilyRecipe(name, pictures), out, workers=0):
                accuracy = step.accuracy
                bar.update(0 if step.phase == "draw" else 1)
        print(f"{name}: {100 * (accuracy or 0):.1f} % of the species", flush=True)


# --- decisions ---


@dataclass(frozen=True)
class Case:
    """One picture, what is decided about it, and what is known: the scene where it is drawn."""

    picture: Any
    label: Any
    target: Target
    example: Example | None = None


@dataclass(frozen=True)
class MethodRequest:
    """The decision as a number in 0..1 about any inputs."""

    network: Model
    decision: Target
    layers: tuple[str, ...]
    share: bool

    def __call__(self, x: Tensor) -> Tensor:
        with torch.no_grad(), capture(self.network.module, self.layers, gradient=False) as run:
            output, scores = run.forward(x), []
            for i in range(len(x)):  # of a vote in which nobody is left for the class the share is 0
                seen = {layer: A[i : i + 1] for layer, A in run.activations.items()}
                try:
                    verdict = self.decision.decide(ModelOutput(output[i : i + 1], seen, None))
                except TargetError:
                    scores.append(torch.zeros(1))
                    continue
                found = verdict.probability if self.share else verdict.score
                assert found is not None
                scores.append(found.clamp(0, 1))
        return torch.cat(scores)


def few_shot(pictures: Sequence[Any], labels: Sequence[Any], count: int, seed: int = 0) -> Iterator[tuple[int, Target]]:
    """(query, decision): episodes of five classes, five examples each."""
    random = np.random.default_rng(seed)
    classes = sorted(set(labels))
    for _ in range(count):
        ways = random.choice(len(classes), 5, replace=False)
        of = {
            classes[w]: random.permutation([i for i, label in enumerate(labels) if label == classes[w]]) for w in ways
        }
        support = [(i, label) for label, found in of.items() for i in found[:5]]
        query = next(iter(of.values()))[5]
        yield int(query), foveal.Prototypes([pictures[i] for i, _ in support], [str(label) for _, label in support])


def vote(pictures: Sequence[Any], labels: Sequence[Any], count: int) -> Iterator[tuple[int, Target]]:
    """(query, decision): all others are the bank."""
    for query in _spread(len(pictures), count):
        rest = [i for i in range(len(pictures)) if i != query]
        yield query, foveal.Neighbors([pictures[i] for i in rest], [str(labels[i]) for i in rest], k=20)


def retrieval(pictures: Sequence[Any], labels: Sequence[Any], count: int) -> Iterator[tuple[int, Target]]:
    """(query, decision): the nearest of all others, which is the class it is of."""
    for query in _spread(len(pictures), count):
        rest = [i for i in range(len(pictures)) if i != query]
        yield query, foveal.Prototypes([pictures[i] for i in rest], [str(labels[i]) for i in rest], rule="nearest")


TASKS = {"few-shot": few_shot, "vote": vote, "retrieval": retrieval}


def _spread(n: int, count: int) -> list[int]:
    return [round(i * n / count) for i in range(min(count, n))]


def embedded_all(network: Model, pictures: Sequence[Any]) -> Tensor:
    """(n, d), so that supports and banks are embedded once."""
    site = foveal.find_embedding(network, load_images(pictures[0], network.preprocessing).tensor)
    found = []
    for start in range(0, len(pictures), 16):
        x = load_images(list(pictures[start : start + 16]), network.preprocessing).tensor
        with torch.no_grad(), capture(network.module, [site.layer] if site.layer else [], gradient=False) as run:
            output = run.forward(x)
            v = run.activations[site.layer] if site.layer else output
        found.append(v.mean((2, 3)) if v.ndim == 4 else v)
    return torch.cat(found)


# --- what the maps are worth ---


def judge(
    network: Model, pictures: Sequence[Any], labels: Sequence[Any], examples: Sequence[Example], count: int
) -> None:
    v = embedded_all(network, pictures)
    for task, decisions in TASKS.items():
        rows: dict[str, list[list[float]]] = {method: [] for method in METHODS}
        asked = 0
        for query, target in decisions(list(v.unbind(0)), labels, count):
            target = replace(target, **stacked(target))  # type: ignore[type-var]
            inquiry = prepare(network, pictures[query], target)
            layers = inquiry.decision.layers
            with torch.no_grad(), capture(network.module, layers, gradient=False) as run:
                verdict = inquiry.decision.decide(ModelOutput(run.forward(inquiry.batch.tensor), run.activations, None))
            asked += 1
            if not verdict.label[0].startswith(str(labels[query])):
                continue
            share = task != "retrieval"
            decision: Any = inquiry.decision
            decided = (
                replace(decision, rule=replace(decision.rule, which=verdict.label[0]))
                if share
                else verdict.per_image[0]
            )
            ask = MethodRequest(network, decided, layers, share)
            truth = _decisive(network, examples[query], ask) if examples else None
            for method in METHODS:
                map = map_of(network, pictures[query], target, method)
                rows[method].append(score(ask, inquiry.batch, map, truth, examples[query] if examples else None))
        for method, found in rows.items():
            print(
                "| " + " | ".join([network.name, task, method, f"{len(found)}/{asked}", *_cells(found)]) + " |",
                flush=True,
            )


def stacked(target: Any) -> dict[str, Any]:
    name = "bank" if hasattr(target, "bank") else "support"
    return {name: torch.stack(list(getattr(target, name)))}


def map_of(network: Model, picture: Any, target: Target, method: str) -> Tensor:
    if method == "random":
        photo = load_images(picture, network.preprocessing).photos[0]
        return torch.from_numpy(baseline_map_of_photo("random", photo.pixels)).float()
    if method != "mean activation":
        return foveal.explain(network, picture, target, method=method).map[0]
    layer = foveal.explain(network, picture, target, method="gradcam").layer
    with capture(network.module, [layer], gradient=False) as run:
        run.forward(load_images(picture, network.preprocessing).tensor, stop=True)
        return run.activations[layer][0].mean(0)


def score(ask: MethodRequest, batch: Any, map: Tensor, truth: str | None, example: Example | None) -> list[float]:
    x = batch.tensor
    behind = masked(ask, x, map[None])
    coarse = functional.interpolate(map[None, None], (14, 14), mode="bilinear", align_corners=False)[0, 0]
    areas = [curve(ask, x, coarse, steps=12).area for curve in (deletion, insertion)]
    hit = float("nan")
    if example is not None:
        on_photo = np.nan_to_num(batch.photos[0].geometry.map_to_photo(map.numpy()))
        hit = float(top_part(on_photo, example.labels) == truth)
    return [float(behind.drop[0]), float(behind.increase[0]), float(behind.mass[0]), *areas, hit]


def _decisive(network: Model, example: Example, ask: MethodRequest) -> str:
    """The part of the bird whose removal lowers the score most."""

    def of(pictures: Any) -> Any:
        return ask(load_images(list(pictures), network.preprocessing).tensor).numpy()

    row = effects([example.scene], of).row(0)
    return max((part for part in row if part != "background"), key=lambda part: row[part])


def _cells(rows: list[list[float]]) -> list[str]:
    if not rows:
        return ["–"] * 6
    drop, increase, mass, deleted, inserted, hit = np.array(rows).T
    said = "–" if np.isnan(hit).all() else f"{100 * hit.mean():.0f}"
    return [
        f"{100 * drop.mean():.0f}", f"{100 * increase.mean():.0f}", f"{mass.mean():.2f}", f"{deleted.mean():.3f}",
        f"{inserted.mean():.3f}", said,
    ]  # fmt: skip


def _head() -> None:
    print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD), flush=True)


@app.command("drawn")
def drawn(folder: Path, count: int = 12, threads: int = 2) -> None:
    """The trained small networks, and the bundled one, on species they know (vote) and novel ones."""
    torch.set_num_threads(threads)
    _head()
    examples = list(Split("novel", 200, seed=3))
    pictures, labels = [e.image for e in examples], [Split("novel").classes[e.target] for e in examples]
    networks = {name: folder / f"{name}.safetensors" for name in FAMILIES}
    judge(foveal.load_model("demo"), pictures, labels, examples, count)
    for name, path in networks.items():
        if path.exists():
            network = foveal.load_model(f"benchmarks.families:{name}", weights=path)
            judge(replace(network, name=name, preprocessing=PREPROCESSING), pictures, labels, examples, count)


@app.command("photos")
def photos(data: Path, count: int = 8, threads: int = 2) -> None:
    """Networks trained on ImageNet, on photos of ten species of birds."""
    from tests import real_networks

    torch.set_num_threads(threads)
    _head()
    with next((data / "images" / "birds").glob("index.csv")).open(newline="") as file:
        rows = list(csv.DictReader(file))
    pictures, labels = [data / "images" / "birds" / row["file"] for row in rows], [row["species"] for row in rows]
    for name in ("resnet18", "mobilenet_v2", "squeezenet1_1"):
        judge(foveal.load_model(f"{real_networks.__file__}:{name}"), pictures, labels, [], count)


if __name__ == "__main__":
    app()
