"""One map of one image, put to the test. Every experiment is made once, whichever metrics ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.errors import MethodError
from foveal.images.place import Place, laid
from foveal.metrics import curves, shape
from foveal.metrics.baselines import Fill
from foveal.metrics.curves import Ask, Curve, regrid
from foveal.metrics.infidelity import Infidelity, infidelity
from foveal.metrics.masked import Masked, adcc, coherency, mask_of, masked
from foveal.metrics.placement import Box
from foveal.metrics.road import SHARES, Road, road
from foveal.metrics.sensitivity import Explainer, sensitivity

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


@dataclass(frozen=True, eq=False)
class EvaluationSettings:
    """What the experiments are made with; a report states it.

    Attributes:
        steps: of deletion and insertion, at most.
        grid: (h, w) of the positions that curves change, the same for every map; None for each map's own.
        delete, insert, mask: what replaces positions in deletion, is there before insertion, shows behind a mask.
        shares: that ROAD removes.
        samples: perturbations of infidelity.
        radius, neighbors: of sensitivity.
        seed: of ties, noise and perturbations.
        chunk: copies asked at once; None for what fits.
    """

    steps: int = 196
    grid: tuple[int, int] | None = None
    delete: Fill = "zero"
    insert: Fill = "blur"
    mask: Fill = "zero"
    shares: Sequence[float] = SHARES
    samples: int = 64
    radius: float = 0.05
    neighbors: int = 4
    seed: int = 0
    chunk: int | None = None

    def to_dict(self) -> dict[str, object]:
        """As plain data."""
        fills = {
            name: fill if isinstance(fill := getattr(self, name), str) else "given"
            for name in ("delete", "insert", "mask")
        }
        return {
            "steps": self.steps, "grid": list(self.grid) if self.grid else None, **fills, "shares": list(self.shares),
            "samples": self.samples, "radius": self.radius, "neighbors": self.neighbors, "seed": self.seed,
        }  # fmt: skip


@dataclass(eq=False)
class Evaluation:
    """What can be asked of one map.

    Attributes:
        x: (1, c, h, w), the image.
        map: (h', w'), raw; negative evidence counts as least.
        ask: scores of altered copies; None where only the map is looked at.
        inside: (h, w) on the image's grid, true on the object; None where that is not known.
        boxes: of the object, on that grid.
        explain: explains other images the same way.
        whole: the score as the image is, where it is known.
        place: where the map's cells lie on the image; None is edge to edge.
    """

    x: Float[Tensor, "1 c h w"]
    map: Float[Tensor, "h2 w2"]
    ask: Ask | None = None
    inside: Bool[Tensor, "h w"] | None = None
    boxes: Sequence[Box] = ()
    explain: Explainer | None = None
    whole: float | None = None
    setting: EvaluationSettings = field(default_factory=EvaluationSettings)
    place: Place | None = None

    def __post_init__(self) -> None:
        if self.map.ndim != 2 or len(self.x) != 1:
            raise MethodError(f"an evaluation is of one image and its map (h, w), not {tuple(self.map.shape)}")
        self.map = self.map.detach()
        if not self.map.is_floating_point():
            self.map = self.map.float()
        if not bool(torch.isfinite(self.map).all()):
            raise MethodError("a map with values that are not finite cannot be measured: leave it out")

    @cached_property
    def score(self) -> float:
        if self.whole is not None:
            return self.whole
        with torch.no_grad():
            return float(self._ask(self.x)[0])

    @cached_property
    def deletion(self) -> Curve:
        setting = self.setting
        return curves.deletion(
            self._ask, self.x, self.on_grid, steps=setting.steps, fill=setting.delete, chunk=setting.chunk,
            seed=setting.seed,
        )  # fmt: skip

    @cached_property
    def insertion(self) -> Curve:
        setting = self.setting
        return curves.insertion(
            self._ask, self.x, self.on_grid, steps=setting.steps, fill=setting.insert, chunk=setting.chunk,
            seed=setting.seed,
        )  # fmt: skip

    @cached_property
    def masked(self) -> Masked:
        whole = torch.tensor([self.score])
        return masked(
            self._ask, self.x, self.map[None], fill=self.setting.mask, whole=whole, seed=self.setting.seed,
            place=self.place,
        )  # fmt: skip

    @cached_property
    def road(self) -> Road:
        setting = self.setting
        return road(
            self._ask, self.x, self.map, shares=setting.shares, whole=self.score, chunk=setting.chunk,
            seed=setting.seed, place=self.place,
        )  # fmt: skip

    @cached_property
    def infidelity(self) -> Infidelity:
        setting = self.setting
        return infidelity(
            self._ask, self.x, self.map, samples=setting.samples, whole=self.score, chunk=setting.chunk,
            seed=setting.seed, place=self.place,
        )  # fmt: skip

    @cached_property
    def sensitivity(self) -> float:
        setting = self.setting
        return sensitivity(
            self._again, self.x, radius=setting.radius, samples=setting.neighbors, seed=setting.seed, map=self.map
        )

    @cached_property
    def coherency(self) -> float:
        mask = mask_of(self.map[None].to(self.x), (self.x.shape[2], self.x.shape[3]), self.place)
        return coherency(self.map, self._again(self.x * mask)[0])

    @cached_property
    def adcc(self) -> float:
        return adcc(float(self.masked.drop[0]), self.coherency, shape.complexity(self.map))

    @cached_property
    def on_grid(self) -> Float[Tensor, "h3 w3"]:
        """The map on the grid of the curves, which tiles the image."""
        if self.setting.grid is None and self.place is None:
            return self.map
        size = self.setting.grid or (self.map.shape[0], self.map.shape[1])
        return regrid(self.map, size, self.place, self.x.shape[2:])

    @cached_property
    def grown(self) -> Float[Tensor, "h w"]:
        """The map on the image's grid."""
        return laid(self.map, self.x.shape[2:], self.place).cpu()

    @property
    def mask(self) -> Bool[Tensor, "h w"]:
        """Where the object is."""
        if self.inside is None:
            raise MethodError(
                "the position of the object is not known: pass masks= or boxes= for metrics of localization"
            )
        return self.inside.cpu()

    @property
    def _ask(self) -> Ask:
        if self.ask is None:
            raise MethodError("this metric runs the network: give the score to measure")
        return self.ask

    @property
    def _again(self) -> Explainer:
        if self.explain is None:
            raise MethodError(
                "this metric explains altered images: give the method by name, such as 'gradcam', or explain="
            )
        return self.explain
