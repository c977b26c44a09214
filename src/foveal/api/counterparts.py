"""Which position of the other image is like this one? A similarity taken apart over pairs of positions, one row of it.

T_xy    what position x of the image and y of the reference add together; Σ_xy T is the similarity
of      Σ_{x in positions} T_xy, a map on the reference
back    Σ_{y in positions} T_xy, a map on the image
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from foveal.attribution.embedding import ModelEmbedder, on_device
from foveal.attribution.prepare import read
from foveal.engine.arguments import extra_inputs
from foveal.engine.graph import recording
from foveal.engine.guard import unwrap
from foveal.engine.overwritten import kept_if_overwritten
from foveal.engine.select import last_stage_before
from foveal.engine.stages import describe
from foveal.errors import MethodError
from foveal.images import load_images
from foveal.methods.correspondence import WIDEST, passes_of, shares
from foveal.methods.pairwise import Side
from foveal.models.model import Model, as_model
from foveal.similarity import Cosine, Dot, find_metric
from foveal.similarity.local import ByFlow
from foveal.similarity.pooled import length

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from foveal.attribution.perturbation import Progress
    from foveal.images import Photo, Place
    from foveal.images.load import OneImage
    from foveal.similarity import Distance, MetricLike


@dataclass(frozen=True, eq=False)
class Counterparts:
    """Both images of a match, position by position.

    Attributes:
        ours: (d, x), what each position of the image adds to its embedding, in units in which ours · theirs is the
            similarity; of metrics that compare positions (y, x), the columns of T.
        theirs: (d, y).
        sizes: (h, w) of the maps of image and reference.
        photos, where: of image and reference, as in `foveal.Match`.
    """

    ours: Float[Tensor, "d x"]
    theirs: Float[Tensor, "d y"]
    sizes: tuple[tuple[int, int], tuple[int, int]]
    photos: tuple[Photo, Photo]
    where: tuple[Place | None, Place | None]

    def of(self, positions: Iterable[tuple[int, int]]) -> Float[Tensor, "h2 w2"]:
        """What the positions (row, column) of the image add together with each position of the reference."""
        return (self._sum(self.ours, 0, positions) @ self.theirs).view(self.sizes[1])

    def back(self, positions: Iterable[tuple[int, int]]) -> Float[Tensor, "h w"]:
        """What the positions of the reference add together with each position of the image."""
        return (self._sum(self.theirs, 1, positions) @ self.ours).view(self.sizes[0])

    def _sum(self, side: Tensor, which: int, positions: Iterable[tuple[int, int]]) -> Float[Tensor, " d"]:
        rows, columns = self.sizes[which]
        chosen = [*positions]
        outside = [at for at in chosen if not (0 <= at[0] < rows and 0 <= at[1] < columns)]
        if outside or not chosen:
            what = f"position {outside[0]}" if outside else "no position"
            raise MethodError(f"{what} was chosen on a map of {rows}×{columns} positions, counted from 0: choose one")
        return side[:, [row * columns + column for row, column in chosen]].sum(1)


@recording
def counterparts(
    model: Model, image: OneImage, reference: OneImage, *, metric: MetricLike = "cosine",
    progress: Progress | None = None,
) -> Counterparts:  # fmt: skip
    """The positions of two images, at the layer and by the embedding that `foveal.match` compares.

    Raises:
        MethodError: for a metric that is no sum over pairs of positions, or a head that costs too many passes.
    """
    subject, chosen = as_model(model), find_metric(metric)
    if not isinstance(chosen, Cosine | Dot | ByFlow):
        raise MethodError(
            f"{chosen.name} is not a sum over pairs of positions, so a position has no counterpart: use cosine or dot"
        )
    query = read(subject, [image])
    shelf = on_device(load_images([reference], subject.preprocessing), query.tensor)
    arguments = extra_inputs(1, (), None)
    site = ModelEmbedder(subject, query.tensor, arguments, []).layer(None, local=chosen.local)
    at = last_stage_before(site, describe(unwrap(subject.module), query.tensor, arguments), itself=True)

    def compare() -> Counterparts:
        with ExitStack() as block:
            one, other = (
                Side.of(subject.module, batch, at, site, arguments, chosen, what, block, progress, [])
                for batch, what in ((query, "query"), (shelf, "reference"))
            )
            lie = [side.whereabouts(subject.module).where.get(at) for side in (one, other)]
            ours, theirs = _placed(one, other, chosen)
            sizes = [(side.A.shape[2], side.A.shape[3]) for side in (one, other)]
            photos = query.photos[0], shelf.photos[0]
            return Counterparts(ours.detach(), theirs.detach(), (sizes[0], sizes[1]), photos, (lie[0], lie[1]))

    return kept_if_overwritten(compare)


def _placed(one: Side, other: Side, metric: Distance) -> tuple[Tensor, Tensor]:
    if isinstance(metric, ByFlow):
        table = metric.table(one.A[0], other.A[0])
        return table.mT, torch.eye(table.shape[1]).to(table)
    if (passes := passes_of(one)) > WIDEST:
        raise MethodError(
            f"the counterpart of a position takes {passes} backward passes for each image, more than the {WIDEST} "
            "that it is worth: the maps say where the similarity comes from"
        )
    scale = length(one.v[0]) * length(other.v[0]) if isinstance(metric, Cosine) else 1
    return shares(one)[0] / scale, shares(other)[0]
