"""Several trees in one folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from foveal.results.feature_graph_rows import TENSORS, graph_rows
from foveal.results.storage import read_photo, write_photo
from foveal.results.tree import Tree, tree_facts, tree_from
from foveal.storage.arrays import described, read_arrays, write_arrays

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from foveal.storage.manifest import Saved

ARRAYS = "trees.npz"


def write_trees(aside: Path, trees: Sequence[Tree]) -> Mapping[str, Any]:
    """One photo a tree, and trees.npz; what the manifest is to say of them."""
    rows: list[dict[str, Any]] = []
    arrays: dict[str, Tensor] = {}
    for number, tree in enumerate(trees):
        graph, tensors = graph_rows([tree.decision, *tree.features.values()])
        arrays |= {f"{number}/{name}": tensor for name, tensor in tensors.items()}
        rows.append({**tree_facts(tree), "photo": write_photo(aside, tree.photo, f"photo-{number:04d}"), **graph})
    write_arrays(aside / ARRAYS, arrays)
    return {"trees": rows, "arrays": described(arrays)}


def read_trees(saved: Saved) -> tuple[Tree, ...]:
    """The trees that `write_trees` wrote."""
    with saved.open(ARRAYS) as file:
        arrays = read_arrays(file, saved["arrays"])
    return tuple(
        tree_from(facts, {name: arrays[f"{number}/{name}"] for name in TENSORS}, read_photo(saved, facts["photo"]))
        for number, facts in enumerate(saved["trees"])
    )
