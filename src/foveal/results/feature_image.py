"""One feature image, and how well it does what it is meant to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from foveal.errors import ResultError
from foveal.render.overlay import resized

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jaxtyping import Float, Int, UInt8
    from PIL import Image

SIDE = 320  # pixels in a notebook
TENSORS = ("image", "channels", "target", "attained", "before")


@dataclass(frozen=True, eq=False)
class FeatureImage:
    """One image, and how well it does what it is meant to.

    Attributes:
        image: (c, h, w) in 0..1; red, green, blue, or gray.
        name: "facet 2 at layer4", or the unit.
        layer: whose features were looked at.
        facet: which, from 0; None for single units.
        seed: which of several of the same kind.
        channels: (s,), the informative ones, strongest first; none for units.
        target: (c,), pooled features of the facet; None for units.
        attained: (c,), of the image. before: (c,), of what it began with.
        loss: the objective. step: when this image was found.
        curve: (step, objective without random views) on the way.
        snapshots: (step, image as (c, h, w) uint8) on the way.
    """

    image: Float[Tensor, "c h w"]
    name: str
    layer: str
    facet: int | None
    seed: int
    channels: Int[Tensor, " s"]
    target: Float[Tensor, " c"] | None
    attained: Float[Tensor, " c"]
    before: Float[Tensor, " c"]
    loss: float
    step: int
    curve: tuple[tuple[int, float], ...]
    snapshots: tuple[tuple[int, UInt8[Tensor, "c h w"]], ...]

    @property
    def gain(self) -> float:
        """⟨u_c / a_c⟩ over the informative channels: above 1, it excites them more than the photos do."""
        a = self._target[self.channels]
        kept = a.abs() > 0
        return float((self.attained[self.channels][kept] / a[kept]).mean())

    @property
    def fit(self) -> float:
        """cos(u, a) over all channels."""
        return float(functional.cosine_similarity(self.attained, self._target, dim=0))

    @property
    def fit_before(self) -> float:
        """The same of what it began with."""
        return float(functional.cosine_similarity(self.before, self._target, dim=0))

    @property
    def error(self) -> float:
        """‖u − a‖ / ‖a‖ over all channels. What is exaggerated counts, too."""
        return float((self.attained - self._target).norm() / self._target.norm())

    @property
    def recall(self) -> float:
        """The share of the informative channels among as many strongest ones of the image; meant for rule top_mean."""
        strongest = self.attained.topk(len(self.channels)).indices
        return float(torch.isin(self.channels, strongest).double().mean())

    def caption(self) -> str:
        """ "gain 1.42, fit 0.99, recall 1.00"; of a unit, what it attains."""
        if self.target is None:
            return f"objective {self.curve[0][1]:.3g} to {self.loss:.3g}"
        return f"gain {self.gain:.2f}, fit {self.fit:.3f}, recall {self.recall:.2f}"

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        known: dict[str, Any] = {
            "name": self.name,
            "layer": self.layer,
            "facet": self.facet,
            "seed": self.seed,
            "step": self.step,
        }
        known |= {"objective": self.loss}
        if self.target is None:
            return known
        scores = {what: getattr(self, what) for what in ("gain", "fit", "fit_before", "error", "recall")}
        return {**known, **scores, "channels": self.channels.tolist()}

    @classmethod
    def read(cls, i: int, facts: Mapping[str, Any], arrays: Mapping[str, Tensor]) -> FeatureImage:
        """Image i of a result that was saved."""
        steps = [(int(name.split("/")[2]), image) for name, image in arrays.items() if name.startswith(f"{i}/strip/")]
        tensors: dict[str, Any] = {what: arrays.get(f"{i}/{what}") for what in TENSORS}
        return cls(
            **tensors,
            name=facts["name"],
            layer=facts["layer"],
            facet=facts["facet"],
            seed=int(facts["seed"]),
            loss=float(facts["objective"]),
            step=int(facts["step"]),
            curve=tuple((int(step), float(loss)) for step, loss in facts["curve"]),
            snapshots=tuple(steps),
        )

    def figure(self, *, side: int | None = None) -> Image.Image:
        """The image, at its own size or with a long side of `side` pixels."""
        from foveal.render.feature_images import as_picture

        alone = as_picture(self.image)
        return resized(alone, side) if side else alone

    def to_html(self) -> str:
        """What a notebook shows, an HTML fragment: the image, then what `str` says."""
        from foveal.render.fragment import result_fragment

        return result_fragment([(self.figure(side=SIDE), f"Feature image: {self}.")], str(self))

    def _repr_html_(self) -> str:
        return self.to_html()

    def __str__(self) -> str:
        return f"{self.name}: {self.caption()}"

    __repr__ = __str__

    @property
    def _target(self) -> Tensor:
        if self.target is None:
            raise ResultError(
                f"{self.name} was made for a unit, not for a set of images: it has no target to compare with"
            )
        return self.target
