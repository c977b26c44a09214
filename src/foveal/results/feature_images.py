"""What `foveal.visualize` gives: images of what a layer responds to, with what is known of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from foveal.errors import ResultError

if TYPE_CHECKING:
    import os

    from jaxtyping import Float, Int, UInt8
    from PIL import Image
    from torch import nn

    from foveal.images import Photo
    from foveal.models import Model
    from foveal.results.explanation import JSON
    from foveal.results.facet import Facet


@dataclass(frozen=True, eq=False)
class FeatureImage:
    """One image, and how well it does what it is meant to.

    Attributes:
        image: (c, h, w) in 0..1; red, green, blue, or grey.
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

    @property
    def words(self) -> str:
        """ "gain 1.42, fit 0.99, recall 1.00"; of a unit, what it attains."""
        if self.target is None:
            return f"objective {self.curve[0][1]:.3g} to {self.loss:.3g}"
        return f"gain {self.gain:.2f}, fit {self.fit:.3f}, recall {self.recall:.2f}"

    def facts(self) -> dict[str, Any]:
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

    @property
    def _target(self) -> Tensor:
        if self.target is None:
            raise ResultError(f"{self.name} was made for a unit, not for a set: it has no target to be compared with")
        return self.target


@dataclass(frozen=True, eq=False)
class FeatureImages:
    """Portraits of the facets of a set, or of single units.

    Attributes:
        portraits: layer by layer, facet by facet, seed by seed.
        photos: the n originals; empty for units without a set.
        facets: which photos made which target.
        features: layer -> (n, c), pooled features of the photos.
        model: its name.
        parameters: how they were made.
        notes: what a reader must know.
        seconds: the time it took.
        versions: what they were made with.
    """

    portraits: tuple[FeatureImage, ...]
    photos: tuple[Photo, ...]
    facets: tuple[Facet, ...]
    features: Mapping[str, Float[Tensor, "n c"]]
    model: str
    parameters: Mapping[str, JSON]
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.portraits)

    def __getitem__(self, i: int) -> FeatureImage:
        return self.portraits[i]

    def __iter__(self) -> Iterator[FeatureImage]:
        return iter(self.portraits)

    @property
    def layers(self) -> tuple[str, ...]:
        """Those portrayed, in the order they were asked for."""
        return tuple(dict.fromkeys(one.layer for one in self.portraits))

    # --- is it true? ---

    def nearest(self, i: int, count: int = 4) -> tuple[tuple[int, float], ...]:
        """The photos of the whole set whose features are most like portrait i's: (which, cosine), best first."""
        one = self.portraits[i]
        if one.layer not in self.features:
            return ()
        cos = functional.cosine_similarity(self.features[one.layer], one.attained[None], dim=1)
        order = cos.argsort(descending=True)[:count].tolist()
        return tuple((k, float(cos[k])) for k in order)

    def retrieved(self, i: int) -> int:
        """The facet whose target is most like portrait i's features, by the cosine about the mean of all targets."""
        one = self.portraits[i]
        return nearest_target(one.attained, self.targets(one.layer))

    def retrieval(self) -> float:
        """Share of portraits that are most like their own facet's target. 1 where there is one facet only."""
        return _share(self.retrieved(i) == one.facet for i, one in enumerate(self.portraits))

    def targets(self, layer: str) -> Float[Tensor, "k c"]:
        """The facets' targets at a layer."""
        return torch.stack([facet.mean(self.features[layer]) for facet in self.facets])

    def transfer(self, model: nn.Module | Model, layer: str | None = None, **preprocessing: Any) -> Transfer:
        """Show portraits and photos to another network: are the portraits most like their own facets there, too?

        Args:
            layer: of that network; None for its last stage.
            preprocessing: as in `foveal.visualize`, where the model does not say.
        """
        from foveal.featurevis.transfer import transferred

        return transferred(self, model, layer, **preprocessing)

    def answers(
        self, model: nn.Module | Model, count: int = 5, **preprocessing: Any
    ) -> tuple[tuple[TransferScore, ...], ...]:
        """What the classifier, which had no part in it, takes each portrait for: its most probable classes."""
        from foveal.featurevis.transfer import answered

        return answered(self, model, count, **preprocessing)

    # --- pictures ---

    def picture(self, i: int = 0) -> Image.Image:
        """Portrait i alone."""
        from foveal.render.feature_images import as_picture

        return as_picture(self.portraits[i].image)

    def figure(self, *, side: int = 224) -> Image.Image:
        """A row a facet: photos, what the image began with, the portrait at each layer, in numbers, too."""
        from foveal.render.feature_images import sheet

        return sheet(self, side=side)

    def strip(self, *, side: int = 192) -> Image.Image:
        """A row a portrait: how it came about."""
        from foveal.render.feature_images import strips

        return strips(self, side=side)

    def bars(self, i: int = 0, *, count: int = 24) -> Image.Image:
        """Attained against target activation of the strongest channels of portrait i."""
        from foveal.render.feature_images import bars

        return bars(self.portraits[i], count=count)

    def plane(self, *, side: int = 900, layer: str | None = None) -> Image.Image:
        """The set in the plane, by t-SNE of its features, coloured by facet, with the most typical photos."""
        from foveal.render.feature_images import plane

        return plane(self, side=side, layer=layer)

    def _repr_png_(self) -> bytes:
        from io import BytesIO

        file = BytesIO()
        self.figure().save(file, "PNG")
        return file.getvalue()

    # --- keeping ---

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Portraits, figures, numbers and manifest.json; all of it or nothing."""
        from foveal.results.feature_images_storage import save_portraits

        return save_portraits(self, Path(folder))

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> FeatureImages:
        """Those saved in a folder; tensors on the CPU. ResultError if anything is missing or changed."""
        from foveal.results.feature_images_storage import load_portraits

        return load_portraits(Path(folder))

    def __str__(self) -> str:
        many = f" of {len(self.facets)} facets of {len(self.photos)} pictures" if self.facets else ""
        lines = [f"{len(self)} portraits{many}, {self.model}, {self.seconds:.1f} s"]
        lines += [f"  {one.name:32} {one.words}" for one in self.portraits]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    __repr__ = __str__


@dataclass(frozen=True)
class TransferScore:
    """One class, and how probable the network takes it to be."""

    label: str
    index: int
    probability: float


@dataclass(frozen=True, eq=False)
class Transfer:
    """Portraits seen by a network that had no part in making them.

    Attributes:
        model, layer: of that network.
        found: for each portrait, the facet whose photos it is most like there.
        own: which it is meant to be.
        fit: cosine with its own facet's features there.
    """

    model: str
    layer: str
    found: tuple[int, ...]
    own: tuple[int, ...]
    fit: tuple[float, ...]

    @property
    def share(self) -> float:
        """Of portraits that are most like their own facet."""
        return _share(a == b for a, b in zip(self.found, self.own, strict=True))

    def __str__(self) -> str:
        share = f"{100 * self.share:.0f} % of {len(self.own)} portraits"
        return f"{self.model} at {self.layer}: {share} are most like their own facet"

    __repr__ = __str__


def nearest_target(u: Tensor, targets: Tensor) -> int:
    """By the cosine about the mean of the targets, as features that all share say nothing."""
    if len(targets) == 1:
        return 0
    middle = targets.mean(0)
    return int(functional.cosine_similarity((u - middle)[None], targets - middle, dim=1).argmax())


def _share(hits: Any) -> float:
    each = [float(hit) for hit in hits]
    return sum(each) / len(each) if each else float("nan")
