"""A query between the best wrong and the best right reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from foveal.images import Geometry, Photo, Place
from foveal.results.rank_flip import RankFlip

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jaxtyping import Float
    from torch import Tensor

MAPS = ("query_map", "wrong_map", "right_map")
PHOTOS = ("query_photo", "wrong_photo", "right_photo")
NUMBERS = ("query", "wrong", "right")
WHERE = ("query_where", "reference_where")
CURVES = ("shares", "margins", "overtaken")


@dataclass(frozen=True, eq=False)
class Contrast:
    """Why the one and not the other: the margin, similarity(wrong) − similarity(right), on all three images.

    Attributes:
        query, wrong, right: numbers of the query and of its best wrong and best right reference.
        query_photo, wrong_photo, right_photo: the photos.
        similarities: to the wrong one and to the right one; larger is closer.
        query_map: (h, w), raw and signed: on the query, evidence for the wrong one less that for the right one. Above 0
            it speaks for the wrong one. It sums to the margin less `unplaced`.
        wrong_map: (h2, w2), on the wrong reference, evidence for its similarity to the query.
        right_map: (h2, w2), the same on the right reference.
        unplaced: the part of the margin that no position of the query holds (bias terms; 0 for pooled features).
        query_where, reference_where: where the positions of maps lie on the network's input; None is edge to edge.
        flip: what must be hidden until the first match is right; None where the first match is right.
    """

    query: int
    wrong: int
    right: int
    query_photo: Photo
    wrong_photo: Photo
    right_photo: Photo
    similarities: tuple[float, float]
    query_map: Float[Tensor, "h w"]
    wrong_map: Float[Tensor, "h2 w2"]
    right_map: Float[Tensor, "h2 w2"]
    query_where: Place | None = None
    reference_where: Place | None = None
    flip: RankFlip | None = None

    @property
    def margin(self) -> float:
        """similarity(wrong) − similarity(right): above 0 where the first match is wrong."""
        return self.similarities[0] - self.similarities[1]

    @property
    def unplaced(self) -> float:
        """What of the margin no position of the query holds."""
        return self.margin - float(self.query_map.double().sum())

    def arrays(self) -> dict[str, Tensor]:
        """Its tensors by name."""
        arrays = {name: getattr(self, name) for name in MAPS}
        arrays |= {name: torch.from_numpy(getattr(self, name).pixels) for name in PHOTOS}
        if self.flip:
            arrays |= {name: getattr(self.flip, name).double() for name in CURVES}
        if self.flip and self.flip.hidden is not None:
            arrays["hidden"] = self.flip.hidden.to(torch.uint8)
        if self.flip and self.flip.pair_hidden is not None:
            arrays["pair_hidden"] = self.flip.pair_hidden.to(torch.uint8)
        return arrays

    def facts(self) -> dict[str, Any]:
        """What a manifest says of it."""
        flip = {"draws": self.flip.draws, "hits": self.flip.hits} if self.flip else None
        return {
            **{name: getattr(self, name) for name in NUMBERS},
            **{name: _photo_facts(getattr(self, name)) for name in PHOTOS},
            **{name: place.to_dict() if (place := getattr(self, name)) else None for name in WHERE},
            "similarities": list(self.similarities),
            "flip": flip,
        }

    @classmethod
    def read(cls, facts: Mapping[str, Any], arrays: Mapping[str, Tensor]) -> Contrast:
        """The contrast of these facts and tensors."""
        flip = None
        if facts["flip"]:
            hidden, past_one = (arrays[name].bool() if name in arrays else None for name in ("hidden", "pair_hidden"))
            shares, margins, overtaken = (arrays[name] for name in CURVES)
            flip = RankFlip(
                shares, margins, overtaken.bool(), hidden, int(facts["flip"]["draws"]), int(facts["flip"]["hits"]),
                past_one,
            )  # fmt: skip
        wrong, right = map(float, facts["similarities"])
        fields: dict[str, Any] = {
            **{name: int(facts[name]) for name in NUMBERS},
            **{name: _photo(facts[name], arrays[name]) for name in PHOTOS},
            **{name: arrays[name] for name in MAPS},
            **{name: Place.from_dict(facts[name]) for name in WHERE if facts[name]},
        }
        return cls(**fields, similarities=(wrong, right), flip=flip)


def _photo_facts(photo: Photo) -> dict[str, Any]:
    return {"source": photo.source, "notes": list(photo.notes), "geometry": photo.geometry.to_dict()}


def _photo(facts: Mapping[str, Any], pixels: Tensor) -> Photo:
    return Photo(pixels.numpy(), Geometry.from_dict(facts["geometry"]), facts["source"], tuple(facts["notes"]))
