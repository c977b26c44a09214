"""What `foveal.visualize` gives: images of what a layer responds to, with what is known of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from foveal.errors import ResultError
from foveal.render.tree_words import count
from foveal.results.facet import Facet
from foveal.results.feature_image import TENSORS, FeatureImage
from foveal.results.result import Result, check_kind, checked_index, finite
from foveal.results.storage import read_photo, write_photo
from foveal.similarity.plane import places
from foveal.storage.arrays import described, read_arrays, write_arrays
from foveal.storage.naming import plain_name

if TYPE_CHECKING:
    from pathlib import Path

    from jaxtyping import Float
    from PIL import Image

    from foveal.images import Photo
    from foveal.results.explanation import JSON
    from foveal.storage.manifest import Saved

ARRAYS = "feature_images.npz"
SHOWN = 36  # images of single units in a notebook


@dataclass(frozen=True, eq=False)
class FeatureImages(Result):
    """Feature images of the facets of a set, or of single units.

    Attributes:
        images: layer by layer, facet by facet, seed by seed.
        photos: the n originals; empty for units without a set.
        facets: which photos made which target.
        features: layer -> (n, c), pooled features of the photos.
        model: its name.
        parameters: how they were made.
        notes: what a reader must know.
        seconds: the time it took.
        versions: what they were made with.
    """

    FORMAT: ClassVar[str] = "foveal-feature-images/1"

    images: tuple[FeatureImage, ...]
    photos: tuple[Photo, ...]
    facets: tuple[Facet, ...]
    features: Mapping[str, Float[Tensor, "n c"]]
    model: str
    parameters: Mapping[str, JSON]
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> FeatureImage:
        return self.images[checked_index(i, len(self.images))]

    def __iter__(self) -> Iterator[FeatureImage]:
        return iter(self.images)

    @property
    def layers(self) -> tuple[str, ...]:
        """Those portrayed, in the order they were asked for."""
        return tuple(dict.fromkeys(image.layer for image in self.images))

    # --- is it true? ---

    def nearest(self, i: int, count: int = 4) -> tuple[tuple[int, float], ...]:
        """The photos of the whole set whose features are most like feature image i's: (which, cosine), best first."""
        image = self[i]
        if image.layer not in self.features:
            return ()
        cos = functional.cosine_similarity(self.features[image.layer], image.attained[None], dim=1)
        order = cos.argsort(descending=True)[:count].tolist()
        return tuple((k, float(cos[k])) for k in order)

    def retrieved(self, i: int) -> int:
        """The facet whose target is most like image i's features, by the cosine about the mean of all targets."""
        image = self[i]
        return nearest_target(image.attained, self.targets(image.layer))

    def retrieval(self) -> float:
        """Share of feature images that are most like their own facet's target. 1 where there is one facet only."""
        own = [self.retrieved(i) == image.facet for i, image in enumerate(self.images)]
        return float(torch.tensor(own).double().mean())

    def targets(self, layer: str) -> Float[Tensor, "k c"]:
        """The facets' targets at a layer."""
        return torch.stack([facet.mean(self.features[layer]) for facet in self.facets])

    # --- images ---

    def figure(self, kind: str = "facets", *, i: int = 0, side: int | None = None) -> Image.Image:
        """The images beside the photos of their facets, or their progress.

        Args:
            kind: "facets": one row per facet, with photos, the starting image, and the image at each layer with its
                numbers; "strip": one row per image, its progress; "image": image i alone, at its own size.
        """
        from foveal.render.feature_images import facet_rows, snapshot_rows

        check_kind(kind, "facets", "strip", "image")
        if kind == "image":
            return self[i].figure(side=side)
        return snapshot_rows(self, side=side or 192) if kind == "strip" else facet_rows(self, side=side or 224)

    def _shown(self) -> Sequence[tuple[Image.Image, str]]:
        """The facets; of single units the first."""
        first = self if self.facets else replace(self, images=self.images[:SHOWN])
        said = "; ".join(f"{image.name}, {image.caption()}" for image in first)
        return [(first.figure(), f"Feature images of {self.model}: {said}.")]

    def bars(self, i: int = 0, *, count: int = 24) -> Image.Image:
        """Attained against target activation of the strongest channels of feature image i."""
        from foveal.render.feature_images import channel_bars

        return channel_bars(self[i], count=count)

    def plane(self, *, side: int = 900, layer: str | None = None) -> Image.Image:
        """The set in the plane, by t-SNE of its features, colored by facet, with the most typical photos."""
        from foveal.render.feature_images import plane

        if not self.facets:
            raise ResultError(
                "these feature images are of single units: there is no set of images to draw in the plane"
            )
        layer = layer or self.layers[-1]
        points = places(self.features[layer]).numpy()
        return plane(self, points, self._facet_of_each(layer), layer, side=side)

    def _facet_of_each(self, layer: str) -> list[int]:
        """The facet of every photo: its own, or where no target was made of it, the one with the nearest target."""
        targets = self.targets(layer)
        labels = [nearest_target(u, targets) for u in self.features[layer]]
        for number, facet in enumerate(self.facets):
            for i in facet.members:
                labels[i] = number
        return labels

    # --- keeping ---

    def to_dict(self) -> dict[str, Any]:
        """How the images were made, and how well each does."""
        return {
            "images": [finite(image.to_dict()) for image in self], "parameters": finite(self.parameters),
            **self._facts(), "pictures": [photo.source for photo in self.photos],
        }  # fmt: skip

    def _facts(self) -> dict[str, Any]:
        return {
            "model": self.model, "layers": list(self.features),
            "facets": [{"members": list(facet.members), "size": facet.size} for facet in self.facets],
            "notes": list(self.notes), "seconds": self.seconds, "versions": dict(self.versions),
        }  # fmt: skip

    def _write(self, aside: Path) -> Mapping[str, Any]:
        """image-….png, sheet.png, strip.png, bars-….png, plane.png, the photos and feature_images.npz."""
        self._draw(aside)
        photos = [write_photo(aside, photo, f"photo-{i:04d}") for i, photo in enumerate(self.photos)]
        arrays = self._arrays()
        write_arrays(aside / ARRAYS, arrays)
        images = [{**image.to_dict(), "curve": [list(point) for point in image.curve]} for image in self]
        return {
            **self._facts(), "parameters": dict(self.parameters), "images": images, "photos": photos,
            "arrays": described(arrays),
        }  # fmt: skip

    @classmethod
    def _read(cls, saved: Saved) -> FeatureImages:
        with saved.open(ARRAYS) as file:
            arrays = read_arrays(file, saved["arrays"])
        return cls(
            tuple(FeatureImage.read(i, facts, arrays) for i, facts in enumerate(saved["images"])),
            tuple(read_photo(saved, photo) for photo in saved["photos"]),
            tuple(
                Facet(tuple(facet["members"]), arrays[f"weights/{b}"], int(facet["size"]))
                for b, facet in enumerate(saved["facets"])
            ),
            {layer: arrays[f"features/{layer}"] for layer in saved["layers"]},
            saved["model"],
            saved["parameters"],
            tuple(saved["notes"]),
            float(saved["seconds"]),
            saved["versions"],
        )

    def _draw(self, folder: Path) -> None:
        self.figure().save(folder / "sheet.png")
        self.figure("strip").save(folder / "strip.png")
        for i, image in enumerate(self):
            name = f"{i:0{len(str(len(self) - 1))}d}-{plain_name(image.name)}.png"
            self.figure("image", i=i).save(folder / f"image-{name}")
            if image.target is not None:
                self.bars(i).save(folder / f"bars-{name}")
        if len(self.photos) > 2:
            self.plane().save(folder / "plane.png")

    def _arrays(self) -> dict[str, Tensor]:
        arrays: dict[str, Tensor] = {}
        for i, made in enumerate(self):
            arrays |= {f"{i}/{what}": value for what in TENSORS if (value := getattr(made, what)) is not None}
            arrays |= {f"{i}/strip/{step}": image for step, image in made.snapshots}
        arrays |= {f"weights/{b}": facet.weights for b, facet in enumerate(self.facets)}
        return arrays | {f"features/{layer}": z for layer, z in self.features.items()}

    def __str__(self) -> str:
        many = f" of {count(len(self.facets), 'facet')} in {count(len(self.photos), 'image')}" if self.facets else ""
        lines = [f"{count(len(self), 'feature image')}{many}, {self.model}, {self.seconds:.1f} s"]
        lines += [f"  {image.name:32} {image.caption()}" for image in self.images]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    __repr__ = __str__


def nearest_target(u: Tensor, targets: Tensor) -> int:
    """By the cosine about the mean of the targets, as features that all share say nothing."""
    if len(targets) == 1:
        return 0
    middle = targets.mean(0)
    return int(functional.cosine_similarity((u - middle)[None], targets - middle, dim=1).argmax())
