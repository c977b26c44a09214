"""Feature images shown to networks that had no part in making them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor, nn

from foveal.engine.guard import unwrap
from foveal.engine.select import LayerName, select_layers
from foveal.errors import MethodError
from foveal.featurevis.network import FeatureNetwork
from foveal.featurevis.normalization import Normalization
from foveal.images import load_images
from foveal.models.model import Model, as_model, placed, weight_of
from foveal.render.feature_images import as_picture
from foveal.results.feature_images import FeatureImages, nearest_target
from foveal.targets.class_scores import class_head, first_head

if TYPE_CHECKING:
    from foveal.images import Preprocessing


@dataclass(frozen=True)
class TransferScore:
    """One class, and how probable the network takes it to be."""

    label: str
    index: int
    probability: float


@dataclass(frozen=True, eq=False)
class Transfer:
    """Feature images seen by a network that had no part in making them.

    Attributes:
        model, layer: of that network.
        retrieved: for each feature image, the facet whose photos it is most like there.
        facets: which it is meant to be.
        fit: cosine with its own facet's features there.
    """

    model: str
    layer: str
    retrieved: tuple[int, ...]
    facets: tuple[int, ...]
    fit: tuple[float, ...]

    @property
    def share(self) -> float:
        """Of feature images that are most like their own facet."""
        own = [a == b for a, b in zip(self.retrieved, self.facets, strict=True)]
        return float(torch.tensor(own).double().mean())

    def __str__(self) -> str:
        share = f"{100 * self.share:.0f} % of {len(self.facets)} feature images"
        return f"{self.model} at {self.layer}: {share} are nearest to their own facet"

    __repr__ = __str__


def shown_to(
    faces: FeatureImages, model: nn.Module | Model, preprocessing: Preprocessing | None = None
) -> tuple[Model, Tensor]:
    """A network, and the feature images as its input."""
    subject = as_model(model, preprocessing)
    batch = placed(
        load_images([as_picture(image.image) for image in faces], of_pictures(subject.preprocessing)), subject.module
    )
    return subject, batch.tensor


def of_pictures(preprocessing: Preprocessing | None) -> Preprocessing | None:
    """The same for pictures of 8 bits that were made here: a range or frame that is declared is that of files.

    Raises:
        MethodError: where values are kept in a file's own units, which no such picture has.
    """
    if preprocessing is None or (preprocessing.range is None and preprocessing.frame is None):
        return preprocessing
    if not preprocessing.clip:
        raise MethodError("the network takes values in a file's own units (clip is False), and images here have 8 bits")
    return replace(preprocessing, range=None, frame=None)


def answers(
    faces: FeatureImages, model: nn.Module | Model, count: int = 5, *, preprocessing: Preprocessing | None = None
) -> tuple[tuple[TransferScore, ...], ...]:
    """What the classifier, which had no part in it, takes each image for: its most probable classes."""
    subject, x = shown_to(faces, model, preprocessing)
    first = first_head(subject.module, subject.task, x, labels=subject.labels)
    chances = class_head(subject.module, first.task, x, first.ending).probabilities
    if chances is None:
        raise MethodError(
            f"only a classifier can classify feature images, and what {subject.name} gives is {first.meaning}: if its "
            "outputs are class scores, say so (in Python foveal.Model(network, name, task='classes'))"
        )
    best = chances.float().topk(min(count, chances.shape[1]))
    names = first.names(subject.labels)
    return tuple(
        tuple(
            TransferScore(names[k] if names else str(k), k, p)
            for k, p in zip(indices, probabilities, strict=True)
        )
        for indices, probabilities in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    )  # fmt: skip


def transfer(
    faces: FeatureImages,
    model: nn.Module | Model,
    layer: LayerName | None = None,
    *,
    preprocessing: Preprocessing | None = None,
) -> Transfer:
    """Show images and photos to another network: are the images most like their own facets there, too?

    Args:
        layer: of that network; None for its last stage.
        preprocessing: as in `foveal.visualize`, where the model does not say.

    Raises:
        MethodError: for images of single units, which stand for no facet.
    """
    if not faces.facets:
        raise MethodError(
            "only feature images of a set of images can be tested on another network: these are of single units"
        )
    subject, x = shown_to(faces, model, preprocessing)
    photos = load_images([Image.fromarray(photo.pixels) for photo in faces.photos], of_pictures(subject.preprocessing))
    batch = placed(photos, subject.module)
    eye = FeatureNetwork(subject.module, Normalization.of(subject.preprocessing, x), weight_of(subject.module))
    at = select_layers(unwrap(subject.module), layer, lambda: eye.structure)[0]
    of_photos = eye.features(eye.normalization.from_input(batch.tensor), (at,))[at].float().cpu()
    of_faces = eye.features(eye.normalization.from_input(x), (at,))[at].float().cpu()
    targets = torch.stack([facet.mean(of_photos) for facet in faces.facets])
    own = tuple(image.facet or 0 for image in faces)
    fit = torch.cosine_similarity(of_faces, targets[list(own)], dim=1).tolist()
    return Transfer(subject.name, at, tuple(nearest_target(u, targets) for u in of_faces), own, tuple(fit))
