"""The photos of a set in which parts are strongest, and where.

    u      the profile of a part: the share of each channel in its evidence, at least 0, Σ u = 1

    by contribution     ± Σ_p Σ_c u_c R_c(p)    R to the same target by the same rule, ± the sign of the part's value
    by activation       max_p Σ_c u_c A_c(p)

The first asks where the network uses the part for the same decision, the second where it sees it. (Relevance and
activation maximization: Achtibat et al., Nature Machine Intelligence 5, 2023, arXiv:2206.03208.)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from foveal.attribution.sharing import grid_steps, without_grid
from foveal.hierarchy.part_box import densest_square
from foveal.hierarchy.windows import Windows
from foveal.images import Place
from foveal.render.feature import crop_at
from foveal.render.overlay import fit
from foveal.results.part_example import ORDERS, Order, PartExample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor

    from foveal.engine.structure import Stage
    from foveal.hierarchy.part_expansion import StageEvidence
    from foveal.images import Photo
    from foveal.results.feature_graph import Feature

FAINT = 0.1  # of the strongest photo's value, that others have at least
SIDE = 224  # pixels of an example that are kept
FINE = 4  # of these to one value of its map


@dataclass(frozen=True, eq=False)
class ExampleSearch:
    """The strongest photos so far.

    Attributes:
        features: parts.
        stages: of the tree.
        size: (h, w) of the network's input.
        most: photos of a part by each order.
    """

    features: Sequence[Feature]
    stages: Sequence[Stage]
    size: tuple[int, int]
    most: int
    found: dict[tuple[Feature, Order], list[PartExample]] = field(default_factory=dict)

    def add(self, photo: Photo, file: Path, evidence: Sequence[StageEvidence]) -> None:
        """Look at a photo with this evidence at each stage."""
        for feature in self.features:
            for order in ORDERS:
                map = self._map(feature, order, evidence[feature.stage])
                value = float(map.double().sum() if order == "contribution" else map.max())
                kept = self.found.setdefault((feature, order), [])
                if value > 0 and (len(kept) < self.most or value > kept[-1].value):
                    kept.append(self._example(feature, order, photo, file, value, map))
                    kept.sort(key=lambda example: -example.value)
                    del kept[self.most :]

    def of(self, feature: Feature) -> tuple[PartExample, ...]:
        """Of a part, by contribution, then by activation; not those much weaker than the strongest."""
        return tuple(
            example
            for order in ORDERS
            if (found := self.found.get((feature, order)))
            for example in found
            if example.value >= FAINT * found[0].value
        )

    def _map(self, feature: Feature, order: Order, item: StageEvidence) -> Float[Tensor, "h w"]:
        assert feature.profile is not None
        u = (feature.profile / feature.profile.sum().clamp(min=1e-30)).to(item.A)
        if order == "activation":
            return torch.einsum("c,chw->hw", u, item.A[0])
        R = torch.einsum("c,chw->hw", u, item.R) * (-1 if feature.value < 0 else 1)
        activity = torch.einsum("c,chw->hw", u, item.difference[0].abs())
        later = self.stages[feature.stage :]
        steps = grid_steps([Windows.between(low, high, None).pool for low, high in pairwise(later)])
        return without_grid(R[None, None], activity[None, None], steps)[0, 0]

    def _example(
        self, feature: Feature, order: Order, photo: Photo, file: Path, value: float, map: Float[Tensor, "h w"]
    ) -> PartExample:
        map = map.detach().cpu().float()
        stage = self.stages[feature.stage]
        seen = map.clamp(min=0) if order == "contribution" else (map - map.median()).clamp(min=0)
        box = densest_square(seen, stage, self.size)
        shown = fit(crop_at(photo, box), SIDE)
        place = stage.place and Place(*stage.place).settled(tuple(map.shape), self.size)
        on_photo = np.asarray(shown.geometry.map_to_photo(seen.numpy(), place=place), np.float32)[::FINE, ::FINE]
        pixels, near = torch.from_numpy(shown.pixels.copy()), torch.from_numpy(on_photo.copy())
        return PartExample(order, file, value, box, pixels, near)
