"""What a tree of the studio costs: each answer, and a node switched off beside what runs after its layer.

python -m benchmarks.studio_tree
python -m benchmarks.studio_tree --model tests/real_networks.py:resnet50 \
    --photo ../shared/data/images/imagenet/025_n01629819.jpg

Prints, for both kinds of nodes, the seconds of the first level, of two branches and of what their features lose; then
for the strongest node of each stage the milliseconds of switching it off, of what runs after its layer for one image,
and their ratio, medians of several runs that take turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import TYPE_CHECKING, Any

import torch

import foveal
import foveal.webapp.asks  # registers them
from foveal.synthetic import demo_scenes
from foveal.webapp.ask import ASKS
from foveal.webapp.studio import Studio
from foveal.webapp.trees import TreeQuery, live_tree, pictures_of

if TYPE_CHECKING:
    from foveal.results.feature_graph import Feature
    from foveal.webapp.trees import LiveTree

RUNS = 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="demo")
    parser.add_argument("--photo")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    studio = Studio({"model": foveal.load_model(asked.model)})
    if asked.photo:
        studio.add_photos([asked.photo])
    else:
        studio.add_scenes(demo_scenes()[:1])
    for nodes in ("parts", "neurons"):
        print(nodes)
        query = {"photo": next(iter(studio.photos)).hash, "model": "model", "nodes": nodes}
        live = opened(studio, query)
        node = live.tree.root
        while node.children:
            node = node.children[0]
            switched(live, node.feature)


def opened(studio: Studio, query: dict[str, Any]) -> LiveTree:
    """What a person waits for who opens the strongest node, and its strongest."""
    first = timed(studio, "tree", query).branch.nodes[0].id
    timed(studio, "tree/effects", query)
    second = timed(studio, "tree/branch", {**query, "of": first}).nodes[0].id
    timed(studio, "tree/effects", {**query, "of": first})
    timed(studio, "tree/branch", {**query, "of": second})
    timed(studio, "tree/effects", {**query, "of": second})
    return live_tree(studio, TreeQuery(**query))


def timed(studio: Studio, name: str, query: dict[str, Any]) -> Any:
    began = time.perf_counter()
    answer = ASKS[name].answer(studio, ASKS[name].query(**query), lambda what, done, total: None)
    print(f"  {name:14}{query.get('of', 'decision'):20}{time.perf_counter() - began:6.2f} s")
    return answer


def switched(live: LiveTree, feature: Feature) -> None:
    """A feature off, and the same network from its layer on."""
    live.switched({feature: 0.0})  # what comes before the layer runs once
    ours, theirs = [], []
    for _ in range(RUNS):
        began = time.perf_counter()
        live.switched({feature: 0.0})
        ours.append(1000 * (time.perf_counter() - began))
        theirs.append(1000 * after_layer(live, feature.layer))
    off, tail = statistics.median(ours), statistics.median(theirs)
    print(f"  off           {feature.name:34}{off:8.1f} ms, after the layer {tail:8.1f} ms, {off / tail:5.2f} ×")


def after_layer(live: LiveTree, layer: str) -> float:
    """The seconds from the moment a layer returns to the end of a forward pass."""
    context, began = pictures_of(live).context, []
    module = dict(context.model.named_modules())[layer]
    handle = module.register_forward_hook(lambda *_: began.append(time.perf_counter()))
    with torch.no_grad():
        context.model(context.x)
    handle.remove()
    return time.perf_counter() - float(began[-1])


if __name__ == "__main__":
    main()
