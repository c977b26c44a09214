"""References by the thousand: embedded once, a few images at a time, and compared with queries one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.attribution.embedding import AT_ONCE, ModelEmbedder, on_device
from foveal.errors import TargetError
from foveal.images import Batch, load_images
from foveal.images.image_source import ImageSource
from foveal.models.model import Model
from foveal.similarity import Distance
from foveal.targets.reference import check_embedding, embedded

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.attribution.perturbation import Progress
    from foveal.images import ImageLike


def read_like(subject: Model, first: Tensor, images: ImageLike | Batch) -> Batch:
    """The images as the network takes them, on the device of the first queries and of their type."""
    return on_device(load_images(images, subject.preprocessing, axes=first.ndim - 2), first)


def embedded_few_at_a_time(
    embedder: ModelEmbedder, images: ImageSource, site: str, metric: Distance, what: str,
    progress: Progress | None = None,
) -> Tensor:  # fmt: skip
    """(m, d), or (m, d, h, w) where positions are compared; images are read when they are needed, and forgotten.

    Raises:
        TargetError: for an embedding that cannot be compared.
    """
    parts, done = [], 0
    names = images.names(what)
    for batch in images.batches(AT_ONCE):
        activations = torch.cat([activation for (activation,) in embedder.through(batch.tensor, [site])])
        v = embedded(activations, local=metric.local).detach()
        check_embedding(v, names[done : done + len(v)], what=what, scale_free=metric.scale_free)
        parts.append(v)
        done += len(v)
        if progress:
            progress("gallery" if what == "reference" else "queries", done, len(images))
    return torch.cat(parts)


def similarities(metric: Distance, v: Float[Tensor, "k d"], references: Float[Tensor, "m d"]) -> Float[Tensor, "k m"]:
    """Row by row, so that memory holds one query's differences to the gallery at a time.

    Raises:
        TargetError: where one is not finite.
    """
    with torch.no_grad():
        rows = torch.stack([metric.score(one[None], references) for one in v])
    if not bool(torch.isfinite(rows).all()):
        raise TargetError("a similarity is not finite: the embeddings are too large to be compared in this precision")
    return rows
