"""One fine-grained map of a whole tree. Specification: gAP, section 6.5.

H_l = Σ_{v at stage l} π(v) · h_v / Σ h_v       π the path share, h_v the contributions of v to its parent;
                                                parts against the decision have π below 0, and count in H_l alone
H   = (Π_l (H_l + ε_l))^(1/L), less what it is where no H_l is anything    supported at every level
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.images.place import Place, laid
from foveal.images.window import placed

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.results.joining import Grown

FAINT = 0.01  # ε_l, in units of the largest of H_l


def place_of(tree: Grown, stage: int) -> Place | None:
    """Where the positions of a stage lie on the network's input; None is edge to edge."""
    cells, shape = tree.stages[stage].place, tree.stages[stage].shape[1:]
    return cells and Place(*cells).settled(shape, tree.photo.geometry.input_size)


def stage_map(tree: Grown, stage: int) -> Float[Tensor, "h w"]:
    """H_l at the stage's own resolution; sums to the share of the decision that the tree holds there."""
    flow = tree.flow()
    size = tree.stages[stage].shape[1:]
    total = torch.zeros(size, dtype=torch.float64)
    for parent in [tree.decision, *tree.features.values()]:
        if parent.stage != stage + 1 or parent.key not in flow:
            continue
        for edge in parent.edges or ():
            h = (edge.map.detach().cpu().double() * (1 if edge.mass >= 0 else -1)).relu()
            total += placed(flow[parent.key] * edge.share * h / h.sum().clamp(min=1e-300), edge.corner, size)
    return total


def fine_map(tree: Grown, size: tuple[int, int]) -> Float[Tensor, "h w"]:
    """H at any size; what is larger than every stage is interpolated."""
    logs = []
    for stage in range(len(tree.stages)):
        H = laid(stage_map(tree, stage), size, place_of(tree, stage), tree.photo.geometry.input_size).relu()
        if float(H.amax()) > 0:
            logs.append((H / H.amax() + FAINT).log())
    if not logs:
        return torch.zeros(size, dtype=torch.float64)
    return torch.stack(logs).mean(0).exp() - FAINT
