"""The hierarchy of supporting features as one map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.attribution.method import Method
from foveal.engine.address import INPUT
from foveal.errors import MethodError

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.attribution.perturbation import PerturbationScorer


def hierarchical(
    probe: PerturbationScorer, *, branching: int = 5, rule: str = "pool_up", gate: bool = True
) -> Float[Tensor, "h w"]:
    """What is supported at every level of the tree, at the input; at a stage, what its features hold.

    Raises:
        MethodError: at a layer that is no stage of the network.
    """
    from foveal.hierarchy.build import tree_of
    from foveal.hierarchy.settings import TreeSettings
    from foveal.results.tree_map import fine_map, stage_map

    with torch.enable_grad():
        tree = tree_of(probe.alone(), TreeSettings(branching, rule=rule, gate=gate))
        names = [stage.name for stage in tree.stages]
        if probe.layer not in (INPUT, *names):
            raise MethodError(f"gap works at stages, and {probe.layer} is none: say {', '.join(names)} or input")
        tree.grow(None if probe.layer == INPUT else len(names) - names.index(probe.layer), least=0)
    probe.measured["kept"] = tree.kept()
    height, width = probe.x.shape[2:]
    map = fine_map(tree, (height, width)) if probe.layer == INPUT else stage_map(tree, names.index(probe.layer))
    return map.to(probe.x if probe.x.dtype.itemsize >= 4 else torch.float32)


FAMILY = (
    Method(
        "gap", "Hierarchical gAP", hierarchical, "forwards",
        "parts made of smaller parts; where every level supports them, as fine as the first stage",
        "Cheng et al., IJCV 131, 2023, arXiv:2201.09205; the map is ours",
        place="input",
        options={"branching": 5, "rule": "pool_up", "gate": True},
        looks_inside=True,
    ),
)  # fmt: skip
