"""One map of one image, put to the test. Every experiment is made once, whichever metrics ask for it.

Of several maps of one image, `evaluated_together` makes all experiments at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch
from torch import Tensor

from foveal.errors import MethodError
from foveal.images.place import Place, laid
from foveal.metrics import shape
from foveal.metrics.asking import Answers, Ask, Experiment
from foveal.metrics.baselines import Fill
from foveal.metrics.curves import Curve, CurvePath, regrid
from foveal.metrics.infidelity import Infidelity, perturbing
from foveal.metrics.masked import Masked, adcc, coherency, mask_of, masking
from foveal.metrics.placement import Box
from foveal.metrics.road import SHARES, Road, removing
from foveal.metrics.sensitivity import Explainer, sensitivity

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

CurveName: TypeAlias = "Literal['deletion', 'insertion']"
ExperimentName: TypeAlias = "CurveName | Literal['masked', 'road', 'infidelity']"
CURVES: tuple[CurveName, ...] = ("deletion", "insertion")


@dataclass(frozen=True, eq=False)
class EvaluationSettings:
    """What the experiments are made with; a report states it.

    Attributes:
        steps: of deletion and insertion, at most.
        tolerance: of the areas of deletion and insertion, see `foveal.metrics.deletion`; None asks all steps.
        together: the maps of an image share copies and chunks, and where areas are closer than their errors, more steps
            are asked until the maps are in order. Else the numbers of a map do not depend on the others in any digit.
        grid: (h, w) of the positions that curves change, the same for every map; None for each map's own.
        delete, insert, mask: what replaces positions in deletion, is there before insertion, shows behind a mask.
        shares: that ROAD removes.
        samples: perturbations of infidelity.
        radius, neighbors: of sensitivity.
        seed: of ties, noise and perturbations.
        chunk: copies asked at once; None for what fits.
    """

    steps: int = 196
    tolerance: float | None = None
    together: bool = True
    grid: tuple[int, ...] | None = None
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
            "steps": self.steps, "tolerance": self.tolerance, "together": self.together,
            "grid": list(self.grid) if self.grid else None, **fills, "shares": list(self.shares),
            "samples": self.samples, "radius": self.radius, "neighbors": self.neighbors, "seed": self.seed,
        }  # fmt: skip


@dataclass(eq=False)
class Evaluation:
    """What can be asked of one map.

    Attributes:
        x: (1, c, h, w), the image.
        map: (h', w'), raw; negative evidence counts as least.
        ask: scores of altered copies, or the answers that several maps of the image share; None where only the map is
            looked at.
        inside: (h, w) on the image's grid, true on the object; None where that is not known.
        boxes: of the object, on that grid.
        explain: explains other images the same way.
        whole: the score as the image is, where it is known.
        place: where the map's cells lie on the image; None is edge to edge.
    """

    x: Float[Tensor, "1 c h w"]
    map: Float[Tensor, "h2 w2"]
    ask: Ask | Answers | None = None
    inside: Bool[Tensor, "h w"] | None = None
    boxes: Sequence[Box] = ()
    explain: Explainer | None = None
    whole: float | None = None
    setting: EvaluationSettings = field(default_factory=EvaluationSettings)
    place: Place | None = None
    _made: dict[ExperimentName, Any] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if self.map.ndim != self.x.ndim - 2 or len(self.x) != 1:
            raise MethodError(f"an evaluation is of one image and its map (h, w), not {tuple(self.map.shape)}")
        self.map = self.map.detach()
        if not self.map.is_floating_point():
            self.map = self.map.float()
        if not bool(torch.isfinite(self.map).all()):
            raise MethodError("a map with values that are not finite cannot be measured: leave it out")

    @property
    def score(self) -> float:
        """Of the image as it is."""
        return self.answers.whole

    @property
    def deletion(self) -> Curve:
        curve: Curve = self._result("deletion")
        return curve

    @property
    def insertion(self) -> Curve:
        curve: Curve = self._result("insertion")
        return curve

    @property
    def masked(self) -> Masked:
        masked: Masked = self._result("masked")
        return masked

    @property
    def road(self) -> Road:
        road: Road = self._result("road")
        return road

    @property
    def infidelity(self) -> Infidelity:
        infidelity: Infidelity = self._result("infidelity")
        return infidelity

    def _result(self, name: ExperimentName) -> Any:
        if name not in self._made:
            self.answers.of(self.experiment(name))
        return self._made[name]

    def has_made(self, name: ExperimentName) -> bool:
        """Whether the result of this experiment is there."""
        return name in self._made

    def experiment(self, name: ExperimentName, tolerance: float | None = None) -> Experiment[Any]:
        """An experiment, which leaves its result here; a curve goes on to a smaller tolerance."""
        setting, seed, place = self.setting, self.setting.seed, self.place
        made: Experiment[Any]
        if name in ("deletion", "insertion"):
            made = self._paths[name].measured(tolerance)
        elif name == "masked":
            made = masking(self.x, self.map, fill=setting.mask, seed=seed, place=place)
        elif name == "road":
            made = removing(self.x, self.map, shares=setting.shares, seed=seed, place=place)
        else:
            made = perturbing(self.x, self.map, samples=setting.samples, seed=seed, place=place)
        self._made[name] = result = yield from made
        return result

    @cached_property
    def _paths(self) -> dict[ExperimentName, CurvePath]:
        setting = self.setting
        path = partial(CurvePath, self.x, self.on_grid, steps=setting.steps, tolerance=setting.tolerance)
        return {
            "deletion": path("deletion", fill=setting.delete, seed=setting.seed),
            "insertion": path("insertion", fill=setting.insert, seed=setting.seed),
        }

    @cached_property
    def sensitivity(self) -> float:
        setting = self.setting
        return sensitivity(
            self._again, self.x, radius=setting.radius, samples=setting.neighbors, seed=setting.seed, map=self.map
        )

    @cached_property
    def coherency(self) -> float:
        mask = mask_of(self.map[None].to(self.x), self.x.shape[2:], self.place)
        return coherency(self.map, self._again(self.x * mask)[0])

    @cached_property
    def adcc(self) -> float:
        return adcc(float(self.masked.drop[0]), self.coherency, shape.complexity(self.map))

    @cached_property
    def on_grid(self) -> Float[Tensor, "h3 w3"]:
        """The map on the grid of the curves, which tiles the image."""
        if self.setting.grid is None and self.place is None:
            return self.map
        size = self.setting.grid or self.map.shape
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

    @cached_property
    def answers(self) -> Answers:
        """What the network says of altered copies."""
        if self.ask is None:
            raise MethodError("this metric runs the network: give the score to measure")
        if isinstance(self.ask, Answers):
            return self.ask
        return Answers(self.ask, self.x, whole=self.whole, chunk=self.setting.chunk)

    @property
    def _again(self) -> Explainer:
        if self.explain is None:
            raise MethodError(
                "this metric explains altered images: give the method by name, such as 'gradcam', or explain="
            )
        return self.explain
