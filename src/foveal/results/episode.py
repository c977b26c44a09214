"""The result of `foveal.episode`: a few-shot decision, and the evidence for each class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from foveal.results.explanation import Explanation, explanation_facts, explanation_fields
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

ARRAYS = "episode.npz"
TOLD = 5  # classes that `str` lists for a query


@dataclass(frozen=True, eq=False)
class Episode(Result):
    """n queries, each assigned to a class of the support.

    evidence        class -> its explanation on all queries.
    support         class -> its examples.
    chances         (n, classes), the softmax of the similarities.
    notes           assumptions and limits; those of the explanations are added.
    """

    FORMAT: ClassVar[str] = "foveal-episode/1"

    evidence: Mapping[str, Explanation]
    support: Mapping[str, tuple[Photo, ...]]
    chances: Float[Tensor, "n classes"]
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        told = (note for why in self.evidence.values() for note in why.notes)
        object.__setattr__(self, "notes", tuple(dict.fromkeys((*self.notes, *told))))

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.evidence)

    @property
    def decided(self) -> tuple[str, ...]:
        """The most likely class of each query."""
        return tuple(self.classes[k] for k in self.chances.argmax(1).tolist())

    def figure(self, kind: str = "evidence", *, side: int = 192) -> Image.Image:
        """Examples above; below, for each query, the evidence for each class less the mean over classes, on one scale.

        Of more than eight classes, the eight likeliest of each query are shown.
        """
        from foveal.render.episode import episode_sheet

        check_kind(kind, "evidence")
        return episode_sheet(self, side=side)

    def to_dict(self) -> dict[str, Any]:
        """The class of each query, and how likely each class is."""
        first = next(iter(self.evidence.values()))
        return {
            "model": first.model, "method": first.method, "classes": list(self.classes), "decided": list(self.decided),
            "queries": [photo.source for photo in first.photos], "chances": finite(self.chances.tolist()),
            "support": {name: [photo.source for photo in photos] for name, photos in self.support.items()},
            "notes": list(self.notes), "seconds": self.seconds, "versions": dict(self.versions),
        }  # fmt: skip

    def _write(self, aside: Path) -> Mapping[str, Any]:
        """The figure, queries and examples, and episode.npz with the maps of each class."""
        self.figure().save(aside / "episode.png")
        first = next(iter(self.evidence.values()))
        arrays = {"chances": self.chances}
        for k, why in enumerate(self.evidence.values()):
            arrays |= {f"{k}/{layer}": map for layer, map in why.maps.items()}
        write_arrays(aside / ARRAYS, arrays)
        return {
            "evidence": [[name, explanation_facts(why)] for name, why in self.evidence.items()],
            "queries": [write_photo(aside, photo, f"query-{i:04d}") for i, photo in enumerate(first.photos)],
            "support": [
                [name, [write_photo(aside, photo, f"example-{k}-{i:04d}") for i, photo in enumerate(photos)]]
                for k, (name, photos) in enumerate(self.support.items())
            ],
            "arrays": described(arrays), "notes": list(self.notes), "seconds": self.seconds,
            "versions": dict(self.versions),
        }  # fmt: skip

    @classmethod
    def _read(cls, saved: Saved) -> Episode:
        with saved.open(ARRAYS) as file:
            arrays = read_arrays(file, saved["arrays"])
        queries = tuple(read_photo(saved, photo) for photo in saved["queries"])
        evidence = {}
        for k, (name, facts) in enumerate(saved["evidence"]):
            maps = {layer["name"]: arrays[f"{k}/{layer['name']}"] for layer in facts["layers"]}
            evidence[name] = Explanation(**explanation_fields(facts, maps, queries))
        support = {name: tuple(read_photo(saved, photo) for photo in photos) for name, photos in saved["support"]}
        return cls(
            evidence, support, arrays["chances"], tuple(saved["notes"]), float(saved["seconds"]), saved["versions"]
        )

    def __str__(self) -> str:
        first = next(iter(self.evidence.values()))
        lines = [f"{first.model}, {first.method}: {len(self.classes)} classes"]
        for photo, name, row in zip(first.photos, self.decided, self.chances.tolist(), strict=True):
            ranked = sorted(zip(row, self.classes, strict=True), key=lambda pair: -pair[0])
            said = ", ".join(f"{c} {100 * chance:.0f} %" for chance, c in ranked[:TOLD])
            more = f", {len(ranked) - TOLD} more" if len(ranked) > TOLD else ""
            lines.append(f"  {photo.source}: {name}  ({said}{more})")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__
