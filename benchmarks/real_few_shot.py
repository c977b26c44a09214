"""Few-shot networks on images of classes that they never saw: right how often, and where does the evidence lie?

    python -m benchmarks.real_few_shot novel ../shared/data     # ProtoNet and DN4 on eight classes of ImageNet
    python -m benchmarks.real_few_shot birds ../shared/data     # the same networks on birds whose boxes are known
    python -m benchmarks.real_few_shot strokes ../shared/data   # a relation network on characters; the object is ink

Explained are right decisions, by the margin to the runner-up. Columns: `benchmarks.decisions`; hidden positions are
blurred, of characters they become paper.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

import foveal
from benchmarks.decisions import Decision, embedded, maps_of, network, report, said
from benchmarks.real_photos import bird_parts, birds, rows_of
from foveal.images import load_images
from foveal.similarity import find_metric
from foveal.similarity.local import Nearest
from foveal.targets.prototypes import ClosestClass
from foveal.targets.reference import ReferenceTarget

MARGINS = ("fam:weights=margin", "gradcam", "hirescam", "lrp-gamma")
app = typer.Typer(no_args_is_help=True, add_completion=False)


@dataclass(frozen=True)
class FewShot:
    """A network, what compares, and how the examples of a class become one reference."""

    network: foveal.Model
    metric: Any
    reference: Callable[[Tensor], Tensor]


def few_shot_networks() -> list[FewShot]:
    """Prototypes are means; of DN4 the positions of all examples of a class are one set."""
    return [
        FewShot(network("proto_mini"), find_metric("squared"), lambda v: v.mean(0)),
        FewShot(network("dn4_mini"), Nearest(3), lambda maps: torch.cat(list(maps), -1)),
    ]


def episodes(
    labels: Sequence[int], queries: Sequence[int], shots: int, seed: int
) -> Iterator[tuple[int, list[int], list[list[int]]]]:
    """(query, five classes, their examples): the query's class and four others, no example is the query."""
    random = np.random.default_rng(seed)
    classes = sorted(set(labels))
    for query in queries:
        others = [c for c in classes if c != labels[query]]
        ways = [labels[query], *random.choice(others, 4, replace=False).tolist()]
        pools = [[i for i, label in enumerate(labels) if label == way and i != query] for way in ways]
        yield query, ways, [random.choice(pool, shots, replace=False).tolist() for pool in pools]


def few_shot(
    files: list[Path], labels: list[int], queries: list[int], insides: list[Any], count: int, shots: int
) -> None:
    for one in few_shot_networks():
        x = load_images(files, one.network.preprocessing).tensor
        v, right, decisions = embedded(one.network, x), [], []
        for query, ways, examples in episodes(labels, queries, shots, seed=0):
            s = torch.stack([one.reference(v[own]) for own in examples])

            def choice(copies: Tensor, s: Tensor = s, one: FewShot = one) -> Tensor:
                few = [one.metric.score(q[None, None], s[None])[0] for q in embedded(one.network, copies)]
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
def novel(data: Path, count: int = 24, shots: int = 5, threads: int = 1) -> None:
    """Eight ImageNet classes that the networks never saw; where the object lies is not known."""
    torch.set_num_threads(threads)
    folder = data / "images" / "imagenet_novel"
    rows = rows_of(folder)
    labels = [int(row["class"]) for row in rows]
    queries = np.random.default_rng(0).permutation(len(rows)).tolist() * 2
    few_shot([folder / row["file"] for row in rows], labels, queries, [None] * len(rows), count, shots)


@app.command("birds")
def bird_species(data: Path, count: int = 24, shots: int = 5, threads: int = 1) -> None:
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
        np.asarray(Image.fromarray(255 * (1 - one)).resize((28, 28), Image.Resampling.LANCZOS), float) for one in drawn
    ])  # fmt: skip
    return torch.from_numpy((small - 235.1253) / 21.4863).float()[:, None], torch.from_numpy(small < 200), labels


if __name__ == "__main__":
    app()
