"""Parts of a similarity: each lies on the query and on what the query is compared with, and has a share of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from foveal.errors import ResultError
from foveal.render.scale import number
from foveal.results.result import finite

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

EFFECTS = ("query", "reference", "both", "random", "same lengths", "random, same lengths")
AXES = {
    "similarity": 1, "pro": 2, "contra": 2, "numbers": 3, "query_maps": 4, "reference_maps": 5, "effects": 3,
}  # fmt: skip
DIFFERENT = 5e-3  # shares that are told apart in words
LEADING = 5  # numbers of the embedding that a part names


class JoinedPart(NamedTuple):
    """One part, on both images.

    Attributes:
        number: from 1, the largest first.
        value: what it adds to the similarity; below 0 it takes away.
        share: of the similarity. The shares of all parts and of what no part holds sum to 1.
        pro, contra: what in it is for the similarity and what is against it; value = pro − contra.
        numbers: (e,), what each number of the embedding adds to it.
        query_map: (h, w), where on the query.
        reference_maps: (r, h2, w2), where on each of the r images that the query is compared with.
        distance: the similarity is a distance with its sign turned: the shares are of the distance.
        effects: the share of the similarity that is lost without the part on the "query", on the "reference" and on
            "both"; with as much removed at "random" on one of them (the mean of two; of a distance, on both). A cosine
            rescales what is left:
            "same lengths" is what one image without the part loses before that, "random, same lengths" the same at
            random. NaN where it is not measured.
    """

    number: int
    value: float
    share: float
    pro: float
    contra: float
    numbers: Float[Tensor, " e"]
    query_map: Float[Tensor, "h w"]
    reference_maps: Float[Tensor, "r h2 w2"]
    distance: bool
    effects: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """The numbers; the channels that count most."""
        order = self.numbers.abs().argsort(descending=True, stable=True)[:LEADING]
        plain = {name: getattr(self, name) for name in ("number", "value", "share", "pro", "contra")}
        channels = [{"channel": int(e), "adds": float(self.numbers[e])} for e in order]
        return dict(finite({**plain, "effects": dict(self.effects), "channels": channels}))

    @property
    def lost(self) -> float:
        """The share that is lost without the part: on one image, the mean of both; of a distance, on both images.

        A distance is about what differs, and a part that one image alone is without makes it differ more.
        """
        one = (self.effects["query"] + self.effects["reference"]) / 2
        return self.effects["both"] if self.distance else one

    def __str__(self) -> str:
        """ "part 1: 31.0 % of the similarity; without it on one image −12.4 %, at random −2.0 %"."""
        told = [f"part {self.number}: {percent(self.share)} of the {_what(self.distance)}"]
        if self.lost == self.lost:
            where = "both images" if self.distance else "one image"
            told.append(f"without it on {where} {change(self.lost)}, at random {change(self.effects['random'])}")
        if self.rescaled:
            told.append(f"at the same lengths {change(self.effects['same lengths'])}")
        return "; ".join(told)

    @property
    def rescaled(self) -> bool:
        """What is lost at the same lengths is known, and another number than the share."""
        return abs(self.effects["same lengths"] - self.share) >= DIFFERENT


@dataclass(frozen=True, eq=False)
class JoinedParts:
    """The parts of n queries with one reference, or with r references that are compared as one.

    Attributes:
        similarity: (n,), larger is closer.
        pro, contra: (n, k), what is for and against it, part by part; the largest part first.
        numbers: (n, k, e), what each number of the embedding adds.
        query_maps: (n, k, h, w).
        reference_maps: (n, k, r, h2, w2).
        effects: (n, k, 6), shares of the similarity that are lost; see `JoinedPart`.
        distance: the similarity is a distance with its sign turned.
    """

    similarity: Float[Tensor, " n"]
    pro: Float[Tensor, "n k"]
    contra: Float[Tensor, "n k"]
    numbers: Float[Tensor, "n k e"]
    query_maps: Float[Tensor, "n k h w"]
    reference_maps: Float[Tensor, "n k r h2 w2"]
    effects: Float[Tensor, "n k 6"]
    distance: bool = False

    def __post_init__(self) -> None:
        sizes = tuple(self.pro.shape)
        for name, tensor in self.arrays().items():
            first = 1 if name == "similarity" else 2
            fits = tensor.ndim == AXES[name] and tuple(tensor.shape[:first]) == sizes[:first]
            if not fits or not tensor.is_floating_point():
                raise ResultError(f"The {name} of joined parts must be {sizes} …, but are {tuple(tensor.shape)}.")
        if self.effects.shape[2] != len(EFFECTS):
            raise ResultError(f"Joined parts have {len(EFFECTS)} effects each, but here are {self.effects.shape[2]}.")

    @property
    def values(self) -> Float[Tensor, "n k"]:
        """What each part adds to the similarity."""
        return self.pro - self.contra

    @property
    def shares(self) -> Float[Tensor, "n k"]:
        """The same as shares of the similarity; NaN where it is 0."""
        return self.values / torch.where(self.similarity == 0, torch.nan, self.similarity)[:, None]

    @property
    def unplaced(self) -> Float[Tensor, " n"]:
        """What of the similarity no part holds: bias terms."""
        return self.similarity - self.values.sum(1)

    def caption(self, i: int) -> str:
        """ "similarity 0.83"."""
        return f"{_what(self.distance)} {number(float(self.similarity[i]) * (-1 if self.distance else 1))}"

    def of(self, i: int) -> tuple[JoinedPart, ...]:
        """The parts of query i that there are."""
        return tuple(
            JoinedPart(
                k + 1, float(self.values[i, k]), float(self.shares[i, k]), float(self.pro[i, k]),
                float(self.contra[i, k]), self.numbers[i, k], self.query_maps[i, k], self.reference_maps[i, k],
                self.distance,
                dict(zip(EFFECTS, self.effects[i, k].tolist(), strict=True)),
            )
            for k in range(self.pro.shape[1])
            if float(self.pro[i, k] + self.contra[i, k]) > 0
        )  # fmt: skip

    def arrays(self, prefix: str = "") -> dict[str, Tensor]:
        """Its tensors by name."""
        return {prefix + name: getattr(self, name) for name in AXES}

    @classmethod
    def read(cls, arrays: Mapping[str, Tensor], prefix: str, *, distance: bool) -> JoinedParts:
        """What `arrays` of the same prefix gave."""
        return cls(**{name: arrays[prefix + name] for name in AXES}, distance=distance)

    def lines(self, i: int) -> list[str]:
        """Each part of query i in words, and what no part holds."""
        return [*map(str, self.of(i)), *(f"at no position: {rest}" for rest in self.rest(i))]

    def rest(self, i: int) -> list[str]:
        """What of the similarity of query i no part holds, in words, if it is worth any."""
        whole = float(self.similarity[i])
        share = float(self.unplaced[i]) / whole if whole else float("nan")
        return [f"{percent(share)} of the {_what(self.distance)} (bias terms)"] if abs(share) >= LEAST else []


LEAST = 1e-3  # share that is told


def percent(share: float) -> str:
    """ "31.0 %"."""
    return "no share" if share != share else f"{100 * share:.1f} %".replace("-", "−")


def change(lost: float) -> str:
    """The change where this share is lost."""
    return f"{-100 * lost:+.1f} %".replace("-", "−")


def _what(distance: bool) -> str:
    return "distance" if distance else "similarity"
