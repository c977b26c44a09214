"""What `foveal.shortcuts` returns: classes that the surroundings reveal, and groups of maps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from foveal.results.result import Result, check_kind, finite
from foveal.results.storage import read_photo, write_photo
from foveal.storage.arrays import described, read_arrays, write_arrays

if TYPE_CHECKING:
    from pathlib import Path

    from jaxtyping import Float
    from PIL import Image
    from torch import Tensor

    from foveal.images import Photo
    from foveal.storage.manifest import Saved

ARRAYS = "shortcuts.npz"
GROUP = ("outside", "lift", "area")
SUSPECT = ("name", "index", "count", "tells", "p", "loss", "flagged")


@dataclass(frozen=True, eq=False)
class ClassGroup:
    """Images of one class with evidence at similar positions.

    images    their numbers among all.
    mean        (h, w), the mean of their maps, each summing to 1, on the network's input.
    outside     the share of evidence in the surroundings; `lift` the same over their share of the area.
    area        the least share of the image that holds half of the evidence.
    """

    pictures: tuple[int, ...]
    mean: Float[Tensor, "h w"]
    outside: float
    lift: float
    area: float

    def caption(self) -> str:
        """Where it lies: "in the middle, half of it on 9 % of the image, 6 % in the surroundings"."""
        h, w = self.mean.shape
        total = float(self.mean.sum())
        if total <= 0 or math.isnan(self.area):
            return "no evidence for the class"
        mean = self.mean.numpy() / total
        y = float((mean.sum(1) * (np.arange(h) + 0.5)).sum()) / h
        x = float((mean.sum(0) * (np.arange(w) + 0.5)).sum()) / w
        rows, columns = (_third(y, ("top", "", "bottom")), _third(x, ("left", "", "right")))
        place = " ".join(word for word in (rows, columns) if word)
        where = f"at the {place}" if place else ("all over" if self.area > 0.25 else "in the middle")
        half, outside = 100 * self.area, 100 * self.outside
        return f"{where}, half of it on {half:.0f} % of the image, {outside:.0f} % in the surroundings"


@dataclass(frozen=True, eq=False)
class Suspect:
    """One class.

    name, index     "jay (17)", 17.
    count           images of it.
    tells           how often the class scores higher on surroundings of its own than on others'; 0.5 is chance.
    p               the chance of that, corrected for the number of classes (Holm).
    loss            the share of its probability that is lost with other surroundings.
    flagged         both are large: the class may be recognized by what stands around.
    groups          its maps, the largest group first.
    """

    name: str
    index: int
    count: int
    tells: float
    p: float
    loss: float
    flagged: bool
    groups: tuple[ClassGroup, ...]

    @property
    def summary(self) -> str:
        """The finding about this class."""
        lost = (
            f"{100 * max(self.loss, 0):.0f} % of its probability is lost when the surroundings are replaced "
            "by those of other classes"
        )
        told = f"the surroundings distinguish {self.name} from other classes in {100 * self.tells:.0f} % of pairs"
        if self.flagged:
            return f"{told} (50 % is chance, p = {self.p:.1g}), and {lost}: this looks like a shortcut"
        return f"{told} (50 % is chance), and {lost}: no shortcut found"

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        groups = [
            {"pictures": list(group.pictures), "outside": finite(group.outside), "lift": finite(group.lift),
             "area": finite(group.area), "caption": group.caption()}
            for group in self.groups
        ]  # fmt: skip
        return {
            "class": self.name, "index": self.index, "count": self.count, "tells": finite(self.tells),
            "p": finite(self.p), "loss": finite(self.loss), "flagged": self.flagged, "summary": self.summary,
            "groups": groups,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Shortcuts(Result):
    """All classes, suspicious ones first; `photos` and `maps` (n, h, w) are those of all images, in their order."""

    FORMAT: ClassVar[str] = "foveal-shortcuts/1"

    suspects: tuple[Suspect, ...]
    photos: tuple[Photo, ...]
    maps: Float[Tensor, "n h w"]
    ring: float
    method: str
    model: str
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def flagged(self) -> tuple[Suspect, ...]:
        """The suspicious classes."""
        return tuple(suspect for suspect in self.suspects if suspect.flagged)

    @property
    def summary(self) -> str:
        """The finding, in one sentence."""
        count, tells = len(self.suspects), float(np.mean([suspect.tells for suspect in self.suspects]))
        loss = float(np.mean([suspect.loss for suspect in self.suspects]))
        edge = f"the outer {100 * self.ring:.3g} % of each side"
        if self.flagged:
            worst = self.flagged[0]
            return (
                f"{self.model} seems to use a shortcut in {len(self.flagged)} of {count} classes: the surroundings "
                f"({edge}) distinguish {worst.name} from other classes in {100 * worst.tells:.0f} % of pairs, "
                f"whatever is in the middle (50 % is chance; {100 * tells:.0f} % over all classes), "
                f"and {100 * worst.loss:.0f} % of its probability is lost when they are replaced"
            )
        return (
            f"no shortcut through the surroundings was found in {self.model}: they ({edge}) distinguish a class "
            f"from others in {100 * tells:.0f} % of pairs (50 % is chance), and {100 * max(loss, 0):.0f} % of "
            "the probability is lost "
            f"when they are replaced, over {count} classes"
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "model": self.model, "method": self.method, "ring": self.ring, "summary": self.summary,
            "notes": list(self.notes), "seconds": self.seconds, "versions": dict(self.versions),
            "flagged": [suspect.name for suspect in self.flagged],
            "classes": [suspect.to_dict() for suspect in self.suspects],
        }  # fmt: skip

    def figure(self, kind: str = "groups", *, k: int = 0, side: int = 192) -> Image.Image:
        """The groups of the k-th class: a row each, the mean map first, then images with their maps."""
        from foveal.render.shortcuts import group_sheet

        check_kind(kind, "groups")
        return group_sheet(self, k, side=side)

    def _write(self, aside: Path) -> Mapping[str, Any]:
        """Groups of the first class, the photos, and shortcuts.npz."""
        self.figure().save(aside / "groups.png")
        means = {
            f"mean/{k}/{g}": group.mean
            for k, suspect in enumerate(self.suspects)
            for g, group in enumerate(suspect.groups)
        }
        arrays = {"maps": self.maps, **means}
        write_arrays(aside / ARRAYS, arrays)
        suspects = [
            {
                **{name: getattr(suspect, name) for name in SUSPECT},
                "groups": [{"pictures": list(group.pictures), **{name: getattr(group, name) for name in GROUP}}
                           for group in suspect.groups],
            }
            for suspect in self.suspects
        ]  # fmt: skip
        return {
            "suspects": suspects, "arrays": described(arrays), "ring": self.ring, "method": self.method,
            "photos": [write_photo(aside, photo, f"photo-{i:04d}") for i, photo in enumerate(self.photos)],
            "model": self.model, "notes": list(self.notes), "seconds": self.seconds, "versions": dict(self.versions),
        }  # fmt: skip

    @classmethod
    def _read(cls, saved: Saved) -> Shortcuts:
        with saved.open(ARRAYS) as file:
            arrays = read_arrays(file, saved["arrays"])
        suspects = [
            Suspect(
                **{name: facts[name] for name in SUSPECT},
                groups=tuple(
                    ClassGroup(tuple(group["pictures"]), arrays[f"mean/{k}/{g}"], *(group[name] for name in GROUP))
                    for g, group in enumerate(facts["groups"])
                ),
            )
            for k, facts in enumerate(saved["suspects"])
        ]
        return cls(
            tuple(suspects), tuple(read_photo(saved, photo) for photo in saved["photos"]), arrays["maps"],
            float(saved["ring"]), saved["method"], saved["model"], tuple(saved["notes"]), float(saved["seconds"]),
            saved["versions"],
        )  # fmt: skip

    def __str__(self) -> str:
        lines = [self.summary]
        for suspect in self.suspects:
            mark = "!" if suspect.flagged else " "
            lines.append(
                f" {mark} {suspect.name:28} {suspect.count:4} images  by surroundings {100 * suspect.tells:3.0f} "
                f"%  p {suspect.p:.2g}  lost {100 * suspect.loss:3.0f} %"
            )
            lines += [f"      {len(group.pictures):4}  {group.caption()}" for group in suspect.groups]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    __repr__ = __str__


def _third(at: float, names: tuple[str, str, str]) -> str:
    return names[0] if at < 1 / 3 else names[2] if at > 2 / 3 else names[1]
